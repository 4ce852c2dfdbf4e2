//! Operators that make numbers of none, or of another type.

use super::call::{Call, axis, fits, one};
use anyhow::{Context, Result, bail, ensure};
use tch::{Device, Kind, Tensor};

/// The type of tensors that a file's number of a type stands for; every float is f32.
pub(super) fn kind(number: i64) -> Result<Kind> {
    let kind = tensorfile::onnx::kind(i32::try_from(number).unwrap_or(-1))?;
    Ok(match kind {
        Kind::Half | Kind::BFloat16 | Kind::Double => Kind::Float,
        kind => kind,
    })
}

pub(super) fn constant(call: &Call) -> Result<Vec<Tensor>> {
    let has = |name: &str| call.attributes.contains_key(name);
    let floats = |all: &[f64]| Tensor::from_slice(all).to_kind(Kind::Float);
    one(if let Some(value) = call.tensor("value")? {
        value
    } else if has("value_float") {
        Tensor::from(call.float("value_float", 0.)? as f32)
    } else if has("value_int") {
        Tensor::from(call.int("value_int", 0)?)
    } else if let Some(all) = call.ints("value_ints")? {
        Tensor::from_slice(&all)
    } else if let Some(all) = call.reals("value_floats")? {
        floats(&all)
    } else {
        let names: Vec<&String> = call.attributes.keys().collect();
        bail!("it has no value of numbers, but {names:?}")
    })
}

/// A view of one number.
pub(super) fn constant_of_shape(call: &Call) -> Result<Vec<Tensor>> {
    let shape = call.list(0)?.context("it says no shape")?;
    fits(&shape)?;
    let value = match call.tensor("value")? {
        Some(value) => value.f_reshape([0i64; 0])?,
        None => Tensor::from(0f32),
    };
    one(value.f_expand(shape, false)?)
}

/// From the first to before the second number, in steps of the third.
pub(super) fn range(call: &Call) -> Result<Vec<Tensor>> {
    let kind = call.input(0)?.kind();
    let number = |i| call.number(i)?.with_context(|| format!("its input {i} is missing"));
    let [from, to, step] = [number(0)?, number(1)?, number(2)?];
    ensure!([from, to, step].iter().all(|n| n.is_finite()), "from {from} to {to} by {step}");
    ensure!(step != 0., "its step is 0");
    let count = ((to - from) / step).ceil().max(0.).min((1u64 << 40) as f64) as i64;
    fits(&[count])?;
    let steps = Tensor::f_arange(count, (Kind::Double, Device::Cpu))?;
    one((steps * step + from).to_kind(kind))
}

/// To a float: floats stay what the pass computes in.
fn cast_to(x: &Tensor, kind: Kind) -> Result<Vec<Tensor>> {
    let same = x.kind() == kind || (x.is_floating_point() && kind == Kind::Float);
    one(if same { x.shallow_clone() } else { x.to_kind(kind) })
}

pub(super) fn cast(call: &Call) -> Result<Vec<Tensor>> {
    cast_to(call.input(0)?, kind(call.int("to", 0)?)?)
}

pub(super) fn cast_like(call: &Call) -> Result<Vec<Tensor>> {
    let like = call.input(1)?;
    let kind = if like.is_floating_point() { Kind::Float } else { like.kind() };
    cast_to(call.input(0)?, kind)
}

/// (x − zero) · scale, each one number, or one for every place along an axis. A scale belongs to its
/// integers: it has no gradient.
pub(super) fn dequantize(call: &Call) -> Result<Vec<Tensor>> {
    let (x, scale) = (call.input(0)?, &call.floats(1)?.detach());
    ensure!(call.int("block_size", 0)? == 0, "scales of blocks are not supported");
    let x = x.to_device(scale.device()).to_kind(scale.kind());
    let along = |t: &Tensor| -> Result<Tensor> {
        if t.numel() == 1 {
            return Ok(t.f_reshape([0i64; 0])?);
        }
        let at = axis(call.int("axis", 1)?, x.dim())?;
        let n = x.size()[at];
        ensure!(t.size() == [n], "{:?} numbers along an axis of {n}", t.size());
        let mut shape = vec![1; x.dim()];
        shape[at] = n;
        Ok(t.f_reshape(shape)?)
    };
    let x = match call.like(2, scale) {
        Some(zero) => x.f_sub(&along(&zero)?)?,
        None => x.shallow_clone(),
    };
    one(x.f_mul(&along(scale)?)?)
}
