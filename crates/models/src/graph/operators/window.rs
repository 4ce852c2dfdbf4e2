//! Convolutions and pools: windows that move over the dimensions after the channels.

use super::call::{Call, fits, one};
use crate::{Conv, Pool, graph::Node};
use anyhow::{Context, Result, bail, ensure};
use tch::Tensor;

/// Sides, steps and pads are at most this.
const MOST: i64 = 1 << 20;

/// How windows lie over an input, axis by axis.
#[derive(Clone)]
pub(in crate::graph) struct Window {
    kernel: Vec<i64>,
    stride: Vec<i64>,
    dilation: Vec<i64>,
    /// Places added before and after.
    pads: Vec<[i64; 2]>,
}

impl Window {
    /// Of an input whose sizes after the channels are `size`. Errors: numbers outside of what can
    /// be, another count than axes.
    pub fn of(node: &Node, size: &[i64], kernel: Vec<i64>) -> Result<Self> {
        let rank = size.len();
        let list = |name: &str, default: i64, count: usize, least: i64| {
            let all = node.ints(name)?.filter(|all| !all.is_empty());
            let all = all.unwrap_or_else(|| vec![default; count]);
            ensure!(all.len() == count, "its `{name}` {all:?} over {rank} axes");
            let good = all.iter().all(|n| (least..=MOST).contains(n));
            ensure!(good, "its `{name}` is {all:?}");
            Ok(all)
        };
        ensure!(kernel.len() == rank, "a window {kernel:?} over {rank} axes");
        ensure!(kernel.iter().all(|n| (1..=MOST).contains(n)), "a window {kernel:?}");
        let stride = list("strides", 1, rank, 1)?;
        let dilation = list("dilations", 1, rank, 1)?;
        let given = list("pads", 0, 2 * rank, 0)?;
        let auto = node.text("auto_pad", "NOTSET")?;
        let reach = |i: usize| (kernel[i] - 1) * dilation[i] + 1;
        let pads = (0..rank).map(|i| match auto {
            "SAME_UPPER" | "SAME_LOWER" => {
                let last = (size[i] + stride[i] - 1) / stride[i] - 1;
                let all = (last * stride[i] + reach(i) - size[i]).max(0);
                let (less, more) = (all / 2, all - all / 2);
                if auto == "SAME_UPPER" { [less, more] } else { [more, less] }
            }
            "VALID" => [0, 0],
            _ => [given[i], given[i + rank]],
        });
        let pads = pads.collect();
        Ok(Window { kernel, stride, dilation, pads })
    }

    /// Places from the first to the last entry of a window.
    fn reach(&self, i: usize) -> i64 {
        (self.kernel[i] - 1) * self.dilation[i] + 1
    }

    /// How many windows there are. Errors: none along some axis, more than 2²⁸ with `channels`.
    fn count(&self, size: &[i64], channels: i64) -> Result<Vec<i64>> {
        let along = |i: usize| {
            let all = size[i] + self.pads[i][0] + self.pads[i][1];
            let room = all - self.reach(i);
            ensure!(room >= 0, "a window of {} over {all} places", self.reach(i));
            Ok(room / self.stride[i] + 1)
        };
        let count = (0..size.len()).map(along).collect::<Result<Vec<i64>>>()?;
        let padded: Vec<i64> = size.iter().zip(&self.pads).map(|(n, p)| n + p[0] + p[1]).collect();
        fits(&[&[channels], count.as_slice()].concat())?;
        fits(&[&[channels], padded.as_slice()].concat())?;
        Ok(count)
    }

    /// The windows that `ceil_mode` counts, up and not down, by more places at the ends. One that
    /// would start there is none.
    fn ceiled(&mut self, size: &[i64]) {
        for (i, &n) in size.iter().enumerate() {
            let ([before, after], stride, reach) = (self.pads[i], self.stride[i], self.reach(i));
            let mut last = (n + before + after - reach + stride - 1).div_euclid(stride);
            if last * stride >= n + before {
                last -= 1;
            }
            self.pads[i][1] += (last * stride + reach - (n + before + after)).max(0);
        }
    }

    fn symmetric(&self) -> bool {
        self.pads.iter().all(|[a, b]| a == b)
    }

    /// In libtorch's order, the last axis first, where they are not the same on both sides.
    pub fn uneven(&self) -> Option<Vec<i64>> {
        (!self.symmetric()).then(|| flat(&self.pads))
    }

    /// As the shape of a layer; uneven pads are left to others.
    pub fn conv(&self, [c_in, c_out]: [i64; 2], groups: i64) -> Conv {
        let padding = if self.symmetric() { two(&self.before(), 0) } else { [0, 0] };
        Conv {
            c_in,
            c_out,
            kernel: two(&self.kernel, 1),
            stride: two(&self.stride, 1),
            padding,
            dilation: two(&self.dilation, 1),
            groups,
        }
    }

