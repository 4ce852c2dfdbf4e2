//! What an operator sees of its node: the tensors that it reads, checked, and its attributes.

use crate::{Activation, Ops, graph::Node};
use anyhow::{Context, Result, ensure};
use std::{
    collections::BTreeSet,
    ops::Deref,
    sync::{Mutex, PoisonError},
};
use tch::{Device, Kind, Tensor};

/// Numbers of a tensor that an attribute or a shape asks for, at most.
const MOST: i64 = 1 << 28;
/// Tensors that a node keeps, at most.
const KEPT: usize = 8;

/// What a tensor was made for: three numbers and a scale, a type, a device.
type Key = ([i64; 3], u64, Kind, Device);
/// Tensors of settings alone, kept from pass to pass; passes of several threads may share them.
pub type Memo = Mutex<Vec<(Key, Tensor)>>;

/// A node with what it reads.
pub struct Call<'a> {
    /// The node.
    pub node: &'a Node,
    /// What it reads, none where an input is left out; there may be fewer than the operator has.
    pub inputs: &'a [Option<Tensor>],
    /// What the pass does to nonlinearities.
    pub ops: &'a dyn Ops,
    /// What the node keeps.
    pub memo: &'a Memo,
}

/// Its attributes are the node's.
impl Deref for Call<'_> {
    type Target = Node;

    fn deref(&self) -> &Node {
        self.node
    }
}

impl Call<'_> {
    /// Input `i`, if it is there.
    pub(super) fn get(&self, i: usize) -> Option<&Tensor> {
        self.inputs.get(i).and_then(Option::as_ref)
    }

    /// Input `i`. Errors: it is left out.
    pub(super) fn input(&self, i: usize) -> Result<&Tensor> {
        self.get(i).with_context(|| format!("its input {i} is missing"))
    }

    /// Input `i`, which must be floats. Errors: left out, integers or truth values.
    pub(super) fn floats(&self, i: usize) -> Result<&Tensor> {
        let x = self.input(i)?;
        ensure!(x.is_floating_point(), "its input {i} is {:?}, not floats", x.kind());
        Ok(x)
    }

    /// Input `i`, if it is there, with the type and on the device of `x`.
    pub(super) fn like(&self, i: usize, x: &Tensor) -> Option<Tensor> {
        self.get(i).map(|t| t.to_device(x.device()).to_kind(x.kind()))
    }

    /// All inputs, of one device; where some are on a GPU and some on the CPU, those move.
    pub(super) fn all(&self) -> Result<Vec<Tensor>> {
        let given: Vec<&Tensor> = self.inputs.iter().flatten().collect();
        let first = given.first().context("it has no input")?;
        let device = given.iter().map(|t| t.device()).find(|d| d.is_cuda());
        let device = device.unwrap_or(first.device());
        Ok(given.iter().map(|t| t.to_device(device)).collect())
    }

    /// The first two inputs, of one device. Before opset 7, `axis` says from which dimension of the
    /// first on the second lies. Errors: one is missing, they do not broadcast.
    pub(super) fn pair(&self) -> Result<[Tensor; 2]> {
        let (a, b) = (self.input(0)?, self.input(1)?);
        let old = self.opset < 7 && self.attributes.contains_key("axis");
        let aligned = match old {
            true => {
                let from = axis(self.int("axis", 0)?, a.dim().max(1))?;
                let behind = a.dim().saturating_sub(from + b.dim());
                b.f_reshape([b.size(), vec![1; behind]].concat())?
            }
            false => b.shallow_clone(),
        };
        let b = &aligned;
        let shape = broadcast(&a.size(), &b.size())?;
        grown(&shape, a.numel().max(b.numel()))?;
        let device = if a.device().is_cuda() { a.device() } else { b.device() };
        Ok([a.to_device(device), b.to_device(device)])
    }

    /// The integers of input `i`, if it is there. Errors: floats, more than 65,536.
    pub(super) fn list(&self, i: usize) -> Result<Option<Vec<i64>>> {
        let Some(t) = self.get(i) else { return Ok(None) };
        ensure!(!t.is_floating_point(), "its input {i} is {:?}, not integers", t.kind());
        ensure!(t.numel() <= 1 << 16, "its input {i} has {} numbers", t.numel());
        Ok(Some(Vec::try_from(t.to_kind(Kind::Int64).f_flatten(0, -1)?)?))
    }

    /// The only number of input `i`, if it is there. Errors: several, none.
    pub(super) fn number(&self, i: usize) -> Result<Option<f64>> {
        let Some(t) = self.get(i) else { return Ok(None) };
        ensure!(t.numel() == 1, "its input {i} has {} numbers, not one", t.numel());
        Ok(Some(t.f_double_value(&vec![0; t.dim()])?))
    }

    /// The integers of input `i` or, in older files, of the attribute `name`.
    pub(super) fn setting(&self, i: usize, name: &str) -> Result<Option<Vec<i64>>> {
        match self.list(i)? {
            Some(list) => Ok(Some(list)),
            None => self.ints(name),
        }
    }

    /// What `make` gives, made once for each of a few keys.
    pub(super) fn once(&self, key: Key, make: impl Fn() -> Result<Tensor>) -> Result<Tensor> {
        let mut kept = self.memo.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, made)) = kept.iter().find(|(known, _)| *known == key) {
            return Ok(made.shallow_clone());
        }
        kept.truncate(KEPT - 1);
        kept.insert(0, (key, make()?));
        Ok(kept[0].1.shallow_clone())
    }

    /// The nonlinearity of input 0.
    pub(super) fn act(&self, activation: &Activation) -> Result<Vec<Tensor>> {
        one(self.ops.act(activation, self.floats(0)?))
    }

    /// `y` as what is not linear, if it is floats.
    pub(super) fn other(&self, y: Tensor) -> Result<Vec<Tensor>> {
        one(if y.is_floating_point() { self.ops.other(y) } else { y })
    }
}

