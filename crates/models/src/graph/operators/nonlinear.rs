//! Pointwise nonlinearities. Those with a name of their own are the pass's to treat.

use super::call::{Call, broadcast, one};
use crate::Activation;
use anyhow::{Result, ensure};
use std::rc::Rc;
use tch::Tensor;

/// Bounds from here on are none: files store the largest float for it.
const NONE: f64 = 3e38;
/// Two numbers up to here differ by a float.
const HALF: f64 = f32::MAX as f64 / 2.;

/// Bounds are attributes before opset 11, then inputs. All of it is `high` where `low` is larger.
pub(super) fn clip(call: &Call) -> Result<Vec<Tensor>> {
    let x = call.input(0)?;
    let bound = |i, name: &str| -> Result<Option<f64>> {
        let bound = match call.number(i)? {
            Some(bound) => Some(bound),
            None => call.maybe_float(name)?,
        };
        ensure!(bound.is_none_or(|b| !b.is_nan()), "its bound `{name}` is NaN");
        Ok(bound.filter(|b| b.abs() < NONE))
    };
    let (low, high) = (bound(1, "min")?, bound(2, "max")?);
    if !x.is_floating_point() {
        let low = low.map_or(Ok(x.shallow_clone()), |low| x.f_clamp_min(low as i64))?;
        return one(high.map_or(Ok(low.shallow_clone()), |high| low.f_clamp_max(high as i64))?);
    }
    let (low, high) = (low.unwrap_or(f64::NEG_INFINITY), high.unwrap_or(f64::INFINITY));
    if low >= high {
        return one(x.f_full_like(high)?);
    }
    match (low, high) {
        (0., f64::INFINITY) => call.act(&Activation::Relu),
        (f64::NEG_INFINITY, f64::INFINITY) => one(x.shallow_clone()),
        _ => call.act(&Activation::Clip { low, high }),
    }
}

pub(super) fn relu(call: &Call) -> Result<Vec<Tensor>> {
    let x = call.input(0)?;
    if x.is_floating_point() { call.act(&Activation::Relu) } else { one(x.f_clamp_min(0)?) }
}

/// max(x, 0) + max(−x, 0), each of which is the pass's to treat.
pub(super) fn abs(call: &Call) -> Result<Vec<Tensor>> {
    let x = call.input(0)?;
    if !x.is_floating_point() {
        return one(x.f_abs()?);
    }
    one(call.ops.act(&Activation::Relu, x) + call.ops.act(&Activation::Relu, &x.f_neg()?))
}

/// max(a, b) = b + max(a − b, 0), of which the last is the pass's to treat. What is lost where one
/// is far larger than the other, or infinite, is given back.
pub(super) fn larger(call: &Call, a: &Tensor, b: &Tensor) -> Result<Tensor> {
    let exact = a.f_maximum(b)?;
    if !exact.is_floating_point() {
        return Ok(exact);
    }
    let [a, b] = [a, b].map(|t| t.clamp(-HALF, HALF));
    let rise = a.f_sub(&b)?;
    let lost = (exact - (&b + rise.relu())).detach();
    Ok(b + call.ops.act(&Activation::Relu, &rise) + lost)
}

/// min(a, b) = −max(−a, −b).
pub(super) fn smaller(call: &Call, a: &Tensor, b: &Tensor) -> Result<Tensor> {
    match a.is_floating_point() && b.is_floating_point() {
        true => Ok(-larger(call, &-a, &-b)?),
        false => Ok(a.f_minimum(b)?),
    }
}

pub(super) fn leaky_relu(call: &Call) -> Result<Vec<Tensor>> {
    call.act(&Activation::LeakyRelu { slope: call.float("alpha", 0.01)? })
}

/// Its slopes broadcast to the input; before opset 7 several in a row are those of channels.
pub(super) fn prelu(call: &Call) -> Result<Vec<Tensor>> {
    let x = call.floats(0)?;
    call.input(1)?;
    let mut slope = call.like(1, x).unwrap_or_else(|| x.zeros_like());
    if call.opset < 7 && slope.dim() == 1 && slope.numel() > 1 {
        slope = slope.f_reshape([slope.size(), vec![1; x.dim().saturating_sub(2)]].concat())?;
    }
    let shape = broadcast(&x.size(), &slope.size())?;
    ensure!(shape == x.size(), "slopes {:?} of an input {:?}", slope.size(), x.size());
    call.act(&Activation::PRelu { slope: Rc::new(slope) })
}

pub(super) fn hard_sigmoid(call: &Call) -> Result<Vec<Tensor>> {
    let (scale, shift) = (call.float("alpha", 0.2)?, call.float("beta", 0.5)?);
    // Files store 1/6 as f32.
    let scale = if (scale - 1. / 6.).abs() < 1e-7 { 1. / 6. } else { scale };
    call.act(&Activation::HardSigmoid { scale, shift })
}

pub(super) fn elu(call: &Call) -> Result<Vec<Tensor>> {
    call.act(&Activation::Elu { alpha: call.float("alpha", 1.)? })
}

/// α elu(x / α).
pub(super) fn celu(call: &Call) -> Result<Vec<Tensor>> {
    let alpha = call.float("alpha", 1.)?;
    ensure!(alpha != 0., "its `alpha` is 0");
    one(call.ops.act(&Activation::ELU, &call.floats(0)?.f_div_scalar(alpha)?) * alpha)
}

pub(super) fn selu(call: &Call) -> Result<Vec<Tensor>> {
    let (alpha, gamma) = (call.float("alpha", 1.6732632)?, call.float("gamma", 1.050701)?);
    if (alpha - 1.6732632).abs() < 1e-5 && (gamma - 1.050701).abs() < 1e-5 {
        return call.act(&Activation::Selu);
    }
    one(call.ops.act(&Activation::Elu { alpha }, call.floats(0)?) * gamma)
}

pub(super) fn gelu(call: &Call) -> Result<Vec<Tensor>> {
    match call.text("approximate", "none")? {
        "tanh" => call.act(&Activation::GeluTanh),
        _ => call.act(&Activation::Gelu),
    }
}

/// x σ(α x).
pub(super) fn swish(call: &Call) -> Result<Vec<Tensor>> {
    let (x, alpha) = (call.floats(0)?, call.float("alpha", 1.)?);
    if alpha == 1. {
        return call.act(&Activation::Silu);
    }
    call.other(x * call.ops.act(&Activation::Sigmoid, &(x * alpha)))
}

/// x / (1 + |x|).
pub(super) fn softsign(call: &Call) -> Result<Vec<Tensor>> {
    let x = call.floats(0)?;
    call.other(x / (x.abs() + 1.))
}
