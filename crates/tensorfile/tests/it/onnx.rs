//! ONNX files: what is read, and what is said of files that are not whole.
//! Fixtures: tests/reference/onnx_files.py.

use prost::{Message, bytes::Bytes};
use std::{
    fs,
    path::{Path, PathBuf},
};
use tch::{Kind, Tensor};
use tensorfile::onnx::{
    File, is_onnx, kind,
    proto::{GraphProto, ModelProto, SparseTensorProto, StringStringEntryProto, TensorProto},
};

fn fixture(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
}

fn open(name: &str) -> File {
    File::open(&fixture(name)).expect("a good file")
}

fn initializer<'a>(file: &'a File, name: &str) -> &'a TensorProto {
    let found = file.graph().initializer.iter().find(|t| t.name() == name);
    found.unwrap_or_else(|| panic!("no `{name}`"))
}

fn numbers(tensor: &Tensor) -> Vec<f64> {
    Vec::try_from(tensor.to_kind(Kind::Double).flatten(0, -1)).expect("one axis")
}

#[test]
fn every_stored_form_of_every_type_gives_the_same_numbers() {
    let file = open("forms.onnx");
    let from = |start: f64, step: f64| (0..6).map(|i| start + step * f64::from(i)).collect();
    let truth = vec![0.0, 1.0, 0.0, 1.0, 0.0, 1.0];
    let types: [(&str, Kind, Vec<f64>); 13] = [
        ("float", Kind::Float, from(-1.0, 0.125)),
        ("double", Kind::Double, from(-1.0, 0.125)),
        ("float16", Kind::Half, from(-1.0, 0.125)),
        ("bfloat16", Kind::BFloat16, from(-1.0, 0.125)),
        ("int8", Kind::Int8, from(-3.0, 1.0)),
        ("int16", Kind::Int16, from(-3.0, 1.0)),
        ("int32", Kind::Int, from(-3.0, 1.0)),
        ("int64", Kind::Int64, from(-3.0, 1.0)),
        ("uint8", Kind::Uint8, from(250.0, 1.0)),
        ("uint16", Kind::Int, from(65530.0, 1.0)),
        ("uint32", Kind::Int64, from(4294967290.0, 1.0)),
        ("uint64", Kind::Int64, from(0.0, 1.0)),
        ("bool", Kind::Bool, truth),
    ];
    for (name, kind, wanted) in types {
        for form in ["raw", "data"] {
            let proto = initializer(&file, &format!("{name}-{form}"));
            let read = file.tensor(proto).expect("readable");
            assert_eq!(read.kind(), kind, "{name}-{form}");
            assert_eq!(read.size(), [2, 3], "{name}-{form}");
            assert_eq!(numbers(&read), wanted, "{name}-{form}");
        }
    }
    let scalar = file.tensor(initializer(&file, "scalar")).expect("readable");
    assert_eq!((scalar.dim(), scalar.double_value(&[])), (0, 2.5));
    assert_eq!(file.tensor(initializer(&file, "empty")).expect("readable").size(), [0, 3]);
    assert_eq!(file.tensor(initializer(&file, "empty-data")).expect("readable").size(), [0]);
}

#[test]
fn what_surrounds_the_tensors_is_read() {
    let file = open("forms.onnx");
    assert_eq!((file.opset(), file.model().producer_name()), (17, "gradproof"));
    assert_eq!(file.metadata()["classes"], "cat,dog");
    let function = &file.model().functions[0];
    assert_eq!((function.domain(), function.name()), ("own", "Twice"));
    assert_eq!(
        (&*function.attribute, &*function.node[0].input),
        (&["alpha".to_owned()][..], &["a".to_owned(), "a".to_owned()][..])
    );
    let [call, last] = &file.graph().node[..] else { panic!("two nodes") };
    assert_eq!((call.domain(), call.label(), last.label()), ("own", "call", "y"));
    let get = |name| last.attribute(name).expect("an attribute");
    assert_eq!(get("an_int").as_int(), Some(-2));
    assert_eq!(get("a_float").as_float(), Some(0.25));
    assert_eq!(get("a_text").as_str(), Some("SAME_UPPER"));
    assert_eq!(get("ints").as_ints(), Some(&[1, -1][..]));
    assert_eq!(get("floats").as_floats(), Some(&[0.5, 2.0][..]));
    // A type alone is a zero of it, and no value of another type.
    assert_eq!((get("zero").as_int(), get("none").as_ints()), (Some(0), Some(&[][..])));
    assert_eq!((get("zero").as_float(), get("none").as_int()), (None, None));
}

