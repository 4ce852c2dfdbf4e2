//! Operators that normalise: by running statistics, or by those of the input itself.

use super::call::{Call, axis, broadcast, one};
use anyhow::{Context, Result, ensure};
use tch::Tensor;

/// Running statistics are constants. With `training_mode` those of the batch take their place.
pub(super) fn batch(call: &Call) -> Result<Vec<Tensor>> {
    let x = call.floats(0)?;
    ensure!(x.dim() >= 2, "an input {:?}", x.size());
    ensure!(call.int("spatial", 1)? != 0, "statistics of every place are not supported");
    let channels = x.size()[1];
    let [scale, shift, mean, var] = [1, 2, 3, 4].map(|i| -> Result<Tensor> {
        let t = call.like(i, x).with_context(|| format!("its input {i} is missing"))?;
        ensure!(t.size() == [channels], "its input {i} is {:?}, not [{channels}]", t.size());
        Ok(t)
    });
    let (scale, shift) = (scale?, shift?);
    let epsilon = call.float("epsilon", 1e-5)?;
    let (mean, var) = (mean?.detach(), var?.detach());
    let training = call.int("training_mode", 0)? != 0;
    let running = (!training).then_some((mean, var));
    let (mean, var) = running.map_or((None, None), |(m, v)| (Some(m), Some(v)));
    let (scale, shift) = (Some(scale), Some(shift));
    let y = x.f_batch_norm(scale, shift, mean, var, training, 0.1, epsilon, true)?;
    if training { call.other(y) } else { one(y) }
}

/// Over the dimensions from `axis` on; scale and shift broadcast.
pub(super) fn layer(call: &Call) -> Result<Vec<Tensor>> {
    let x = call.floats(0)?;
    let shape = x.size()[axis(call.int("axis", -1)?, x.dim())?..].to_vec();
    let wide = |i| call.like(i, x).map(|t| t.f_expand(&shape, false)).transpose();
    let (scale, shift) = (wide(1)?, wide(2)?);
    call.other(x.f_layer_norm(&shape, scale, shift, call.float("epsilon", 1e-5)?, true)?)
}

/// Scale or shift `i`, one number per channel. Opset 18 of `GroupNormalization` has one per group.
fn per_channel(call: &Call, i: usize, x: &Tensor, groups: i64) -> Result<Option<Tensor>> {
    let Some(t) = call.like(i, x) else { return Ok(None) };
    let channels = x.size()[1];
    if t.size() == [channels] {
        return Ok(Some(t));
    }
    ensure!(t.size() == [groups], "its input {i} is {:?} of {channels} channels", t.size());
    Ok(Some(t.f_repeat_interleave_self_int(channels / groups, 0, None)?))
}

pub(super) fn instance(call: &Call) -> Result<Vec<Tensor>> {
    let x = call.floats(0)?;
    ensure!(x.dim() >= 3, "an input {:?}", x.size());
    let (scale, shift) = (per_channel(call, 1, x, -1)?, per_channel(call, 2, x, -1)?);
    let none = || None::<Tensor>;
    let epsilon = call.float("epsilon", 1e-5)?;
    call.other(x.f_instance_norm(scale, shift, none(), none(), true, 0.1, epsilon, true)?)
}

pub(super) fn group(call: &Call) -> Result<Vec<Tensor>> {
    let x = call.floats(0)?;
    ensure!(x.dim() >= 2, "an input {:?}", x.size());
    let (groups, channels) = (call.int("num_groups", 0)?, x.size()[1]);
    ensure!(groups >= 1 && channels % groups == 0, "{groups} groups of {channels} channels");
    let (scale, shift) = (per_channel(call, 1, x, groups)?, per_channel(call, 2, x, groups)?);
    call.other(x.f_group_norm(groups, scale, shift, call.float("epsilon", 1e-5)?, true)?)
}

/// By the root of the mean of squares over the dimensions from `axis` on; no shift.
pub(super) fn rms(call: &Call) -> Result<Vec<Tensor>> {
    let x = call.floats(0)?;
    call.input(1)?;
    let from = axis(call.int("axis", -1)?, x.dim())? as i64;
    let over: Vec<i64> = (from..x.dim() as i64).collect();
    let mean = x.f_square()?.f_mean_dim(over, true, x.kind())?;
    let y = x * (mean + call.float("epsilon", 1e-5)?).f_rsqrt()?;
    let scale = call.like(1, x).unwrap_or_else(|| x.ones_like());
    ensure!(broadcast(&y.size(), &scale.size())? == y.size(), "a scale {:?}", scale.size());
    call.other(y.f_mul(&scale)?)
}

/// By the sum of absolute values, or by the root of that of squares.
pub(super) fn lp(call: &Call) -> Result<Vec<Tensor>> {
    let x = call.floats(0)?;
    let (at, p) = (axis(call.int("axis", -1)?, x.dim())? as i64, call.int("p", 2)?);
    ensure!(p == 1 || p == 2, "its `p` is {p}");
    call.other(x.f_div(&x.f_norm_scalaropt_dim(p, [at], true)?)?)
}