/// What an operator with one output gives.
pub(super) fn one(y: Tensor) -> Result<Vec<Tensor>> {
    Ok(vec![y])
}

/// The place of an axis, counted from the end where negative. Errors: there is none.
pub(super) fn axis(axis: i64, rank: usize) -> Result<usize> {
    let r = rank as i64;
    ensure!((-r..r).contains(&axis), "axis {axis} of a tensor with {rank} dimensions");
    Ok((if axis < 0 { axis + r } else { axis }) as usize)
}

/// The places of several axes, ascending. Errors: those of [`axis`], one twice.
pub(super) fn axes(list: &[i64], rank: usize) -> Result<Vec<i64>> {
    let set = list.iter().map(|&a| Ok(axis(a, rank)? as i64)).collect::<Result<BTreeSet<i64>>>()?;
    ensure!(set.len() == list.len(), "an axis twice in {list:?}");
    Ok(set.into_iter().collect())
}

/// That a shape can be and has at most 2²⁸ numbers.
pub(super) fn fits(shape: &[i64]) -> Result<()> {
    ensure!(shape.iter().all(|&n| n >= 0), "{shape:?} is no shape");
    // Also without its zeros: libtorch multiplies the other dimensions into strides.
    let all = shape.iter().try_fold(1i64, |n, &d| n.checked_mul(d.max(1)).filter(|n| *n <= MOST));
    ensure!(all.is_some(), "the shape {shape:?} has more than 2^28 numbers");
    Ok(())
}

/// The same where a shape has more numbers than the `before` that it is made of.
pub(super) fn grown(shape: &[i64], before: usize) -> Result<()> {
    let all = shape.iter().try_fold(1i64, |n, &d| n.checked_mul(d).filter(|_| d >= 0));
    if all.is_some_and(|n| n as usize <= before) { Ok(()) } else { fits(shape) }
}

/// The shape that two shapes broadcast to. Errors: they do not.
pub(super) fn broadcast(a: &[i64], b: &[i64]) -> Result<Vec<i64>> {
    let rank = a.len().max(b.len());
    let at = |s: &[i64], i: usize| (i + s.len()).checked_sub(rank).map_or(1, |j| s[j]);
    let shape = (0..rank).map(|i| match (at(a, i), at(b, i)) {
        (1, n) | (n, 1) => Some(n),
        (n, m) => (n == m).then_some(n),
    });
    let shape: Option<Vec<i64>> = shape.collect();
    shape.with_context(|| format!("the shapes {a:?} and {b:?} do not broadcast"))
}
