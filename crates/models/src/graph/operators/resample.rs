//! Padding and resizing: both read each axis at other places.

use super::call::{Call, axes, axis, fits, one};
use crate::upload;
use anyhow::{Context, Result, bail, ensure};
use tch::{Kind, Tensor};

/// All begins, then all ends; attributes before opset 11. Negative ones cut.
pub(super) fn pad(call: &Call) -> Result<Vec<Tensor>> {
    let x = call.input(0)?;
    let pads = call.setting(1, "pads")?.context("it says no pads")?;
    let rank = pads.len() / 2;
    let over = call.list(3)?.unwrap_or_else(|| (0..rank as i64).collect());
    ensure!(pads.len() == 2 * over.len(), "{} pads of {} axes", pads.len(), over.len());
    axes(&over, x.dim())?; // none twice
    ensure!(pads.iter().all(|p| p.abs_diff(0) <= 1 << 40), "its pads are {pads:?}");
    let (mut all, mut shape) = (vec![[0, 0]; x.dim()], x.size());
    for (j, &a) in over.iter().enumerate() {
        let at = axis(a, x.dim())?;
        all[at] = [pads[j], pads[j + rank]];
        let grown = shape[at].checked_add(pads[j]).and_then(|n| n.checked_add(pads[j + rank]));
        shape[at] = grown.with_context(|| format!("its pads are {pads:?}"))?;
    }
    super::call::grown(&shape, x.numel())?;
    let mode = call.text("mode", "constant")?;
    if mode == "constant" {
        let value = call.number(2)?.map_or_else(|| call.float("value", 0.), Ok)?;
        let flat: Vec<i64> = all.iter().rev().flatten().copied().collect();
        return one(x.f_pad(flat, "constant", value)?);
    }
    let mut y = x.shallow_clone();
    for (at, [before, after]) in all.into_iter().enumerate().filter(|(_, p)| *p != [0, 0]) {
        let n = x.size()[at];
        ensure!(n > 0, "padding by copies of {:?}", x.size());
        let place = |p: i64| match mode {
            "edge" => Ok(p.clamp(0, n - 1)),
            "wrap" => Ok(p.rem_euclid(n)),
            "reflect" => {
                let turn = p.rem_euclid((2 * n - 2).max(1));
                Ok(turn.min(2 * n - 2 - turn).max(0))
            }
            other => bail!("the mode `{other}` is not supported"),
        };
        let places = (-before..n + after).map(place).collect::<Result<Vec<i64>>>()?;
        y = y.f_index_select(at as i64, &upload(&places, x.device()))?;
    }
    one(y)
}

/// How an axis is read at other places.
struct Resampling<'a> {
    mode: &'a str,
    coordinates: &'a str,
    rounding: &'a str,
    cubic: f64,
    exclude_outside: bool,
}

/// Scales or sizes; those of old files are scales, whose places are counted from 0.
pub(super) fn resize(call: &Call) -> Result<Vec<Tensor>> {
    let x = call.floats(0)?;
    let old = call.opset < 11 || call.operator == "Upsample";
    ensure!(call.int("antialias", 0)? == 0, "`antialias` is not supported");
    let policy = call.text("keep_aspect_ratio_policy", "stretch")?;
    ensure!(policy == "stretch", "the policy `{policy}` is not supported");
    let reads = Resampling {
        mode: call.text("mode", "nearest")?,
        coordinates: match old {
            true => "asymmetric",
            false => call.text("coordinate_transformation_mode", "half_pixel")?,
        },
        rounding: if old { "floor" } else { call.text("nearest_mode", "round_prefer_floor")? },
        cubic: call.float("cubic_coeff_a", -0.75)?,
        exclude_outside: call.int("exclude_outside", 0)? != 0,
    };
    let over = match call.ints("axes")?.filter(|over| !over.is_empty()) {
        Some(over) => over,
        None => (0..x.dim() as i64).collect(),
    };
    axes(&over, x.dim())?;
    let (scales, sizes) = (scales(call, old)?, if old { None } else { call.list(3)? });
    let (scales, sizes) = (scales.filter(|s| !s.is_empty()), sizes.filter(|s| !s.is_empty()));
    let count = scales.as_ref().map(Vec::len).or(sizes.as_ref().map(Vec::len));
    ensure!(count == Some(over.len()), "{count:?} scales or sizes of {} axes", over.len());
    let (mut todo, mut shape) = (vec![], x.size());
    for (j, &a) in over.iter().enumerate() {
        let at = axis(a, x.dim())?;
        let n = shape[at];
        let (to, scale) = match (&scales, &sizes) {
            (_, Some(sizes)) => (sizes[j], sizes[j] as f64 / n as f64),
            (Some(scales), None) => ((n as f64 * scales[j]).floor() as i64, scales[j]),
            (None, None) => bail!("it says no scales and no sizes"),
        };
        ensure!(scale.is_finite() && scale > 0. && to > 0, "axis {at} of {n} to {to}");
        shape[at] = to;
        // The first may be that of images.
        fits(&shape[usize::from(at > 0)..])?;
        if to != n || scale != 1. {
            todo.push((at, to, scale));
        }
    }
    let mut y = x.shallow_clone();
    for (at, to, scale) in todo {
        y = reads.along(call, &y, at, to, scale)?;
    }
    one(y)
}

