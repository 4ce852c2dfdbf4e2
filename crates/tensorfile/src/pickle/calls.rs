//! Which names a pickle may use and what they become: the plain-data types of Python, NumPy and
//! PyTorch. Nothing is ever called, so what is not listed here stays an inert object or is refused.

use super::{Array, Object, Value};
use anyhow::{Context, Result, bail, ensure};

/// Modules that a data file has no reason to name: what they offer runs code or reaches outside.
const REFUSED_MODULES: &[&str] = &[
    "_io",
    "_posixsubprocess",
    "asyncio",
    "bdb",
    "code",
    "codeop",
    "commands",
    "ctypes",
    "ensurepip",
    "functools",
    "http",
    "importlib",
    "io",
    "marshal",
    "multiprocessing",
    "nt",
    "operator",
    "os",
    "pdb",
    "pickle",
    "pip",
    "pkgutil",
    "popen2",
    "posix",
    "posixpath",
    "profile",
    "pty",
    "pydoc",
    "requests",
    "runpy",
    "shutil",
    "signal",
    "site",
    "smtplib",
    "socket",
    "ssl",
    "subprocess",
    "sys",
    "tempfile",
    "threading",
    "timeit",
    "trace",
    "types",
    "urllib",
    "venv",
    "webbrowser",
    "zipimport",
];

/// The only names of `builtins` that may appear.
const BUILTINS: &[&str] = &[
    "bool",
    "bytearray",
    "bytes",
    "complex",
    "dict",
    "float",
    "frozenset",
    "int",
    "list",
    "object",
    "range",
    "set",
    "slice",
    "str",
    "tuple",
    "unicode",
];

/// What may be called besides those: makers of plain data. Names are the canonical ones.
const CALLABLE: &[&str] = &[
    "_codecs.encode",
    "argparse.Namespace",
    "collections.Counter",
    "collections.OrderedDict",
    "collections.defaultdict",
    "copyreg._reconstructor",
    "datetime.date",
    "datetime.datetime",
    "datetime.timedelta",
    "numpy._core.multiarray._reconstruct",
    "numpy._core.multiarray.scalar",
    "numpy._core.numeric._frombuffer",
    "numpy.dtype",
    "pathlib.Path",
    "pathlib._local.Path",
    "pathlib._local.PosixPath",
    "pathlib._local.WindowsPath",
    "pathlib.PosixPath",
    "pathlib.WindowsPath",
    "torch.Size",
    "torch._tensor._rebuild_from_type_v2",
    "torch.device",
    "torch.serialization._get_layout",
];

/// Starts of names that may be called too: Python's types, and PyTorch's makers of tensors, so that
/// a tensor of a kind that cannot be used is called what it is.
const STARTS: &[&str] = &["builtins.", "torch._utils._rebuild_"];

/// The canonical `module.name`, if a pickle of data may name it at all.
pub(super) fn admit(module: &str, name: &str) -> Result<String> {
    let module = match module {
        "__builtin__" => "builtins".to_owned(),
        "copy_reg" => "copyreg".to_owned(),
        other => other.replacen("numpy.core.", "numpy._core.", 1),
    };
    let root = module.split('.').next().expect("a split has a first part");
    let fine = match root {
        "builtins" => BUILTINS.contains(&name),
        _ => !REFUSED_MODULES.contains(&root),
    };
    ensure!(fine, "the pickle asks for `{module}.{name}`: it would run code, refused");
    Ok(format!("{module}.{name}"))
}

/// An error unless calling `name` only makes plain data.
pub(super) fn admit_call(name: &str) -> Result<()> {
    let known = CALLABLE.contains(&name) || STARTS.iter().any(|t| name.starts_with(t));
    ensure!(known, "the pickle asks for `{name}`: it would run code, refused");
    Ok(())
}

/// The plain value that a call stands for, or the object itself where there is none.
pub(super) fn interpret(object: Object) -> Result<Value> {
    let wrong = || format!("`{}` with arguments that it does not take", object.class);
    Ok(match (object.class.as_str(), object.args.as_slice()) {
        ("collections.OrderedDict" | "collections.Counter" | "builtins.dict", [entries]) => {
            let mut items = dict_items(entries).with_context(wrong)?;
            items.extend(object.items);
            Value::Dict(items)
        }
        ("collections.OrderedDict" | "collections.defaultdict" | "builtins.dict", _) => {
            Value::Dict(object.items)
        }
        ("_codecs.encode", [text, encoding]) => encode(text, encoding).with_context(wrong)?,
        ("builtins.bytearray" | "builtins.bytes", []) => Value::Bytes(vec![]),
        ("builtins.bytearray" | "builtins.bytes", [Value::Bytes(bytes)]) => {
            Value::Bytes(bytes.clone())
        }
        ("builtins.bytearray" | "builtins.bytes", [text @ Value::Str(_), encoding]) => {
            encode(text, encoding).with_context(wrong)?
        }
        ("builtins.set" | "builtins.frozenset" | "builtins.list", [items]) => {
            Value::List(items.as_list().with_context(wrong)?.to_vec())
        }
        ("torch.Size" | "builtins.tuple", [items]) => {
            Value::Tuple(items.as_list().with_context(wrong)?.to_vec())
        }
        ("copyreg._reconstructor", [Value::Global(class), ..]) => {
            let class = class.clone();
            Value::Object(Object { class, args: vec![], ..object })
        }
        (class, _) if class.starts_with("numpy.") => return numpy(object),
        _ => Value::Object(object),
    })
}