    fn before(&self) -> Vec<i64> {
        self.pads.iter().map(|p| p[0]).collect()
    }

    /// `x` with the padding, if any, and a window that has none.
    fn padded(mut self, x: &Tensor, value: f64) -> Result<(Tensor, Self)> {
        let padded = x.f_pad(flat(&self.pads), "constant", value)?;
        self.pads.fill([0, 0]);
        Ok((padded, self))
    }
}

/// Numbers of height and width; one axis is a width.
fn two(list: &[i64], height: i64) -> [i64; 2] {
    match list {
        [h, w, ..] => [*h, *w],
        list => [height, list[0]],
    }
}

/// libtorch's order: the last axis first.
fn flat(pads: &[[i64; 2]]) -> Vec<i64> {
    pads.iter().rev().flatten().copied().collect()
}

/// Sizes after the channels. Errors: fewer than 1 or more than 3 axes, nothing along one.
fn spatial(x: &Tensor) -> Result<Vec<i64>> {
    let size = x.size();
    ensure!((3..=5).contains(&size.len()), "an input {size:?}");
    ensure!(size[1..].iter().all(|&n| n > 0), "an input {size:?}");
    Ok(size[2..].to_vec())
}

/// The window of a filter: `kernel_shape` may be left out, and may not contradict.
fn filter(call: &Call, x: &Tensor, w: &Tensor) -> Result<(Vec<i64>, Vec<i64>)> {
    let size = spatial(x)?;
    let shape = w.size();
    ensure!(shape.len() == size.len() + 2, "filters {shape:?} of an input {:?}", x.size());
    ensure!(shape.iter().all(|&n| n > 0), "filters {shape:?}");
    let kernel = shape[2..].to_vec();
    if let Some(said) = call.ints("kernel_shape")?.filter(|said| !said.is_empty()) {
        ensure!(said == kernel, "its `kernel_shape` is {said:?}, its filters are {kernel:?}");
    }
    Ok((size, kernel))
}

/// How many groups of channels, which must divide both counts.
fn groups(call: &Call, counts: [i64; 2]) -> Result<i64> {
    let groups = call.int("group", 1)?;
    let divides = groups >= 1 && counts.iter().all(|n| n % groups == 0);
    ensure!(divides, "{groups} groups of {} and {} channels", counts[0], counts[1]);
    Ok(groups)
}

pub(super) fn conv(call: &Call) -> Result<Vec<Tensor>> {
    let x = call.floats(0)?;
    call.input(1)?;
    let w = call.like(1, x).unwrap_or_else(|| x.zeros_like());
    let (size, kernel) = filter(call, x, &w)?;
    let groups = groups(call, [x.size()[1], w.size()[0]])?;
    let window = Window::of(call, &size, kernel)?;
    window.count(&size, w.size()[0].max(x.size()[1]))?;
    let symmetric = window.symmetric();
    let (x, window) = if symmetric { (x.shallow_clone(), window) } else { window.padded(x, 0.)? };
    let (s, p, d) = (&window.stride, window.before(), &window.dilation);
    let b = call.like(2, &x);
    one(match size.len() {
        1 => x.f_conv1d(&w, b, s, p, d, groups)?,
        2 => x.f_conv2d(&w, b, s, p, d, groups)?,
        _ => x.f_conv3d(&w, b, s, p, d, groups)?,
    })
}

/// Padding takes places away from the result; `output_padding` and `output_shape` say how many.
pub(super) fn conv_transpose(call: &Call) -> Result<Vec<Tensor>> {
    let x = call.floats(0)?;
    call.input(1)?;
    let w = call.like(1, x).unwrap_or_else(|| x.zeros_like());
    let (size, kernel) = filter(call, x, &w)?;
    let rank = size.len();
    ensure!(rank <= 2, "a transposed convolution over {rank} axes is not supported");
    let auto = call.text("auto_pad", "NOTSET")?;
    let said = call.ints("output_shape")?.is_some() || auto.starts_with("SAME");
    ensure!(!said, "`output_shape` and `auto_pad` of a transposed convolution are not supported");
    let window = Window::of(call, &size, kernel)?;
    let more = call.ints("output_padding")?.unwrap_or_else(|| vec![0; rank]);
    let good = more.len() == rank && more.iter().all(|n| (0..=MOST).contains(n));
    ensure!(good, "its `output_padding` is {more:?}");
    let groups = groups(call, [x.size()[1], x.size()[1]])?;
    // Whole first: what is padded, also on one side only, is cut off after.
    let whole = |i: usize| (size[i] - 1) * window.stride[i] + window.reach(i) + more[i];
    let shape: Vec<i64> = (0..rank).map(whole).collect();
    let channels = w.size()[1].saturating_mul(groups);
    fits(&[&[channels], shape.as_slice()].concat())?;
    let (s, d, b) = (&window.stride, &window.dilation, call.like(2, x));
    let none = vec![0; rank];
    let mut y = match rank {
        1 => x.f_conv_transpose1d(&w, b, s, &none, &more, groups, d)?,
        _ => x.f_conv_transpose2d(&w, b, s, &none, &more, groups, d)?,
    };
    for (i, [before, after]) in window.pads.iter().enumerate() {
        let left = shape[i] - before - after;
        ensure!(left > 0, "pads of {before} and {after} of {} places", shape[i]);
        y = y.f_narrow(i as i64 + 2, *before, left)?;
    }
    one(y)
}