#[test]
fn external_data_are_those_of_the_file_beside() {
    let (whole, beside) = (open("network.onnx"), open("external.onnx"));
    for tensor in &whole.graph().initializer {
        let other = beside.tensor(initializer(&beside, tensor.name())).expect("readable");
        assert_eq!(whole.tensor(tensor).expect("readable"), other, "{}", tensor.name());
    }
}

#[test]
fn a_model_is_told_by_its_content() {
    for name in ["forms.onnx", "network.onnx", "external.onnx"] {
        assert!(is_onnx(&fs::read(fixture(name)).expect("a file")), "{name}");
    }
    for name in ["plain-zip.pt", "plain-legacy.pt", "network.safetensors", "external.data"] {
        let path = fixture(name);
        assert!(!is_onnx(&fs::read(&path).expect("a file")), "{name}");
        assert!(File::open(&path).is_err(), "{name}");
    }
    assert_eq!(kind(1).ok(), Some(Kind::Float));
    let said = kind(22).expect_err("not supported").to_string();
    assert_eq!(said, "numbers of type `int4` are not supported");
}

/// What is said of a model, at a path in a folder of its own.
fn said(model: &ModelProto, folder: &Path) -> String {
    let file = File::of_bytes(model.encode_to_vec(), &folder.join("m.onnx"));
    let all = file.and_then(|file| {
        file.graph().initializer.iter().try_for_each(|t| file.tensor(t).map(drop))
    });
    format!("{:#}", all.expect_err("broken"))
}

fn model(tensor: TensorProto) -> ModelProto {
    let graph = GraphProto { initializer: vec![tensor], ..Default::default() };
    ModelProto { ir_version: Some(8), graph: Some(graph), ..Default::default() }
}

/// Four floats called `w`.
fn floats() -> TensorProto {
    TensorProto {
        name: Some("w".into()),
        data_type: Some(1),
        dims: vec![2, 2],
        raw_data: Some(Bytes::from(vec![0; 16])),
        ..Default::default()
    }
}

#[test]
fn tensors_that_do_not_fit_are_named() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = Bytes::from(vec![0; 12]);
    let cases = [
        (TensorProto { raw_data: Some(data.clone()), ..floats() }, "12 bytes for 4 numbers"),
        (TensorProto { dims: vec![2, -2], ..floats() }, "its shape [2, -2] is no shape"),
        (TensorProto { dims: vec![1 << 40, 1 << 40], ..floats() }, "is too large"),
        (TensorProto { dims: vec![0, 1 << 40, 1 << 40], ..floats() }, "is too large"),
        (TensorProto { data_type: Some(8), ..floats() }, "numbers of type `string`"),
        (TensorProto { data_type: Some(99), ..floats() }, "the number type 99 is unknown"),
        (TensorProto { data_type: None, ..floats() }, "the number type 0 is unknown"),
        (TensorProto { raw_data: None, ..floats() }, "0 numbers stored where the shape [2, 2]"),
        (TensorProto { segment: Some(Default::default()), ..floats() }, "segments"),
        (
            TensorProto {
                raw_data: None,
                data_type: Some(3),
                int32_data: vec![0, 1, 2, 128],
                ..floats()
            },
            "128 is no number of type `int8`",
        ),
        (
            TensorProto {
                raw_data: None,
                data_type: Some(13),
                uint64_data: vec![u64::MAX],
                dims: vec![],
                ..floats()
            },
            "larger than an `int64`",
        ),
    ];
    for (tensor, wanted) in cases {
        let said = said(&model(tensor), folder.path());
        assert!(said.starts_with("tensor `w`: ") && said.contains(wanted), "{wanted}: {said}");
    }
    let sparse = SparseTensorProto { values: Some(floats()) };
    let mut with_sparse = model(floats());
    with_sparse.graph.get_or_insert_default().sparse_initializer.push(sparse);
    let told = said(&with_sparse, folder.path());
    assert!(told.ends_with("tensor `w` is sparse, which is not supported"), "{told}");
    let told = said(
        &ModelProto { graph: None, opset_import: vec![Default::default()], ..model(floats()) },
        folder.path(),
    );
    assert!(told.ends_with("it has no graph"), "{told}");
}

