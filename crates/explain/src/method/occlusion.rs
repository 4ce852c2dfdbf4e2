//! Occlusion (Zeiler & Fergus 2014) as captum computes it: the drop of f when a square is covered,
//! averaged over the squares that cover a pixel. Windows at the lower and right border are cut off.

use crate::{
    Attribution, Batch,
    engine::surrogate::{Linear, PerturbedInputs, Surrogate},
    sampling::features::Segments,
};
use anyhow::{Result, ensure};
use registry::{Entry, described};
use serde::{Deserialize, Serialize};
use tch::{Kind, Tensor};
use toml::Table;

/// In the list of methods.
pub(crate) const ENTRY: Entry<dyn Attribution> = Entry {
    name: "occlusion",
    about: "drop of f when a square is covered, averaged over the squares on a pixel (Zeiler & \
            Fergus 2014)",
    options: described::<Occlusion>(&[
        ("size", "side of the square, in pixels"),
        ("stride", "pixels from a square to the next, 1 to `size`"),
        ("baseline", "value of covered pixels, in [0, 1]"),
    ])
    .alias(&["Occlusion"]),
    build,
};

#[derive(Debug, Deserialize, Serialize)]
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

fn build(table: Table) -> Result<Box<dyn Attribution>> {
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

    fn copies(&self, block: &Batch, _: &Segments) -> Box<dyn PerturbedInputs> {
        let [rows, columns] = [2, 3].map(|dim| self.covers(block.x.size()[dim], &block.x));
        Box::new(Windows { rows, columns, baseline: self.baseline, channels: block.x.size()[1] })
    }
}

/// A window covers rows and columns, so nothing is ever held for each window and each pixel.
struct Windows {
    rows: Tensor,    // f64 [P, H]
    columns: Tensor, // f64 [Q, W]
    baseline: f64,
    channels: i64,
}

impl Windows {
    /// The pixels that copies `start..start + n` cover, `[n, H, W]`; the first copy is the image.
    fn covered(&self, start: i64, n: i64) -> Tensor {
        let copy = Tensor::arange_start(start, start + n, (Kind::Int64, self.rows.device()));
        let (window, across) = ((&copy - 1).clamp_min(0), self.columns.size()[0]);
        let rows = self.rows.index_select(0, &window.floor_divide_scalar(across));
        let columns = self.columns.index_select(0, &window.remainder(across));
        let rows = rows * copy.gt(0).unsqueeze(1);
        rows.unsqueeze(2) * columns.unsqueeze(1)
    }

    /// How many windows cover each pixel, `[H, W]`.
    fn counts(&self) -> Tensor {
        let sum = |t: &Tensor| t.sum_dim_intlist([0].as_slice(), false, Kind::Double);
        sum(&self.rows).outer(&sum(&self.columns))
    }
}

impl PerturbedInputs for Windows {
    fn at(&self, x: &Tensor, start: i64, n: i64) -> Tensor {
        let covered = self.covered(start, n).to_kind(x.kind()).unsqueeze(1).unsqueeze(0);
        x.unsqueeze(1) * (1. - &covered) + covered * self.baseline
    }

    /// The mean drop over the windows that cover a pixel.
    fn map(&self, values: &Tensor) -> Tensor {
        let windows = values.size()[1] - 1;
        let drops = values.narrow(1, 0, 1) - values.narrow(1, 1, windows);
        let drops = drops.view([-1, self.rows.size()[0], self.columns.size()[0]]);
        let sums = self.rows.transpose(0, 1).matmul(&drops).matmul(&self.columns);
        (sums / self.counts()).unsqueeze(1).expand([-1, self.channels, -1, -1], false)
    }

    fn transposed(&self, v: &Tensor) -> Tensor {
        let v = v.sum_dim_intlist([1].as_slice(), false, Kind::Double) / self.counts();
        let drops = self.rows.matmul(&v).matmul(&self.columns.transpose(0, 1)).flatten(1, -1);
        let own = drops.sum_dim_intlist([1].as_slice(), true, Kind::Double);
        Tensor::cat(&[&own, &-drops], 1)
    }
}
