//! Operators that move numbers without changing them: shapes, axes, pieces.

use super::call::{Call, axes, axis, broadcast, fits, grown, one};
use crate::upload;
use anyhow::{Context, Result, bail, ensure};
use tch::{Device, Kind, Tensor};

/// 0 keeps a dimension unless `allowzero`; −1 is what is left. An attribute before opset 5.
pub(super) fn reshape(call: &Call) -> Result<Vec<Tensor>> {
    let x = call.input(0)?;
    let asked = call.setting(1, "shape")?.context("it says no shape")?;
    let (size, zero) = (x.size(), call.int("allowzero", 0)? != 0);
    let shape = asked.iter().enumerate().map(|(i, &n)| match n {
        0 if !zero => size.get(i).copied().with_context(|| format!("no dimension {i} in {size:?}")),
        n => Ok(n),
    });
    let shape = shape.collect::<Result<Vec<i64>>>()?;
    let product = shape.iter().try_fold(1i64, |n, &d| n.checked_mul(d.max(1)));
    ensure!(
        product.is_some_and(|n| n <= (x.numel() as i64).max(1 << 28)),
        "shape {asked:?} is invalid for input of size {}",
        x.numel()
    );
    one(x.f_reshape(shape)?)
}

/// The input itself.
pub(super) fn same(call: &Call) -> Result<Vec<Tensor>> {
    one(call.input(0)?.shallow_clone())
}

/// The input itself, or an error where the file was exported in training mode.
pub(super) fn dropout(call: &Call) -> Result<Vec<Tensor>> {
    let training = call.number(2)?.is_some_and(|training| training != 0.);
    ensure!(!training, "it drops numbers at random; export after `model.eval()`");
    same(call)
}

/// Two dimensions: those before the axis and those from it.
pub(super) fn flatten(call: &Call) -> Result<Vec<Tensor>> {
    let x = call.input(0)?;
    let (size, at) = (x.size(), call.int("axis", 1)?);
    let at = if at == size.len() as i64 { size.len() } else { axis(at, size.len())? };
    let count = |all: &[i64]| all.iter().product::<i64>();
    one(x.f_reshape([count(&size[..at]), count(&size[at..])])?)
}

/// Reverses the dimensions unless told otherwise.
pub(super) fn transpose(call: &Call) -> Result<Vec<Tensor>> {
    let x = call.input(0)?;
    let order = call.ints("perm")?.unwrap_or_else(|| (0..x.dim() as i64).rev().collect());
    one(x.f_permute(order)?)
}

/// Without axes, every dimension of 1. An attribute before opset 13.
pub(super) fn squeeze(call: &Call) -> Result<Vec<Tensor>> {
    let x = call.input(0)?;
    let Some(list) = call.setting(1, "axes")? else {
        return one(x.f_squeeze()?);
    };
    let list = axes(&list, x.dim())?;
    for &a in &list {
        let n = x.size()[a as usize];
        ensure!(n == 1, "dimension {a} of {:?} is {n}, not 1", x.size());
    }
    one(x.f_squeeze_dims(list)?)
}

/// Axes are places in the result.
pub(super) fn unsqueeze(call: &Call) -> Result<Vec<Tensor>> {
    let x = call.input(0)?;
    let list = call.setting(1, "axes")?.context("it says no axes")?;
    let rank = x.dim() + list.len();
    ensure!(rank <= 64, "{rank} dimensions");
    let mut y = x.shallow_clone();
    for a in axes(&list, rank)? {
        y = y.f_unsqueeze(a)?;
    }
    one(y)
}

/// A view; input and shape broadcast to each other.
pub(super) fn expand(call: &Call) -> Result<Vec<Tensor>> {
    let x = call.input(0)?;
    let shape = broadcast(&x.size(), &call.list(1)?.context("it says no shape")?)?;
    grown(&shape, x.numel())?;
    one(x.f_expand(shape, false)?)
}

pub(super) fn tile(call: &Call) -> Result<Vec<Tensor>> {
    let x = call.input(0)?;
    let times = call.list(1)?.context("it says no repeats")?;
    ensure!(times.len() == x.dim(), "{} repeats of {:?}", times.len(), x.size());
    let shape = x.size().into_iter().zip(&times).map(|(n, &t)| n.checked_mul(t));
    let shape: Option<Vec<i64>> = shape.collect();
    fits(&times)?;
    fits(&shape.context("its repeats are too many")?)?;
    one(x.f_repeat(times)?)
}

pub(super) fn concat(call: &Call) -> Result<Vec<Tensor>> {
    let all = call.all()?;
    let at = axis(call.int("axis", 1)?, all[0].dim())?;
    ensure!(all.iter().all(|t| t.dim() == all[0].dim()), "its inputs differ in dimensions");
    let mut shape = all[0].size();
    shape[at] = all.iter().map(|t| t.size()[at]).sum();
    grown(&shape, all.iter().map(Tensor::numel).max().unwrap_or(0))?;
    one(Tensor::f_cat(&all, at as i64)?)
}

/// Sizes are an attribute before opset 13, then an input; else equal parts, the last the smallest.
pub(super) fn split(call: &Call) -> Result<Vec<Tensor>> {
    let x = call.input(0)?;
    let at = axis(call.int("axis", 0)?, x.dim())?;
    let n = x.size()[at];
    let sizes = match call.setting(1, "split")? {
        Some(sizes) => sizes,
        None => {
            let parts = call.int("num_outputs", call.outputs.len() as i64)?;
            ensure!((1..=1 << 16).contains(&parts), "{parts} parts");
            let each = (n + parts - 1) / parts;
            (0..parts).map(|i| each.min(n - i * each).max(0)).collect()
        }
    };
    let total = sizes.iter().try_fold(0i64, |sum, &s| sum.checked_add(s).filter(|_| s >= 0));
    ensure!(total == Some(n), "its parts {sizes:?} are not the {n} of axis {at}");
    Ok(x.f_split_with_sizes(sizes, at as i64)?)
}