#[test]
fn external_data_cannot_leave_the_folder() {
    let outer = tempfile::tempdir().expect("a folder");
    let folder = outer.path().join("in");
    fs::create_dir_all(folder.join("sub")).expect("a folder");
    for name in ["x.bin", "in/x.bin", "in/sub/x.bin"] {
        fs::write(outer.path().join(name), [0; 16]).expect("written");
    }
    std::os::unix::fs::symlink("../x.bin", folder.join("link.bin")).expect("a link");
    let at = |entries: &[(&str, &str)]| {
        let entry = |(key, value): &(&str, &str)| StringStringEntryProto {
            key: Some((*key).into()),
            value: Some((*value).into()),
        };
        let external_data = entries.iter().map(entry).collect();
        let tensor =
            TensorProto { raw_data: None, external_data, data_location: Some(1), ..floats() };
        model(tensor)
    };
    for name in ["x.bin", "./x.bin", "sub/x.bin"] {
        let file =
            File::of_bytes(at(&[("location", name)]).encode_to_vec(), &folder.join("m.onnx"));
        let file = file.expect("a whole file");
        assert_eq!(file.tensor(&file.graph().initializer[0]).expect("readable").numel(), 4);
    }
    let absolute = outer.path().join("x.bin").display().to_string();
    let cases: [(&[(&str, &str)], &str); 10] = [
        (&[], "has no location"),
        (&[("location", "../x.bin")], "external data `../x.bin` is outside the file's folder"),
        (&[("location", "sub/../../x.bin")], "is outside the file's folder"),
        (&[("location", &absolute)], "is outside the file's folder"),
        (&[("location", "link.bin")], "is a link out of the file's folder"),
        (&[("location", "sub")], "is not a plain file"),
        (&[("location", "y.bin")], "external data `y.bin` is not beside the file"),
        (&[("location", "x.bin"), ("length", "12")], "12 bytes where 16 belong"),
        (&[("location", "x.bin"), ("offset", "8"), ("length", "16")], "has 16 bytes, too few"),
        (&[("location", "x.bin"), ("offset", "-1")], "offset `-1` is no number of bytes"),
    ];
    for (entries, wanted) in cases {
        let said = said(&at(entries), &folder);
        assert!(said.starts_with("tensor `w`: ") && said.contains(wanted), "{wanted}: {said}");
    }
}

#[test]
fn a_deeply_nested_file_is_refused() {
    // A thousand branches, one in another, written from the innermost outwards.
    let mut inner: Vec<u8> = vec![];
    for tag in (0..1000).flat_map(|_| [0x32u8, 0x2a, 0x0a]) {
        let mut outer = vec![tag];
        prost::encoding::encode_varint(inner.len() as u64, &mut outer);
        outer.extend(inner);
        inner = outer;
    }
    let mut file = vec![8, 8, 0x3a];
    prost::encoding::encode_varint(inner.len() as u64, &mut file);
    file.extend(inner);
    assert!(file.len() < 10_000, "{} bytes", file.len());
    let said = File::of_bytes(file, Path::new("m.onnx")).expect_err("nested too deep");
    assert_eq!(format!("{said:#}"), "`m.onnx` is not a whole ONNX file: recursion limit reached");
}

#[test]
fn a_file_of_more_than_2_gib_is_refused_unread() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("large.onnx");
    let file = fs::File::create(&path).expect("a file");
    file.set_len((1 << 31) + 1).expect("a hole");
    let told = format!("{:#}", File::open(&path).expect_err("too large"));
    let wanted =
        "has 2147483649 bytes, an ONNX file at most 2 GiB: keep its weights as external data";
    assert!(told.ends_with(wanted), "{told}");
}
