//! Arithmetic and comparison, entry by entry, and products of matrices.

use super::call::{Call, broadcast, grown, one};
use anyhow::{Context, Result, bail, ensure};
use std::collections::HashMap;
use tch::{Kind, TchError, Tensor};

/// A function of two tensors that broadcast.
pub(super) fn both(
    call: &Call,
    run: fn(&Tensor, &Tensor) -> Result<Tensor, TchError>,
) -> Result<Vec<Tensor>> {
    let [a, b] = call.pair()?;
    one(run(&a, &b)?)
}

/// A pointwise function that is not linear.
pub(super) fn map(
    call: &Call,
    run: fn(&Tensor) -> Result<Tensor, TchError>,
) -> Result<Vec<Tensor>> {
    call.other(run(call.input(0)?)?)
}

/// Linear where one of the two is a single number.
pub(super) fn mul(call: &Call) -> Result<Vec<Tensor>> {
    let [a, b] = call.pair()?;
    let y = a.f_mul(&b)?;
    if a.numel() == 1 || b.numel() == 1 { one(y) } else { call.other(y) }
}

/// −1 apart: the least integer by −1 ends the process.
fn divisor(b: &Tensor) -> Result<[Tensor; 2]> {
    let plain = b.f_ne(-1)?;
    Ok([b.f_where_self(&plain, &b.f_ones_like()?)?, plain])
}

/// Integers are cut off towards 0.
pub(super) fn div(call: &Call) -> Result<Vec<Tensor>> {
    let [a, b] = call.pair()?;
    if a.is_floating_point() || b.is_floating_point() {
        let y = a.f_div(&b)?;
        return if b.numel() == 1 { one(y) } else { call.other(y) };
    }
    let [safe, plain] = divisor(&b)?;
    let quotient = a.f_divide_tensor_mode(&safe, "trunc")?;
    one(quotient.f_where_self(&plain, &quotient.f_neg()?)?)
}

/// The sign of the divisor, or with `fmod` that of the dividend.
pub(super) fn modulo(call: &Call) -> Result<Vec<Tensor>> {
    let [a, b] = call.pair()?;
    let b = if b.is_floating_point() { b } else { divisor(&b)?[0].shallow_clone() };
    let fmod = call.int("fmod", 0)? != 0;
    call.other(if fmod { a.f_fmod_tensor(&b)? } else { a.f_remainder_tensor(&b)? })
}

/// One number as exponent has no gradient: by the exponent it is NaN at 0.
pub(super) fn pow(call: &Call) -> Result<Vec<Tensor>> {
    let (a, b) = (call.input(0)?, call.input(1)?);
    let y = match b.numel() {
        1 if a.is_floating_point() || b.is_floating_point() => {
            let exponent = call.number(1)?.context("no exponent")?;
            let base =
                if a.is_floating_point() { a.shallow_clone() } else { a.to_kind(Kind::Double) };
            let shape = broadcast(&a.size(), &b.size())?;
            base.f_pow_tensor_scalar(exponent)?.f_reshape(shape)?
        }
        _ => {
            let [a, b] = call.pair()?;
            a.f_pow(&b)?
        }
    };
    call.other(if a.is_floating_point() { y } else { y.to_kind(a.kind()) })
}

/// All inputs one after the other.
pub(super) fn fold(
    call: &Call,
    run: impl Fn(&Tensor, &Tensor) -> Result<Tensor>,
) -> Result<Vec<Tensor>> {
    let all = call.all()?;
    let mut y = all[0].shallow_clone();
    for t in &all[1..] {
        grown(&broadcast(&y.size(), &t.size())?, y.numel().max(t.numel()))?;
        y = run(&y, t)?;
    }
    one(y)
}

/// The sum of all inputs by their number.
pub(super) fn mean(call: &Call) -> Result<Vec<Tensor>> {
    let count = call.inputs.iter().flatten().count() as f64;
    one(fold(call, |a, b| Ok(a.f_add(b)?))?.swap_remove(0) / count)
}

/// Of one type, the wider: f64 where the pass computes in it.
fn alike(a: Tensor, b: Tensor) -> [Tensor; 2] {
    if a.kind() == b.kind() {
        return [a, b];
    }
    let wide = [&a, &b].into_iter().find(|t| t.kind() == Kind::Double).unwrap_or(&a).kind();
    [a.to_kind(wide), b.to_kind(wide)]
}