fn scales(call: &Call, old: bool) -> Result<Option<Vec<f64>>> {
    let at = if old { 1 } else { 2 };
    let Some(t) = call.get(at) else { return call.reals("scales") };
    ensure!(t.numel() <= 64, "{} scales", t.numel());
    Ok(Some(Vec::try_from(t.to_kind(Kind::Double).f_flatten(0, -1)?)?))
}

impl Resampling<'_> {
    /// One axis read at `to` places.
    fn along(&self, call: &Call, x: &Tensor, at: usize, to: i64, scale: f64) -> Result<Tensor> {
        let n = x.size()[at];
        let key = ([at as i64, n, to], scale.to_bits(), x.kind(), x.device());
        if self.mode == "nearest" {
            let places =
                call.once(key, || Ok(self.nearest(n, to, scale)?.to_device(x.device())))?;
            return Ok(x.f_index_select(at as i64, &places)?);
        }
        ensure!(n.saturating_mul(to) <= 1 << 24, "axis {at} of {n} to {to} is too large");
        let weights = call.once(key, || {
            Ok(self.weights(n, to, scale)?.to_kind(x.kind()).to_device(x.device()))
        })?;
        let last = x.f_transpose(at as i64, -1)?;
        Ok(last.f_matmul(&weights)?.f_transpose(at as i64, -1)?)
    }

    /// For each of `to` places the nearest of `n`.
    fn nearest(&self, n: i64, to: i64, scale: f64) -> Result<Tensor> {
        let place = |o| self.round(self.place(o as f64, n, to, scale)?, n);
        Ok(Tensor::from_slice(&(0..to).map(place).collect::<Result<Vec<i64>>>()?))
    }

    /// What each of `n` numbers counts at each of `to` places: `[n, to]`.
    fn weights(&self, n: i64, to: i64, scale: f64) -> Result<Tensor> {
        let mut weights = vec![0f64; (n * to) as usize];
        for (o, row) in weights.chunks_exact_mut(n as usize).enumerate() {
            self.weigh(self.place(o as f64, n, to, scale)?, row)?;
        }
        Ok(Tensor::from_slice(&weights).f_reshape([to, n])?.f_transpose(0, 1)?)
    }

    /// Where the place `o` of `to` lies among the `n` of the input.
    fn place(&self, o: f64, n: i64, to: i64, scale: f64) -> Result<f64> {
        let (long, short) = (n as f64, to as f64);
        Ok(match self.coordinates {
            "asymmetric" => o / scale,
            "half_pixel" => (o + 0.5) / scale - 0.5,
            "pytorch_half_pixel" if to > 1 => (o + 0.5) / scale - 0.5,
            "pytorch_half_pixel" => 0.,
            "tf_half_pixel_for_nn" => (o + 0.5) / scale,
            "align_corners" if to > 1 => o * (long - 1.) / (short - 1.),
            "align_corners" => 0.,
            "half_pixel_symmetric" => {
                let center = long / 2. * (1. - short / (scale * long));
                center + (o + 0.5) / scale - 0.5
            }
            other => bail!("the coordinates `{other}` are not supported"),
        })
    }

    fn round(&self, place: f64, n: i64) -> Result<i64> {
        let whole = match self.rounding {
            "floor" => place.floor(),
            "ceil" => place.ceil(),
            "round_prefer_floor" => (place - 0.5).ceil(),
            "round_prefer_ceil" => (place + 0.5).floor(),
            other => bail!("the rounding `{other}` is not supported"),
        };
        Ok((whole as i64).clamp(0, n - 1))
    }

    /// What each of the input's numbers counts at a place.
    fn weigh(&self, place: f64, row: &mut [f64]) -> Result<()> {
        let last = row.len() as i64 - 1;
        match self.mode {
            "linear" => {
                let place = place.clamp(0., last as f64);
                let (low, part) = (place.floor(), place.fract());
                row[low as usize] += 1. - part;
                row[(low as i64 + 1).min(last) as usize] += part;
            }
            "cubic" => {
                let low = place.floor();
                for k in -1..=2i64 {
                    let at = low as i64 + k;
                    let inside = (0..=last).contains(&at);
                    if inside || !self.exclude_outside {
                        let far = (place - low - k as f64).abs();
                        row[at.clamp(0, last) as usize] += keys(far, self.cubic);
                    }
                }
                let sum: f64 = row.iter().sum();
                if self.exclude_outside && sum != 0. {
                    row.iter_mut().for_each(|weight| *weight /= sum);
                }
            }
            other => bail!("the mode `{other}` is not supported"),
        }
        Ok(())
    }
}

/// The cubic convolution kernel of Keys 1981 at a distance below 2.
fn keys(far: f64, a: f64) -> f64 {
    match far {
        ..1. => ((a + 2.) * far - (a + 3.)) * far * far + 1.,
        _ => ((a * far - 5. * a) * far + 8. * a) * far - 4. * a,
    }
}
