//! Operators that make one number of several, and softmax.

use super::call::{Call, axes, axis, one};
use anyhow::Result;
use tch::{TchError, Tensor};

/// Over the axes asked for; if none are, all of them, or with `noop_with_empty_axes` every number
/// alone. They are an attribute before opset 18 (of `ReduceSum`: 13), then an input.
pub(super) fn reduce(
    call: &Call,
    run: fn(&Tensor, &[i64], bool) -> Result<Tensor, TchError>,
) -> Result<Tensor> {
    let x = call.input(0)?;
    let asked = call.setting(1, "axes")?.filter(|all| !all.is_empty());
    let over = match asked {
        Some(all) => axes(&all, x.dim())?,
        None if call.int("noop_with_empty_axes", 0)? != 0 => {
            return Ok(run(&x.f_unsqueeze(0)?, &[0], false)?);
        }
        None => (0..x.dim() as i64).collect(),
    };
    // libtorch reads no axes as all of them: of a single number the same.
    Ok(run(x, &over, call.int("keepdims", 1)? != 0)?)
}

pub(super) fn mean(call: &Call) -> Result<Vec<Tensor>> {
    one(reduce(call, |x, over, keep| x.f_mean_dim(over, keep, x.kind()))?)
}

pub(super) fn sum(call: &Call) -> Result<Vec<Tensor>> {
    one(reduce(call, |x, over, keep| x.f_sum_dim_intlist(over, keep, x.kind()))?)
}

/// The root of the sum of squares, with gradient 0 at 0.
pub(super) fn l2(call: &Call) -> Result<Vec<Tensor>> {
    // tch panics on an error of a function that is given a scalar: `norm` refuses integers.
    call.floats(0)?;
    call.other(reduce(call, |x, over, keep| x.f_norm_scalaropt_dim(2., over, keep))?)
}

pub(super) fn prod(call: &Call) -> Result<Vec<Tensor>> {
    call.other(reduce(call, |x, over, keep| {
        let mut y = x.shallow_clone();
        for &a in over.iter().rev() {
            y = y.f_prod_dim_int(a, keep, x.kind())?;
        }
        Ok(y)
    })?)
}

/// The mean of every channel.
pub(super) fn global_average(call: &Call) -> Result<Vec<Tensor>> {
    let x = call.floats(0)?;
    let over: Vec<i64> = (2..x.dim() as i64).collect();
    one(if over.is_empty() { x.shallow_clone() } else { x.f_mean_dim(over, true, x.kind())? })
}

/// The largest number of every channel.
pub(super) fn global_max(call: &Call) -> Result<Vec<Tensor>> {
    let x = call.floats(0)?;
    let over: Vec<i64> = (2..x.dim() as i64).collect();
    call.other(if over.is_empty() { x.shallow_clone() } else { x.f_amax(over, true)? })
}

/// Along one axis; before opset 13 along all from the axis on, and that is 1 unless told.
pub(super) fn soft(
    call: &Call,
    run: fn(&Tensor, i64) -> Result<Tensor, TchError>,
) -> Result<Vec<Tensor>> {
    let x = call.floats(0)?;
    if call.opset >= 13 {
        return call.other(run(x, axis(call.int("axis", -1)?, x.dim())? as i64)?);
    }
    let (size, at) = (x.size(), call.int("axis", 1)?);
    if at == size.len() as i64 {
        return call.other(x.f_ones_like()?);
    }
    let at = axis(at, size.len())?;
    let flat = x.f_flatten(at as i64, -1)?;
    call.other(run(&flat, at as i64)?.f_reshape(size)?)
}