pub(super) fn matmul(call: &Call) -> Result<Vec<Tensor>> {
    let (a, b) = (call.input(0)?, call.input(1)?);
    let (m, n) = (a.size(), b.size());
    ensure!(!m.is_empty() && !n.is_empty(), "a product of {m:?} and {n:?}");
    let head = |s: &[i64]| s[..s.len().saturating_sub(2)].to_vec();
    let mut shape = broadcast(&head(&m), &head(&n))?;
    // Per image, where the first dimension can be one.
    let images = if shape.is_empty() { 1 } else { shape.remove(0).max(1) };
    if m.len() > 1 {
        shape.push(m[m.len() - 2]);
    }
    if n.len() > 1 {
        shape.push(n[n.len() - 1]);
    }
    grown(&shape, a.numel().max(b.numel()) / images as usize)?;
    let device = if a.device().is_cuda() { a.device() } else { b.device() };
    let [a, b] = alike(a.to_device(device), b.to_device(device));
    let y = a.f_matmul(&b)?;
    if n.len() == 2 { one(y) } else { call.other(y) }
}

/// α A B + β C, A and B transposed on demand; C broadcasts.
pub(super) fn gemm(call: &Call) -> Result<Vec<Tensor>> {
    let a = call.floats(0)?;
    call.input(1)?;
    let b = call.like(1, a).unwrap_or_else(|| a.zeros_like());
    ensure!(a.dim() == 2 && b.dim() == 2, "a product of {:?} and {:?}", a.size(), b.size());
    let turned = |t: &Tensor, name| {
        Ok::<_, anyhow::Error>(match call.int(name, 0)? {
            0 => t.shallow_clone(),
            _ => t.f_transpose(0, 1)?,
        })
    };
    let (a, b) = (turned(a, "transA")?, turned(&b, "transB")?);
    grown(&[a.size()[0], b.size()[1]], a.numel().max(b.numel()))?;
    let (alpha, beta) = (call.float("alpha", 1.)?, call.float("beta", 1.)?);
    let b = if alpha == 1. { b } else { b * alpha };
    let Some(c) = call.like(2, &a) else { return one(a.f_matmul(&b)?) };
    let c = if beta == 1. { c } else { c * beta };
    if c.numel() as i64 == b.size()[1] && c.size().last() == b.size().get(1) {
        return one(a.f_linear(&b.f_transpose(0, 1)?, Some(&c.f_flatten(0, -1)?))?);
    }
    let y = a.f_matmul(&b)?;
    ensure!(broadcast(&y.size(), &c.size())? == y.size(), "{:?} plus {:?}", y.size(), c.size());
    one(y.f_add(&c)?)
}

pub(super) fn einsum(call: &Call) -> Result<Vec<Tensor>> {
    let equation: String = call.text("equation", "")?.split_whitespace().collect();
    let all = call.all()?;
    ensure!(all.len() <= 2, "an `Einsum` of {} inputs is not supported", all.len());
    let (left, right) = match equation.split_once("->") {
        Some((left, right)) => (left, Some(right)),
        None => (equation.as_str(), None),
    };
    let terms: Vec<&str> = left.split(',').collect();
    ensure!(terms.len() == all.len(), "`{equation}` of {} inputs", all.len());
    let mut sizes = HashMap::new();
    for (term, t) in terms.iter().zip(&all) {
        if term.contains('.') {
            continue;
        }
        ensure!(term.chars().count() == t.dim(), "`{term}` of {:?}", t.size());
        sizes.extend(term.chars().zip(t.size()));
    }
    let most = all.iter().map(Tensor::numel).max().unwrap_or(0);
    match right {
        Some(right) if !equation.contains('.') => {
            let shape: Option<Vec<i64>> = right.chars().map(|c| sizes.get(&c).copied()).collect();
            grown(&shape.with_context(|| format!("`{equation}` gives what it has not"))?, most)?;
        }
        _ => {
            let product = all.iter().try_fold(1usize, |n, t| n.checked_mul(t.numel()));
            if product.is_none_or(|n| n > 1 << 32) {
                bail!("`{equation}` of tensors this large; name every axis")
            }
        }
    }
    let [first, rest @ ..] = all.as_slice() else { bail!("it has no input") };
    let all = match rest {
        [second] => Vec::from(alike(first.shallow_clone(), second.shallow_clone())),
        _ => vec![first.shallow_clone()],
    };
    call.other(Tensor::f_einsum(&equation, &all, None::<i64>)?)
}
