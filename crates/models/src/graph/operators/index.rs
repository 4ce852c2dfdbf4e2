//! Operators that pick and put numbers by their places. Places are checked while they are on the
//! CPU: on a GPU libtorch ends the process.

use super::call::{Call, axis, grown, one};
use anyhow::{Result, bail, ensure};
use tch::{Device, Kind, Tensor};

/// Places along an axis of `n`, counted from the end where negative.
fn places(index: &Tensor, n: i64, device: Device) -> Result<Tensor> {
    ensure!(!index.is_floating_point(), "its places are {:?}, not integers", index.kind());
    let index = index.to_kind(Kind::Int64);
    if index.numel() > 0 {
        let (low, high) = (index.min().int64_value(&[]), index.max().int64_value(&[]));
        ensure!(low >= -n && high < n, "a place among {low}..={high} of an axis of {n}");
    }
    let wrapped = &index + n;
    Ok(index.f_where_self(&index.f_ge(0)?, &wrapped)?.to_device(device))
}

/// The places take the place of the axis.
pub(super) fn gather(call: &Call) -> Result<Vec<Tensor>> {
    let (x, index) = (call.input(0)?, call.input(1)?);
    let (size, at) = (x.size(), axis(call.int("axis", 0)?, x.dim())?);
    let shape = [&size[..at], &index.size(), &size[at + 1..]].concat();
    grown(&shape, x.numel())?;
    if index.numel() == 1 && !index.device().is_cuda() {
        // One place is a view: nothing is uploaded, nothing copied.
        let place = places(index, size[at], Device::Cpu)?.f_reshape([1])?.int64_value(&[0]);
        return one(x.f_narrow(at as i64, place, 1)?.f_reshape(shape)?);
    }
    let flat = places(index, size[at], x.device())?.f_reshape([index.numel() as i64])?;
    one(x.f_index_select(at as i64, &flat)?.f_reshape(shape)?)
}

pub(super) fn gather_elements(call: &Call) -> Result<Vec<Tensor>> {
    let (x, index) = (call.input(0)?, call.input(1)?);
    let at = axis(call.int("axis", 0)?, x.dim())?;
    one(x.f_gather(at as i64, &places(index, x.size()[at], x.device())?, false)?)
}

/// The last axis of `index` as places along the axes of `x` after the first `batch`, along which
/// entry i reads from entry i.
fn coordinates(x: &Tensor, index: &Tensor, batch: usize) -> Result<Vec<Option<Tensor>>> {
    ensure!(index.dim() >= 1, "its places have no dimension");
    let (size, shape) = (x.size(), index.size());
    let (outer, depth) = (&shape[..shape.len() - 1], shape[shape.len() - 1]);
    ensure!(
        batch <= outer.len() && depth >= 1 && batch as i64 + depth <= size.len() as i64,
        "places {shape:?} in {size:?} after {batch} axes"
    );
    ensure!(outer[..batch] == size[..batch], "places {shape:?} in {size:?}: other batches");
    let mut all = vec![];
    for (i, &n) in outer[..batch].iter().enumerate() {
        let mut along = vec![1; outer.len()];
        along[i] = n;
        let count = Tensor::f_arange(n, (Kind::Int64, x.device()))?;
        all.push(Some(count.f_reshape(along)?.f_expand(outer, false)?));
    }
    for j in 0..depth {
        let one = index.f_select(-1, j)?;
        all.push(Some(places(&one, size[batch + j as usize], x.device())?));
    }
    Ok(all)
}

pub(super) fn gather_nd(call: &Call) -> Result<Vec<Tensor>> {
    let (x, index) = (call.input(0)?, call.input(1)?);
    let batch = call.int("batch_dims", 0)?;
    ensure!((0..64).contains(&batch), "its `batch_dims` is {batch}");
    let all = coordinates(x, index, batch as usize)?;
    let shape = [&index.size()[..index.dim() - 1], &x.size()[all.len()..]].concat();
    grown(&shape, x.numel())?;
    one(x.f_index(&all)?)
}

/// A copy in which other numbers stand at some places.
pub(super) fn scatter_nd(call: &Call) -> Result<Vec<Tensor>> {
    let (x, index) = (call.input(0)?, call.input(1)?);
    let all = coordinates(x, index, 0)?;
    call.input(2)?;
    let updates = call.like(2, x).unwrap_or_else(|| x.zeros_like());
    let shape = [&index.size()[..index.dim() - 1], &x.size()[all.len()..]].concat();
    ensure!(updates.size() == shape, "updates {:?} of {shape:?}", updates.size());
    let add = match call.text("reduction", "none")? {
        "none" => false,
        "add" => true,
        other => bail!("the reduction `{other}` is not supported"),
    };
    one(x.f_index_put(&all, &updates, add)?)
}

/// `exclusive` leaves each entry out of its own sum; `reverse` sums from the end.
pub(super) fn cum_sum(call: &Call) -> Result<Vec<Tensor>> {
    let x = call.input(0)?;
    let Some(&[at]) = call.list(1)?.as_deref() else { bail!("it says no axis, or several") };
    let at = axis(at, x.dim())? as i64;
    let turn = call.int("reverse", 0)? != 0;
    let turned = |t: &Tensor| if turn { t.f_flip([at]) } else { Ok(t.shallow_clone()) };
    let mut y = turned(x)?;
    if call.int("exclusive", 0)? != 0 {
        let n = y.size()[at as usize];
        let first = y.f_narrow(at, 0, n.min(1))?.f_zeros_like()?;
        y = Tensor::f_cat(&[first, y.f_narrow(at, 0, (n - 1).max(0))?], at)?;
    }
    one(turned(&y.f_cumsum(at, x.kind())?)?)
}

pub(super) fn choose(call: &Call) -> Result<Vec<Tensor>> {
    let [x, y] = [call.input(1)?, call.input(2)?];
    let condition = call.input(0)?.to_kind(Kind::Bool);
    let device = [x, y].map(Tensor::device).into_iter().find(|d| d.is_cuda());
    let device = device.unwrap_or(condition.device());
    let shape = super::call::broadcast(&x.size(), &y.size())?;
    let shape = super::call::broadcast(&shape, &condition.size())?;
    grown(&shape, x.numel().max(y.numel()).max(condition.numel()))?;
    let (x, y) = (x.to_device(device), y.to_device(device));
    one(x.f_where_self(&condition.to_device(device), &y)?)
}