/// The windows of a pool.
fn pool(call: &Call, x: &Tensor) -> Result<Window> {
    let kernel = call.ints("kernel_shape")?.context("it says no `kernel_shape`")?;
    Window::of(call, &spatial(x)?, kernel)
}

pub(super) fn max_pool(call: &Call) -> Result<Vec<Tensor>> {
    let x = call.floats(0)?;
    let (size, channels) = (spatial(x)?, x.size()[1]);
    ensure!(size.len() <= 2, "a max-pool over {} axes is not supported", size.len());
    let mut window = pool(call, x)?;
    if call.int("ceil_mode", 0)? != 0 {
        window.ceiled(&size);
    }
    window.count(&size, channels)?;
    let flat = size.len() == 1;
    let x = if flat { x.f_unsqueeze(2)? } else { x.shallow_clone() };
    let pool = Pool {
        kernel: two(&window.kernel, 1),
        stride: two(&window.stride, 1),
        padding: match window.pads[..] {
            [w] => [[0, 0], w],
            _ => [window.pads[0], window.pads[1]],
        },
        dilation: two(&window.dilation, 1),
    };
    let y = call.ops.max_pool(pool, &x);
    one(if flat { y.f_squeeze_dim(2)? } else { y })
}

/// Padding counts as zeros with `count_include_pad`, else not at all; what `ceil_mode` adds at the
/// ends never counts.
pub(super) fn average_pool(call: &Call) -> Result<Vec<Tensor>> {
    let x = call.floats(0)?;
    let (size, channels) = (spatial(x)?, x.size()[1]);
    let window = pool(call, x)?;
    ensure!(window.dilation.iter().all(|&d| d == 1), "an average over dilated windows");
    let mut longer = window.clone();
    if call.int("ceil_mode", 0)? != 0 {
        longer.ceiled(&size);
    }
    longer.count(&size, channels)?;
    let all = call.int("count_include_pad", 0)? != 0;
    let mean = |x: &Tensor, p: &[i64]| -> Result<Tensor> {
        let (k, s) = (&window.kernel, &window.stride);
        Ok(match size.len() {
            1 => x.f_avg_pool1d(k, s, p, false, all)?,
            2 => x.f_avg_pool2d(k, s, p, false, all, None)?,
            _ => x.f_avg_pool3d(k, s, p, false, all, None)?,
        })
    };
    let half = window.pads.iter().zip(&window.kernel).all(|(p, k)| 2 * p[0] <= *k);
    if half && window.symmetric() && longer.pads == window.pads {
        return one(mean(x, &window.before())?);
    }
    let pad = |x: &Tensor, pads: &[[i64; 2]], value: f64| x.f_pad(flat(pads), "constant", value);
    let ones = x.f_narrow(0, 0, 1)?.f_narrow(1, 0, 1)?.f_ones_like()?;
    let ends: Vec<[i64; 2]> =
        longer.pads.iter().zip(&window.pads).map(|(l, p)| [0, l[1] - p[1]]).collect();
    let counted = pad(&ones, &window.pads, if all { 1. } else { 0. })?;
    let share = mean(&pad(&counted, &ends, 0.)?, &vec![0; size.len()])?;
    let sum = mean(&pad(x, &longer.pads, 0.)?, &vec![0; size.len()])?;
    one(sum.f_div(&share)?)
}

/// x by a power of the mean of squares of neighbouring channels.
pub(super) fn lrn(call: &Call) -> Result<Vec<Tensor>> {
    let x = call.floats(0)?;
    if x.dim() < 3 {
        bail!("an input {:?}", x.size());
    }
    let n = call.int("size", 0)?;
    ensure!((1..=1 << 12).contains(&n), "its `size` is {n}");
    let before = (n - 1) / 2;
    let squares = x.f_square()?.f_flatten(2, -1)?.f_unsqueeze(1)?;
    let mut padded = squares.size();
    padded[2] += n;
    super::call::fits(&padded[1..])?;
    let padded = squares.f_pad([0, 0, before, n - 1 - before], "constant", 0.)?;
    let mean = padded.f_avg_pool2d([n, 1], [1, 1], [0, 0], false, true, None)?;
    let base = mean.f_squeeze_dim(1)?.f_reshape(x.size())? * call.float("alpha", 1e-4)?
        + call.float("bias", 1.)?;
    call.other(x.f_div(&base.f_pow_tensor_scalar(call.float("beta", 0.75)?)?)?)
}
