//! The numbers of a `TensorProto`, in every form in which files store them.

use super::{
    elements::{Element, element},
    external,
    proto::TensorProto,
};
use anyhow::{Context, Result, ensure};
use std::path::Path;
use tch::{Device, Kind, Tensor};

/// How many numbers a shape has. Errors: a negative dimension, more numbers than there can be.
pub(super) fn count(dims: &[i64]) -> Result<usize> {
    let told = || format!("its shape {dims:?}");
    ensure!(dims.len() <= 64 && dims.iter().all(|&d| d >= 0), "{} is no shape", told());
    // Also without its zeros: libtorch multiplies the other dimensions into strides.
    let all = dims.iter().try_fold(1i64, |n, &d| n.checked_mul(d.max(1)).filter(|n| *n < 1 << 48));
    let all = all.with_context(|| format!("{} is too large", told()))?;
    Ok(if dims.contains(&0) { 0 } else { all as usize })
}

/// The numbers of `tensor`, of a file in `folder`; on the CPU, with memory of their own. 16-bit
/// floats stay what they are. Errors: [`element`]'s, numbers missing or too many, external data.
pub(super) fn tensor(folder: &Path, tensor: &TensorProto) -> Result<Tensor> {
    ensure!(tensor.segment.is_none(), "it is stored in segments, which are not supported");
    let element = element(tensor.data_type())?;
    let (dims, count) = (&tensor.dims, count(&tensor.dims)?);
    if external::is_external(tensor) {
        let region = external::region(folder, tensor, (count * element.bytes) as u64)?;
        return of_bytes(&external::read(&region)?, dims, element);
    }
    if let Some(bytes) = packed(tensor, element) {
        check_bytes(bytes.len(), count, element)?;
        return of_bytes(bytes, dims, element);
    }
    let numbers = integers(tensor, element)?;
    ensure!(
        numbers.len() == count,
        "{} stored where the shape {dims:?} has {count}",
        crate::words::count(numbers.len(), "number")
    );
    of_integers(numbers, dims, element)
}

/// The bytes of a tensor whose numbers lie in the model file at full width.
pub(super) fn packed(tensor: &TensorProto, element: Element) -> Option<&prost::bytes::Bytes> {
    let field = match element.kind {
        Kind::Float => &tensor.float_data,
        Kind::Double => &tensor.double_data,
        _ => &None,
    };
    let some = |bytes: &&prost::bytes::Bytes| !bytes.is_empty();
    tensor.raw_data.as_ref().filter(some).or(field.as_ref().filter(some))
}

/// That so many bytes are so many numbers.
pub(super) fn check_bytes(bytes: usize, count: usize, element: Element) -> Result<()> {
    let Element { name, bytes: each, .. } = element;
    ensure!(bytes == count * each, "{bytes} bytes for {count} numbers of type `{name}`");
    Ok(())
}

fn of_bytes(bytes: &[u8], dims: &[i64], element: Element) -> Result<Tensor> {
    let wide = |n: usize| bytes.chunks_exact(n);
    Ok(match (element.name, element.kind) {
        // Other bytes than 0 and 1 are undefined as truth values.
        (_, Kind::Bool) => Tensor::from_data_size(bytes, dims, Kind::Uint8).ne(0),
        ("uint16", _) => {
            let all: Vec<i32> = wide(2).map(|b| u16::from_le_bytes([b[0], b[1]]).into()).collect();
            Tensor::from_slice(&all).reshape(dims)
        }
        ("uint32", _) => {
            let all: Vec<i64> =
                wide(4).map(|b| u32::from_le_bytes([b[0], b[1], b[2], b[3]]).into()).collect();
            Tensor::from_slice(&all).reshape(dims)
        }
        (name, kind) => {
            let tensor = Tensor::from_data_size(bytes, dims, kind);
            let large = name == "uint64" && wide(8).any(|b| b[7] > 127);
            ensure!(!large, "a `uint64` that is larger than an `int64` can be");
            tensor
        }
    })
}

/// The integers of the fields for integers. Errors: one that its type cannot hold.
fn integers(tensor: &TensorProto, element: Element) -> Result<Vec<i64>> {
    let numbers: Vec<i64> = match element.name {
        "int64" => tensor.int64_data.clone(),
        "uint32" | "uint64" => {
            let all = tensor.uint64_data.iter().map(|&n| i64::try_from(n));
            all.collect::<Result<_, _>>()
                .context("a `uint64` that is larger than an `int64` can be")?
        }
        "float" | "double" => vec![],
        _ => tensor.int32_data.iter().map(|&n| n.into()).collect(),
    };
    let bits = 8 * element.bytes as u32;
    let (low, high) = match (element.kind, element.unsigned) {
        (Kind::Bool, _) => (0, 1),
        _ if bits == 64 => (i64::MIN, i64::MAX),
        // The bits of a float are written as a number without sign.
        (Kind::Half | Kind::BFloat16, _) | (_, true) => (0, (1 << bits) - 1),
        _ => (-(1 << (bits - 1)), (1 << (bits - 1)) - 1),
    };
    let name = element.name;
    match numbers.iter().find(|n| !(low..=high).contains(*n)) {
        Some(n) => anyhow::bail!("{n} is no number of type `{name}`"),
        None => Ok(numbers),
    }
}

fn of_integers(numbers: Vec<i64>, dims: &[i64], element: Element) -> Result<Tensor> {
    if matches!(element.kind, Kind::Half | Kind::BFloat16) {
        let bytes: Vec<u8> = numbers.iter().flat_map(|&n| (n as u16).to_le_bytes()).collect();
        return Ok(Tensor::from_data_size(&bytes, dims, element.kind));
    }
    if numbers.is_empty() {
        return Ok(Tensor::zeros(dims, (element.kind, Device::Cpu)));
    }
    Ok(Tensor::from_slice(&numbers).reshape(dims).to_kind(element.kind))
}