/// From opset 15 a part of the shape.
pub(super) fn shape(call: &Call) -> Result<Vec<Tensor>> {
    let size = call.input(0)?.size();
    let rank = size.len() as i64;
    let place = |p: i64| (if p < 0 { p.saturating_add(rank) } else { p }).clamp(0, rank) as usize;
    let (from, to) = (place(call.int("start", 0)?), place(call.int("end", rank)?));
    one(Tensor::from_slice(&size[from..to.max(from)]))
}

pub(super) fn size(call: &Call) -> Result<Vec<Tensor>> {
    one(Tensor::from(call.input(0)?.numel() as i64))
}

/// Attributes before opset 10, then inputs. Ends far outside mean the end.
pub(super) fn slice(call: &Call) -> Result<Vec<Tensor>> {
    let from = call.setting(1, "starts")?.context("it says no starts")?;
    let to = call.setting(2, "ends")?.context("it says no ends")?;
    let mut y = call.input(0)?.shallow_clone();
    let list = call.setting(3, "axes")?.unwrap_or_else(|| (0..from.len() as i64).collect());
    let steps = call.list(4)?.unwrap_or_else(|| vec![1; from.len()]);
    ensure!(
        [to.len(), list.len(), steps.len()] == [from.len(); 3],
        "{} starts, {} ends, {} axes, {} steps",
        from.len(),
        to.len(),
        list.len(),
        steps.len()
    );
    for i in 0..from.len() {
        let at = axis(list[i], y.dim())?;
        let n = y.size()[at];
        let place = |p: i64| if p < 0 { p.saturating_add(n) } else { p };
        let (start, end, step) = (place(from[i]), place(to[i]), steps[i]);
        let at = at as i64;
        y = match step {
            1.. => {
                let start = start.clamp(0, n);
                y.f_slice(at, start, end.clamp(start, n), step)?
            }
            0 => bail!("its step is 0"),
            _ => {
                let (mut next, end) = (start.min(n - 1), end.max(-1));
                let mut index = vec![];
                while next > end {
                    index.push(next);
                    next = next.saturating_add(step);
                }
                let index = upload(&index, y.device());
                y.f_index_select(at, &index)?
            }
        };
    }
    one(y)
}

/// Blocks of channels to blocks of places; `DCR` counts the block's place before the channel.
pub(super) fn depth_to_space(call: &Call) -> Result<Vec<Tensor>> {
    let ([n, c, h, w], b) = blocks(call)?;
    let x = call.input(0)?;
    ensure!(c % (b * b) == 0, "{c} channels in blocks of {b} x {b}");
    let c = c / (b * b);
    one(match call.text("mode", "DCR")? {
        "CRD" => x.f_reshape([n, c, b, b, h, w])?.f_permute([0, 1, 4, 2, 5, 3])?,
        _ => x.f_reshape([n, b, b, c, h, w])?.f_permute([0, 3, 4, 1, 5, 2])?,
    }
    .f_reshape([n, c, h * b, w * b])?)
}

pub(super) fn space_to_depth(call: &Call) -> Result<Vec<Tensor>> {
    let ([n, c, h, w], b) = blocks(call)?;
    ensure!(h % b == 0 && w % b == 0, "{h} x {w} in blocks of {b} x {b}");
    let parts = call.input(0)?.f_reshape([n, c, h / b, b, w / b, b])?;
    one(parts.f_permute([0, 3, 5, 1, 2, 4])?.f_reshape([n, c * b * b, h / b, w / b])?)
}

fn blocks(call: &Call) -> Result<([i64; 4], i64)> {
    let size = call.input(0)?.size();
    let four: [i64; 4] = size
        .try_into()
        .map_err(|size| anyhow::anyhow!("an input {size:?}, not of 4 dimensions"))?;
    let b = call.int("blocksize", 0)?;
    ensure!((1..=1 << 12).contains(&b), "its `blocksize` is {b}");
    Ok((four, b))
}

/// The part of the last two dimensions above (or below) a diagonal.
pub(super) fn trilu(call: &Call) -> Result<Vec<Tensor>> {
    let x = call.input(0)?;
    ensure!(x.dim() >= 2, "an input {:?}", x.size());
    let k = call.number(1)?.unwrap_or(0.).clamp(-1e9, 1e9) as i64;
    one(if call.int("upper", 1)? != 0 { x.f_triu(k)? } else { x.f_tril(k)? })
}

/// Ones on a diagonal, in the input's shape.
pub(super) fn eye_like(call: &Call) -> Result<Vec<Tensor>> {
    let x = call.input(0)?;
    let &[rows, columns] = x.size().as_slice() else { bail!("an input {:?}", x.size()) };
    let k = call.int("k", 0)?.clamp(-(1 << 40), 1 << 40);
    let kind = match call.attributes.get("dtype") {
        Some(_) => super::make::kind(call.int("dtype", 1)?)?,
        None => x.kind(),
    };
    fits(&[rows, columns])?;
    let count = |n: i64| Tensor::f_arange(n, (Kind::Int64, Device::Cpu));
    let eye = (count(rows)?.f_unsqueeze(1)? + k).f_eq_tensor(&count(columns)?)?;
    one(eye.to_kind(kind).to_device(x.device()))
}
