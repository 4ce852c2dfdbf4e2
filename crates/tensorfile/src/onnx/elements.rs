//! The types of numbers, as `TensorProto.data_type` numbers them.

use anyhow::{Result, bail};
use tch::Kind;

/// A type of numbers that is read.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Element {
    /// ONNX's name.
    pub name: &'static str,
    /// What it becomes: unsigned integers of more than 8 bits get a type that holds them.
    pub kind: Kind,
    /// Bytes of a number in the file.
    pub bytes: usize,
    /// Whether it is an integer without sign.
    pub unsigned: bool,
}

/// ONNX's names of the types that are not read, by number.
const OTHERS: &[(i32, &str)] = &[
    (8, "string"),
    (14, "complex64"),
    (15, "complex128"),
    (17, "float8e4m3fn"),
    (18, "float8e4m3fnuz"),
    (19, "float8e5m2"),
    (20, "float8e5m2fnuz"),
    (21, "uint4"),
    (22, "int4"),
    (23, "float4e2m1"),
    (24, "float8e8m0"),
    (25, "uint2"),
    (26, "int2"),
];

/// The type with this number. Errors: not supported, unknown.
pub(super) fn element(data_type: i32) -> Result<Element> {
    let of = |name, kind, bytes| Element { name, kind, bytes, unsigned: false };
    let unsigned = |name, kind, bytes| Element { name, kind, bytes, unsigned: true };
    Ok(match data_type {
        1 => of("float", Kind::Float, 4),
        2 => unsigned("uint8", Kind::Uint8, 1),
        3 => of("int8", Kind::Int8, 1),
        4 => unsigned("uint16", Kind::Int, 2),
        5 => of("int16", Kind::Int16, 2),
        6 => of("int32", Kind::Int, 4),
        7 => of("int64", Kind::Int64, 8),
        9 => of("bool", Kind::Bool, 1),
        10 => of("float16", Kind::Half, 2),
        11 => of("double", Kind::Double, 8),
        12 => unsigned("uint32", Kind::Int64, 4),
        13 => unsigned("uint64", Kind::Int64, 8),
        16 => of("bfloat16", Kind::BFloat16, 2),
        other => match OTHERS.iter().find(|(number, _)| *number == other) {
            Some((_, name)) => bail!("numbers of type `{name}` are not supported"),
            None => bail!("the number type {other} is unknown"),
        },
    })
}
