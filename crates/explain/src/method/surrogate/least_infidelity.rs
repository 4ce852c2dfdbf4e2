//! The maps of least infidelity (Yeh et al. 2019): Φ that minimises E (IᵀΦ − (f(x) − f(x − I)))²
//! for a kind of perturbation I. `square`: a square of the image becomes black; `noisy-baseline`: the
//! image becomes noise. Like a gradient, Φ is in units of f per pixel value; `units=contribution`
//! gives Φ ⊙ x, for squares alone: their I is x ⊙ z with z of zeros and ones, and what a black
//! pixel's Φ is does not matter (Yeh et al. 2019, B.2).

use crate::{
    Attribution, Batch,
    engine::{
        chunks,
        normal_equations::{Normal, Ridge},
    },
    metric::Units,
    sampling::perturbation::{DRAWN, Perturbation, Perturbations},
};
use anyhow::{Result, ensure};
use models::Model;
use registry::{Entry, described};
use serde::{Deserialize, Serialize};
use tch::{Kind, Tensor};
use toml::Table;

/// In the list of methods.
pub(crate) const NOISY_BASELINE: Entry<dyn Attribution> = Entry {
    name: "noisy-baseline",
    about: "least-infidelity map where the image becomes noise (Yeh et al. 2019)",
    options: described::<NoisyBaseline>(&[
        ("samples", "perturbations of an image"),
        ("scale", "σ of the baseline's noise, in [0, 1] pixels, above 0"),
        ("ridge", "ridge penalty, in units of the mean squared perturbation, above 0"),
    ]),
    build: build_noisy_baseline,
};

/// In the list of methods.
pub(crate) const SQUARE: Entry<dyn Attribution> = Entry {
    name: "square",
    about: "least-infidelity map where a square becomes black (Yeh et al. 2019)",
    options: described::<Square>(&[
        ("samples", "squares drawn; without `all` 1000, and every square where there are no more"),
        ("largest", "largest side of a square, in pixels"),
        ("ridge", "ridge penalty, in units of the mean squared perturbation, above 0"),
        ("all", "true: every square, one pixel apart"),
        (
            "units",
            "gradient; contribution: times x, as in the paper's tables, where black pixels have \
             a share too and a pixel's channels have equal parts",
        ),
        (
            "cell",
            "side of the cells that have one number each, in pixels; 2 for large images, as Yeh et al. \
             2019, B.1",
        ),
    ]),
    build: build_square,
};

/// Numbers of perturbations that are solved for at once, at most; one image may have more.
const SOLVED: i64 = 4_000_000;

/// Numbers of perturbations of one image, at most, where the user does not say how many: 1 GiB.
const MOST: i64 = 1 << 27;

#[derive(Debug)]
struct LeastInfidelity {
    perturbations: Perturbations,
    units: Units,
    ridge: f64,
    cell: i64,
}

impl LeastInfidelity {
    fn checked(self) -> Result<Box<dyn Attribution>> {
        let (ridge, cell) = (self.ridge, self.cell);
        ensure!(cell > 0, "`cell` is {cell}; it must be positive");
        registry::positive("ridge", ridge)?;
        Ok(Box::new(self))
    }
}

impl LeastInfidelity {
    /// What Φ is summed over for each image of `batch` and each of `count` samples, `[N, S, D]`, drawn a
    /// pass at a time.
    fn along(&self, batch: &Batch, count: u64) -> Tensor {
        let (n, c, h, w) = batch.x.size4().expect("images have four dimensions");
        let [rows, columns] = self.cells(h, w);
        let d = if self.units == Units::Gradient { c * rows * columns } else { rows * columns };
        let all = Tensor::empty([n, count as i64, d], (batch.x.kind(), batch.x.device()));
        chunks::fill(batch, count, &all.transpose(0, 1), |pass| {
            let images = pass.repeated(&pass.block.x);
            self.over_cells(&self.perturbations.along(self.units, &images, &pass.samples()))
        });
        all
    }

    /// Cells along the sides of an image.
    fn cells(&self, h: i64, w: i64) -> [i64; 2] {
        [h, w].map(|side| (side + self.cell - 1) / self.cell)
    }

    /// Sums over cells, `[N, C, rows, columns]`: the transpose of [`LeastInfidelity::painted`].
    fn over_cells(&self, t: &Tensor) -> Tensor {
        if self.cell == 1 {
            return t.shallow_clone();
        }
        let (_, _, h, w) = t.size4().expect("images have four dimensions");
        let [rows, columns] = self.cells(h, w);
        let (below, beside) = (rows * self.cell - h, columns * self.cell - w);
        let side = [self.cell; 2];
        let whole = t.pad([0, beside, 0, below], "constant", 0.);
        whole.avg_pool2d(side, side, [0, 0], false, true, 1)
    }

