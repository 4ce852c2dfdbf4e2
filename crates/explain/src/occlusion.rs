//! Occlusion (Zeiler & Fergus 2014) as captum computes it: the drop of f when a square is covered,
//! averaged over the squares that cover a pixel. Windows at the lower and right border are cut off.

use crate::{
    Attribution, Batch,
    surrogate::{Copies, Linear, Surrogate},
};
use anyhow::{Result, ensure};
use models::registry;
use serde::Deserialize;
use tch::{Kind, Tensor};
use toml::Table;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Occlusion {
    size: i64,
    stride: i64,
    #[serde(deserialize_with = "registry::fraction")]
    baseline: f64,
}

impl Default for Occlusion {
    fn default() -> Self {
        Occlusion { size: 4, stride: 2, baseline: 0. }
    }
}

pub(crate) fn build(table: Table) -> Result<Box<dyn Attribution>> {
    let occlusion: Occlusion = registry::options(table)?;
    let Occlusion { size, stride, .. } = occlusion;
    ensure!(size > 0, "`size` is {size}; it must be positive");
    ensure!(
        0 < stride && stride <= size,
        "`stride` is {stride}; it must be from 1 to `size` ({size}), or pixels would be left out"
    );
    Ok(Box::new(Linear(occlusion)))
}

impl Occlusion {
    /// Places of a window along a side.
    fn steps(&self, side: i64) -> i64 {
        ((side - self.size).max(0) + self.stride - 1) / self.stride + 1
    }

    /// Which of `side` pixels each place covers, f64 `[places, side]`.
    fn covers(&self, side: i64, x: &Tensor) -> Tensor {
        let on = (Kind::Int64, x.device());
        let start = (Tensor::arange(self.steps(side), on) * self.stride).unsqueeze(1);
        let past = Tensor::arange(side, on) - start;
        past.ge(0).logical_and(&past.lt(self.size)).to_kind(Kind::Double)
    }
}

impl Surrogate for Occlusion {
    /// The image itself and every window.
    fn samples(&self, x: &Tensor) -> i64 {
        1 + self.steps(x.size()[2]) * self.steps(x.size()[3])
    }

    fn copies(&self, block: &Batch) -> Box<dyn Copies> {
        let (height, width) = (block.x.size()[2], block.x.size()[3]);
        let rows = self.covers(height, &block.x).view([-1, 1, height, 1]);
        let columns = self.covers(width, &block.x).view([1, -1, 1, width]);
        let windows = (rows * columns).flatten(0, 1);
        let covered = Tensor::cat(&[&windows.narrow(0, 0, 1).zeros_like(), &windows], 0);
        Box::new(Windows { covered, baseline: self.baseline, channels: block.x.size()[1] })
    }
}

struct Windows {
    covered: Tensor, // f64 [S, H, W]; nothing in the first
    baseline: f64,
    channels: i64,
}

impl Windows {
    /// The share of each window in each pixel's average.
    fn shares(&self) -> Tensor {
        &self.covered / self.covered.sum_dim_intlist([0].as_slice(), true, Kind::Double)
    }
}

impl Copies for Windows {
    fn at(&self, x: &Tensor, start: i64, n: i64) -> Tensor {
        let covered = self.covered.narrow(0, start, n).to_kind(x.kind()).unsqueeze(1).unsqueeze(0);
        x.unsqueeze(1) * (1. - &covered) + covered * self.baseline
    }

    fn map(&self, values: &Tensor) -> Tensor {
        let drops = values.narrow(1, 0, 1) - values;
        let map = drops.matmul(&self.shares().flatten(1, -1));
        let (height, width) = (self.covered.size()[1], self.covered.size()[2]);
        map.view([-1, 1, height, width]).expand([-1, self.channels, -1, -1], false)
    }

    fn transposed(&self, v: &Tensor) -> Tensor {
        let v = v.sum_dim_intlist([1].as_slice(), false, Kind::Double).flatten(1, -1);
        let to_drops = v.matmul(&self.shares().flatten(1, -1).transpose(0, 1));
        let own = to_drops.sum_dim_intlist([1].as_slice(), true, Kind::Double);
        Tensor::cat(&[&own, &-to_drops.narrow(1, 1, to_drops.size()[1] - 1)], 1)
    }
}
