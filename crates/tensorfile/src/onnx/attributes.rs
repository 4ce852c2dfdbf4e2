//! Values of attributes. A file that says the type of an attribute may leave its field out: it is
//! then zero, empty. A value of another type than the one that is asked for is none.

use super::proto::{AttributeProto, NodeProto, TensorProto};

/// `AttributeProto.AttributeType`, as far as it is asked for.
const FLOAT: i32 = 1;
const INT: i32 = 2;
const STRING: i32 = 3;
const FLOATS: i32 = 6;
const INTS: i32 = 7;

impl NodeProto {
    /// The attribute called `name`.
    pub fn attribute(&self, name: &str) -> Option<&AttributeProto> {
        self.attribute.iter().find(|a| a.name() == name)
    }

    /// The node in a message: its name, else its first output's, else its operator.
    pub fn label(&self) -> &str {
        let output = self.output.iter().find(|o| !o.is_empty());
        match (self.name(), output) {
            ("", Some(output)) => output,
            ("", None) => self.op_type(),
            (name, _) => name,
        }
    }
}

impl AttributeProto {
    /// The field, or its default if the type alone is said.
    fn of<T>(&self, field: Option<T>, kind: i32, default: T) -> Option<T> {
        match self.r#type {
            Some(said) if said != 0 => (said == kind).then(|| field.unwrap_or(default)),
            _ => field,
        }
    }

    /// An integer.
    pub fn as_int(&self) -> Option<i64> {
        self.of(self.i, INT, 0)
    }

    /// A float.
    pub fn as_float(&self) -> Option<f64> {
        self.of(self.f.map(f64::from), FLOAT, 0.0)
    }

    /// Text in UTF-8.
    pub fn as_str(&self) -> Option<&str> {
        let text = self.s.as_ref().and_then(|s| std::str::from_utf8(s).ok());
        self.of(text, STRING, "")
    }

    /// Integers; none in them is an empty slice.
    pub fn as_ints(&self) -> Option<&[i64]> {
        let some = (!self.ints.is_empty()).then_some(self.ints.as_slice());
        self.of(some, INTS, &[])
    }

    /// Floats; none in them is an empty slice.
    pub fn as_floats(&self) -> Option<&[f32]> {
        let some = (!self.floats.is_empty()).then_some(self.floats.as_slice());
        self.of(some, FLOATS, &[])
    }

    /// A tensor.
    pub fn as_tensor(&self) -> Option<&TensorProto> {
        self.t.as_ref()
    }
}