    /// A number a cell on its pixels, `[N, C, H, W]`.
    fn painted(&self, t: &Tensor, h: i64, w: i64) -> Tensor {
        if self.cell == 1 {
            return t.shallow_clone();
        }
        let twice = |t: Tensor, dim| t.repeat_interleave_self_int(self.cell, dim, None);
        twice(twice(t.shallow_clone(), 2), 3).narrow(2, 0, h).narrow(3, 0, w)
    }
}

impl Attribution for LeastInfidelity {
    fn attribute(&self, model: &dyn Model, batch: &Batch) -> Tensor {
        let (n, c, h, w) = batch.x.size4().expect("images have four dimensions");
        let count = self.perturbations.count(h, w);
        let samples = count as i64;
        let logits = batch.logits(model);
        let sure = batch.target.sure(|| logits.shallow_clone());
        let clean = batch.target.shifted(&logits, sure.as_ref()).unsqueeze(1);
        let values = Tensor::zeros([samples, n], (clean.kind(), batch.x.device()));
        chunks::fill(batch, count, &values, |pass| {
            let copies = pass.repeated(&pass.block.x);
            let i = self.perturbations.drawn(&copies, &pass.samples());
            let sure = sure.as_ref().map(|sure| pass.part(sure).repeat([pass.taken.len() as i64]));
            let logits = tch::no_grad(|| model.logits(&(&copies.x - i)));
            copies.target.shifted(&logits, sure.as_ref())
        });
        let together = (SOLVED / (samples * c * h * w)).max(1);
        let [map] = chunks::map_most(batch, together, |pass| {
            let part = &pass.block;
            let i = self.along(part, count);
            let delta = pass.part(&clean) - pass.part(&values.transpose(0, 1));
            // The shortest Φ of least (IᵀΦ − Δ)² + λ|Φ|², λ = ridge · trace(IᵀI)/D.
            let normal = Normal::new(i, &Ridge::Relative(self.ridge));
            let phi = normal.fitted(&delta.to_kind(Kind::Double)).to_kind(batch.x.kind());
            let [rows, columns] = self.cells(h, w);
            let phi = match self.units {
                Units::Gradient => phi.view([-1, c, rows, columns]),
                Units::Contribution => (phi / c as f64).view([-1, 1, rows, columns]),
            };
            [self.painted(&phi, h, w).expand_as(&part.x)]
        });
        map
    }

    fn check(&self, _model: &dyn Model, [c, h, w]: [i64; 3]) -> Result<()> {
        let squares = self.perturbations.count(h, w);
        let all = squares > self.perturbations.samples();
        ensure!(
            !all || squares as i64 <= MOST / (c * h * w),
            "`all`: images of {c}x{h}x{w} have {squares} squares, too many at once; use a smaller \
             `largest`, or `samples`"
        );
        Ok(())
    }
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
struct Square {
    samples: Option<u64>,
    largest: i64,
    ridge: f64,
    all: bool,
    units: Units,
    cell: i64,
}

impl Default for Square {
    fn default() -> Self {
        let units = Units::Gradient;
        Square { samples: None, largest: 10, ridge: 1e-6, all: false, units, cell: 1 }
    }
}

/// Squares that become black.
fn build_square(table: Table) -> Result<Box<dyn Attribution>> {
    let Square { samples, largest, ridge, all, units, cell } = registry::options(table)?;
    let of = Perturbation::Square { largest, all };
    LeastInfidelity { perturbations: Perturbations::new(of, samples)?, units, ridge, cell }
        .checked()
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
struct NoisyBaseline {
    samples: u64,
    #[serde(deserialize_with = "registry::fraction")]
    scale: f64,
    ridge: f64,
}

impl Default for NoisyBaseline {
    fn default() -> Self {
        NoisyBaseline { samples: DRAWN, scale: 0.2, ridge: 1e-6 }
    }
}

/// Images that become noise.
fn build_noisy_baseline(table: Table) -> Result<Box<dyn Attribution>> {
    let NoisyBaseline { samples, scale, ridge } = registry::options(table)?;
    let of = Perturbation::Noise { scale };
    let perturbations = Perturbations::new(of, Some(samples))?;
    LeastInfidelity { perturbations, units: Units::Gradient, ridge, cell: 1 }.checked()
}
