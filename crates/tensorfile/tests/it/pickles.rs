//! Pickles of CIFAR batches and of everything plain, in every protocol; refusals; broken input.
//! Fixtures: tests/reference/checkpoints.py.

use std::{fs, path::PathBuf};
use tensorfile::pickle::{Value, parse, parse_prefix};

fn fixture(name: &str) -> Vec<u8> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    fs::read(folder.join(name)).expect("a committed fixture")
}

fn error(bytes: &[u8]) -> String {
    format!("{:#}", parse(bytes).expect_err("broken"))
}

#[test]
fn cifar_batches_of_every_protocol() {
    let names = (0..6).map(|protocol| format!("batch-{protocol}.pkl"));
    for name in names.chain(["batch-python2.pkl".into()]) {
        let batch = parse(&fixture(&name)).unwrap();
        let data = batch.get("data").and_then(Value::as_array).expect(&name);
        assert_eq!(data.shape, [2, 12], "{name}");
        assert_eq!(data.dtype, "|u1", "{name}");
        assert_eq!(data.data, (120..144).collect::<Vec<u8>>(), "{name}");
        let labels = batch.get("labels").and_then(Value::as_list).unwrap();
        assert_eq!(labels, [Value::Int(6), Value::Int(9)], "{name}");
        if name != "batch-python2.pkl" {
            assert_eq!(batch.get("batch_label").unwrap().as_bytes().unwrap(), b"testing \xe9");
            assert_eq!(batch.get("fine"), Some(&Value::None), "{name}");
        }
        assert_eq!(batch.get("filenames"), None);
    }
}

#[test]
fn plain_values() {
    for name in ["values.pkl", "values-0.pkl"] {
        let values = parse(&fixture(name)).unwrap();
        let get = |key: &str| values.get(key).unwrap();
        let fortran = get("fortran").as_array().unwrap();
        assert_eq!(fortran.shape, [2, 3], "{name}");
        let c_order: Vec<u8> = (0..6i32).flat_map(i32::to_le_bytes).collect();
        assert_eq!(fortran.data, c_order, "{name}");
        let big = get("big").as_array().unwrap();
        assert_eq!((big.dtype.as_str(), big.data.as_slice()), (">i2", &[0, 0, 0, 1, 0, 2][..]));
        assert_eq!(get("scalar"), &Value::Float(0.5));
        let Value::Long(large) = get("large") else { panic!("{name}") };
        assert_eq!((large[10], large[..10].iter().max()), (1, Some(&0)));
        let negative = [-1, -300, -(1i64 << 40)].map(Value::Int);
        assert_eq!(get("negative").as_list().unwrap(), negative);
        assert_eq!(get("set").as_list().unwrap(), [Value::Int(3)]);
        assert_eq!(get("text").as_str(), Some("naïve ✓"));
        assert_eq!(get("float"), &Value::Float(-1.5e-3));
        assert_eq!(get("true"), &Value::Bool(true));
        let shared = get("shared").as_list().unwrap();
        assert!(shared.len() == 3 && shared[2] == Value::List(vec![Value::Int(1), Value::Int(2)]));
    }
}

#[test]
fn code_is_refused() {
    let refusal = |name: &str| format!("the pickle asks for `{name}`: it would run code, refused");
    let reduce = b"cos\nsystem\n(S'echo owned'\ntR.";
    assert!(error(reduce).contains(&refusal("os.system")), "{}", error(reduce));
    let instance = b"(S'echo owned'\nios\nsystem\n.";
    assert!(error(instance).contains(&refusal("os.system")), "{}", error(instance));
    let stack_global = b"\x80\x04\x8c\x05posix\x8c\x06system\x93\x8c\x02ls\x85R.";
    assert!(error(stack_global).contains(&refusal("posix.system")));
    for name in ["eval", "exec", "getattr", "__import__", "compile", "open", "map"] {
        for module in ["builtins", "__builtin__"] {
            let bytes = format!("c{module}\n{name}\n.");
            assert!(error(bytes.as_bytes()).contains(&refusal(&format!("builtins.{name}"))));
        }
    }
    for module in ["subprocess", "sys", "importlib.util", "shutil", "nt", "runpy", "operator"] {
        let bytes = format!("c{module}\nanything\n.");
        assert!(error(bytes.as_bytes()).contains("it would run code, refused"), "{module}");
    }
    let unknown = b"clodash\nrun_it\n(tR.";
    assert!(error(unknown).contains(&refusal("lodash.run_it")));
    let object = b"(clodash\nRunner\no.";
    assert!(error(object).contains(&refusal("lodash.Runner")));
}

