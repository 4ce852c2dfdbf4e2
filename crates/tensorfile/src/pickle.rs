//! A reader of Python pickles, protocols 0 to 5, that builds plain values and never runs code.
//! Format: Python's `pickletools`. Objects of unknown classes become inert [`Value::Object`]s; a
//! call of anything that is not known to be plain data is refused.

use anyhow::Result;

mod calls;
mod machine;
mod opcodes;

/// What a pickle holds.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// `None`.
    None,
    /// `True` or `False`.
    Bool(bool),
    /// An integer that fits 64 bits.
    Int(i64),
    /// A larger integer: two's complement, little-endian.
    Long(Vec<u8>),
    /// A float.
    Float(f64),
    /// Text.
    Str(String),
    /// Bytes; also every `str` that Python 2 wrote.
    Bytes(Vec<u8>),
    /// A list or a set.
    List(Vec<Value>),
    /// A tuple or a `torch.Size`.
    Tuple(Vec<Value>),
    /// A dict or an `OrderedDict`, in its order.
    Dict(Vec<(Value, Value)>),
    /// A NumPy array.
    Array(Array),
    /// A class or function that is only named, as `module.name`.
    Global(String),
    /// A reference to data outside the pickle; PyTorch's storages are such.
    Persistent(Box<Value>),
    /// An object that was not built: its class and what it would be built from.
    Object(Object),
}

/// A NumPy array in C order.
#[derive(Debug, Clone, PartialEq)]
pub struct Array {
    /// Its shape; the product times the item size is the length of `data`.
    pub shape: Vec<i64>,
    /// NumPy's type string with its byte order, such as `|u1`, `<f4`, `>i8`.
    pub dtype: String,
    /// The items, last axis fastest.
    pub data: Vec<u8>,
}

/// An inert object: nothing was called to make it.
#[derive(Debug, Clone, PartialEq)]
pub struct Object {
    /// The class or function, as `module.name`.
    pub class: String,
    /// The arguments it would have been called with.
    pub args: Vec<Value>,
    /// The state it would have been given, mostly a [`Value::Dict`] of its attributes.
    pub state: Box<Value>,
    /// The items of a subclass of `dict`.
    pub items: Vec<(Value, Value)>,
}

impl Value {
    /// The entry `key` of a dict (the last one, if it is there twice), or the attribute `key` of
    /// an object. Text and bytes keys are the same: Python 2 does not tell them apart.
    pub fn get(&self, key: &str) -> Option<&Value> {
        match self {
            Value::Dict(items) => find(items, key),
            Value::Object(object) => find(&object.items, key).or_else(|| object.state.get(key)),
            _ => None,
        }
    }

    /// The bytes of `Bytes` or the UTF-8 of `Str`.
    pub fn as_bytes(&self) -> Option<&[u8]> {
        match self {
            Value::Bytes(bytes) => Some(bytes),
            Value::Str(text) => Some(text.as_bytes()),
            _ => None,
        }
    }

    /// The text of `Str`, or of `Bytes` that are UTF-8.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Value::Str(text) => Some(text),
            Value::Bytes(bytes) => std::str::from_utf8(bytes).ok(),
            _ => None,
        }
    }

    /// The number of an `Int`.
    pub fn as_int(&self) -> Option<i64> {
        match self {
            Value::Int(number) => Some(*number),
            _ => None,
        }
    }

    /// The items of a `List` or a `Tuple`.
    pub fn as_list(&self) -> Option<&[Value]> {
        match self {
            Value::List(items) | Value::Tuple(items) => Some(items),
            _ => None,
        }
    }

    /// The items of a `Dict`.
    pub fn as_dict(&self) -> Option<&[(Value, Value)]> {
        match self {
            Value::Dict(items) => Some(items),
            _ => None,
        }
    }

    /// The array of an `Array`.
    pub fn as_array(&self) -> Option<&Array> {
        match self {
            Value::Array(array) => Some(array),
            _ => None,
        }
    }
}

fn find<'a>(items: &'a [(Value, Value)], key: &str) -> Option<&'a Value> {
    let hit = items.iter().rev().find(|(k, _)| k.as_bytes() == Some(key.as_bytes()));
    hit.map(|(_, value)| value)
}

/// Reads one pickle; bytes after its end are ignored. Errors: truncated or broken input, a pickle
/// that asks to run code, and one that unfolds to far more than its own size.
pub fn parse(bytes: &[u8]) -> Result<Value> {
    Ok(parse_prefix(bytes)?.0)
}

/// Reads the pickle at the start of `bytes` and says how many bytes it took.
pub fn parse_prefix(bytes: &[u8]) -> Result<(Value, usize)> {
    let mut machine = machine::Machine::new(bytes);
    let top = machine.run()?;
    Ok((machine.value(top)?, machine.at()))
}