/// Arrays, their types, and NumPy's own scalars.
fn numpy(object: Object) -> Result<Value> {
    Ok(match (object.class.as_str(), object.args.as_slice()) {
        ("numpy.dtype", [code, ..]) => {
            let code = code.as_str().context("a NumPy type without a name")?;
            match dtype(code, &object.state) {
                Some(dtype) => Value::Str(dtype),
                None => Value::Object(object),
            }
        }
        ("numpy._core.multiarray._reconstruct", _) => match object.state.as_list() {
            Some([_, shape, Value::Str(dtype), Value::Bool(fortran), Value::Bytes(data)]) => {
                Value::Array(array(shape, dtype, *fortran, data).context("a NumPy array")?)
            }
            _ => Value::Object(object),
        },
        (
            "numpy._core.numeric._frombuffer",
            [Value::Bytes(data), Value::Str(dtype), shape, order],
        ) => {
            let fortran = order.as_str() == Some("F");
            Value::Array(array(shape, dtype, fortran, data).context("a NumPy array")?)
        }
        ("numpy._core.multiarray.scalar", [Value::Str(dtype), Value::Bytes(data)]) => {
            scalar(dtype, data).unwrap_or(Value::Object(object))
        }
        _ => Value::Object(object),
    })
}

/// The entries of a dict, or of a list of pairs.
fn dict_items(value: &Value) -> Option<Vec<(Value, Value)>> {
    if let Value::Dict(items) = value {
        return Some(items.clone());
    }
    let pair = |item: &Value| match item.as_list() {
        Some([key, value]) => Some((key.clone(), value.clone())),
        _ => None,
    };
    value.as_list()?.iter().map(pair).collect()
}

/// How Python 3 writes bytes in the protocols that have none: as text and its encoding.
fn encode(text: &Value, encoding: &Value) -> Option<Value> {
    let text = text.as_str()?;
    let bytes = match encoding.as_str()? {
        "latin1" | "latin-1" => {
            text.chars().map(|c| u8::try_from(u32::from(c)).ok()).collect::<Option<_>>()?
        }
        "utf8" | "utf-8" | "ascii" => text.as_bytes().to_vec(),
        _ => return None,
    };
    Some(Value::Bytes(bytes))
}

/// NumPy's type string; none for structured types and objects.
fn dtype(code: &str, state: &Value) -> Option<String> {
    let order = match state.as_list() {
        Some([_, order, ..]) => order.as_str()?,
        _ => "|",
    };
    let size = code.strip_prefix(['b', 'i', 'u', 'f'])?;
    let known = matches!(size, "1" | "2" | "4" | "8") && matches!(order, "<" | ">" | "|" | "=");
    known.then(|| format!("{}{code}", order.replace('=', "<")))
}

/// The array, brought to C order and checked against the length of its data.
fn array(shape: &Value, dtype: &str, fortran: bool, data: &[u8]) -> Result<Array> {
    let shape: Option<Vec<i64>> = match shape {
        Value::Int(length) => Some(vec![*length]),
        _ => shape.as_list().and_then(|sizes| sizes.iter().map(Value::as_int).collect()),
    };
    let shape = shape.filter(|s| s.iter().all(|&n| n >= 0)).context("has no shape")?;
    let item = dtype.chars().last().and_then(|digit| digit.to_digit(10)).unwrap_or(0) as usize;
    ensure!(matches!(item, 1 | 2 | 4 | 8), "has the type `{dtype}`, which is not supported");
    let bytes = shape.iter().try_fold(item, |sum, &n| sum.checked_mul(n as usize));
    if bytes != Some(data.len()) {
        bail!("of shape {shape:?} and type `{dtype}` has {} bytes of data", data.len());
    }
    let data = match fortran && shape.len() > 1 {
        true => c_order(&shape, item, data),
        false => data.to_vec(),
    };
    Ok(Array { shape, dtype: dtype.to_owned(), data })
}

/// Items stored first axis fastest, rewritten last axis fastest.
fn c_order(shape: &[i64], item: usize, data: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(data.len());
    for flat in 0..data.len() / item {
        let (mut rest, mut stride, mut place) = (flat, data.len() / item, 0);
        for &length in shape.iter().rev() {
            let length = length as usize;
            stride /= length;
            place += rest % length * stride;
            rest /= length;
        }
        out.extend_from_slice(&data[place * item..][..item]);
    }
    out
}

fn scalar(dtype: &str, data: &[u8]) -> Option<Value> {
    if !matches!(data.len(), 1 | 2 | 4 | 8) || dtype.starts_with('>') {
        return None;
    }
    if dtype.get(2..) != Some(&data.len().to_string()) {
        return None;
    }
    let integer = data.iter().rev().fold(0u64, |sum, &byte| sum << 8 | u64::from(byte));
    let unused = 64 - 8 * data.len() as u32;
    Some(match dtype.get(1..)? {
        "f4" => Value::Float(f32::from_bits(integer as u32).into()),
        "f8" => Value::Float(f64::from_bits(integer)),
        "b1" => Value::Bool(integer != 0),
        kind if kind.starts_with('i') => Value::Int((integer << unused) as i64 >> unused),
        kind if kind.starts_with('u') => Value::Int(i64::try_from(integer).ok()?),
        _ => return None,
    })
}