#[test]
fn unknown_classes_stay_inert_objects() {
    // cox.utils.Parameters.__new__() with a state of one entry, as checkpoints carry their settings
    let bytes =
        b"\x80\x02ccox.utils\nParameters\n)\x81}U\x02lrG\x3f\xe0\x00\x00\x00\x00\x00\x00sb.";
    let value = parse(bytes).unwrap();
    assert_eq!(value.get("lr"), Some(&Value::Float(0.5)));
    let Value::Object(object) = value else { panic!("not an object") };
    assert_eq!(object.class, "cox.utils.Parameters");
    assert_eq!(parse(b"clodash\nThing\n.").unwrap(), Value::Global("lodash.Thing".into()));
}

#[test]
fn broken_pickles_are_errors() {
    for (bytes, told) in [
        (&b""[..], "cut short"),
        (b"hello world", "never stored"),
        (b"\x80\x09N.", "protocol 9"),
        (b"h\x05.", "never stored"),
        (b"t.", "never opened"),
        (b".", "empty stack"),
        (b"(.", "empty stack"),
        (b"(K\x01d.", "without a value"),
        (b"K\x01K\x02s.", "empty stack"),
        (b"K\x00K\x01K\x02s.", "not a dict"),
        (b"T\xff\xff\xff\x7fab.", "cut short"),
        (b"\x8e\xff\xff\xff\xff\xff\xff\xff\xffab.", "cut short"),
        (b"\x82\x01.", "not a pickle opcode"),
        (b"X\x02\x00\x00\x00\xff\xfe.", "not UTF-8"),
        (b"K\x01)R.", "not a name"),
    ] {
        assert!(error(bytes).contains(told), "{bytes:?}: {}", error(bytes));
    }
    let array = |shape: &str, dtype: &str, data: &str| {
        let head = "cnumpy.core.multiarray\n_reconstruct\n)R(I1\n(";
        format!("{head}{shape}tV{dtype}\nI01\nC{}{data}tb.", char::from(data.len() as u8))
    };
    assert!(parse(array("I2\nI3\n", "|u1", "abcdef").as_bytes()).is_ok());
    for (shape, dtype) in [("I7\n", "|u1"), ("I-1\nI-6\n", "|u1"), ("I0\nI0\n", "f0"), ("I6\n", "")]
    {
        let bytes = array(shape, dtype, if dtype == "f0" { "" } else { "abcdef" });
        assert!(parse(bytes.as_bytes()).is_err(), "{shape} {dtype}");
    }
    for (dtype, data) in [("|u0", ""), ("|u9", "123456789"), ("é9", "123456789")] {
        let head = "cnumpy.core.multiarray\nscalar\n(V";
        let bytes = format!("{head}{dtype}\nC{}{data}tR.", char::from(data.len() as u8));
        assert!(matches!(parse(bytes.as_bytes()), Ok(Value::Object(_))), "{dtype}");
    }
    let huge = array("I4294967296\nI4294967296\nI4294967296\n", "|u1", "");
    assert!(error(huge.as_bytes()).contains("NumPy array"));
}

#[test]
fn bombs_are_errors() {
    let deep = [vec![b']'; 200], vec![b'a'; 199], b".".to_vec()].concat();
    assert!(error(&deep).contains("nested more than"));
    let endless = b"]q\x00h\x00a.";
    assert!(error(endless).contains("nested more than"));
    // each list holds the one before it ten times over
    let mut laughs = b"](K\x01K\x01K\x01e".to_vec();
    for i in 0..40 {
        laughs.extend([b'q', i, b']', b'(']);
        laughs.extend([b'h', i].repeat(10));
        laughs.push(b'e');
    }
    laughs.push(b'.');
    assert!(error(&laughs).contains("far more than its own size"), "{}", error(&laughs));
    assert!(error(&vec![b'N'; 3 << 20]).contains("more than 2097152 values"));
}

#[test]
fn damage_is_never_a_panic() {
    for name in ["batch-0.pkl", "batch-2.pkl", "batch-5.pkl", "batch-python2.pkl", "values.pkl"] {
        let whole = fixture(name);
        assert_eq!(parse_prefix(&whole).unwrap().1, whole.len());
        for length in 0..whole.len() {
            assert!(parse(&whole[..length]).is_err(), "{name} cut to {length}");
        }
        for at in 0..whole.len() {
            for flip in [1, 0x80, 0xff] {
                let mut bytes = whole.clone();
                bytes[at] ^= flip;
                let _ = parse(&bytes); // an error or another value
            }
        }
    }
}
