//! The maps of least infidelity (Yeh et al. 2019): Φ that minimises E (IᵀΦ − (f(x) − f(x − I)))²
//! for a kind of perturbation I. `square`: a square of the image becomes black; `noisy-baseline`: the
//! image becomes noise. Like a gradient, Φ is in units of f per pixel value; `units=contribution`
//! gives Φ ⊙ x, for squares alone: their I is x ⊙ z with z of zeros and ones, and what a black
//! pixel's Φ is does not matter (Yeh et al. 2019, B.2).

use crate::{
    Attribution, Batch,
    average::Pass,
    metric::Units,
    normal::{Normal, Ridge},
};
use anyhow::{Result, ensure};
use models::{Model, noise, registry};
use serde::Deserialize;
use tch::{Kind, Tensor};
use toml::Table;

/// Numbers of perturbations that are solved for at once, at most; one image may have more.
const SOLVED: usize = 4_000_000;

/// Numbers of perturbations of one image, at most, where the user does not say how many: 1 GiB.
const MOST: i64 = 1 << 27;

/// How many perturbations of an image are drawn, where nothing else is asked for.
const DRAWN: u64 = 1000;

/// What Φ is to tell: the image becomes x − I.
#[derive(Debug)]
pub(crate) enum Perturbation {
    /// A square of side 1 to `largest`, anywhere inside, over all channels, becomes black. Sides
    /// are drawn first, each as often; every square, each once, where there are no more than samples.
    Square { largest: i64, all: bool },
    /// The image becomes noise: I = clip(x + scale · n, x − 1, x).
    Noise { scale: f64 },
    /// The image becomes a neighbour: I = sigma · n.
    Gaussian { sigma: f64 },
}

/// Perturbations of each image of a batch, keyed by image and number.
#[derive(Debug)]
pub(crate) struct Perturbations {
    of: Perturbation,
    samples: u64,
}

impl Perturbations {
    /// Errors: no samples, or some beside every square; a size that is not positive.
    pub fn new(of: Perturbation, samples: Option<u64>) -> Result<Self> {
        let positive = |name: &str, size: f64| {
            ensure!(size.is_finite() && size > 0., "`{name}` is {size}; it must be positive");
            Ok(())
        };
        match of {
            Perturbation::Square { largest, all } => {
                ensure!(largest > 0, "`largest` is {largest}; it must be positive");
                ensure!(!all || samples.is_none(), "`all` takes every square; leave `samples` out");
            }
            Perturbation::Noise { scale } => positive("scale", scale)?,
            Perturbation::Gaussian { sigma } => positive("sigma", sigma)?,
        }
        let samples = samples.unwrap_or(DRAWN);
        ensure!(samples > 0, "`samples` is 0; it must be positive");
        Ok(Perturbations { of, samples })
    }

    /// How many an image has.
    pub fn count(&self, height: i64, width: i64) -> u64 {
        match self.of {
            Perturbation::Square { largest, all } => {
                let every = every(largest, height, width);
                if all || every <= self.samples { every } else { self.samples }
            }
            _ => self.samples,
        }
    }

    /// I for each image of `batch` and its sample number, `[N, C, H, W]`.
    pub fn drawn(&self, batch: &Batch, samples: &[u64]) -> Tensor {
        let x = &batch.x;
        let normal = || {
            let keys = keys(batch, samples);
            noise::normal(&keys, &x.size()[1..], x.device()).to_kind(x.kind())
        };
        match self.of {
            Perturbation::Gaussian { sigma } => normal() * sigma,
            Perturbation::Noise { scale } => (x + normal() * scale).minimum(x).maximum(&(x - 1.)),
            Perturbation::Square { largest, .. } => x * self.covered(batch, samples, largest),
        }
    }

    /// What a map in `units` is summed over: I or, for contributions, one where a square is,
    /// `[N, 1, H, W]`; only of squares is it known what share of a contribution they take.
    pub fn along(&self, units: Units, batch: &Batch, samples: &[u64]) -> Tensor {
        match (units, &self.of) {
            (Units::Gradient, _) => self.drawn(batch, samples),
            (Units::Contribution, &Perturbation::Square { largest, .. }) => {
                self.covered(batch, samples, largest)
            }
            (Units::Contribution, _) => unreachable!("refused when it is built"),
        }
    }

    fn covered(&self, batch: &Batch, samples: &[u64], largest: i64) -> Tensor {
        let x = &batch.x;
        let (_, _, h, w) = x.size4().expect("images have four dimensions");
        let corners = match self.count(h, w) == every(largest, h, w) {
            true => numbered(x, samples, largest),
            false => drawn(x, &keys(batch, samples), largest),
        };
        squares(x, &corners)
    }
}

fn keys(batch: &Batch, samples: &[u64]) -> Vec<u64> {
    let id = noise::name_id("perturbation");
    batch.keys.iter().zip(samples).map(|(&key, &sample)| noise::key(key, id, sample)).collect()
}

#[derive(Debug)]
struct Optimal {
    perturbations: Perturbations,
    units: Units,
    ridge: f64,
}

impl Optimal {
    fn checked(self) -> Result<Box<dyn Attribution>> {
        let ridge = self.ridge;
        ensure!(ridge.is_finite() && ridge > 0., "`ridge` is {ridge}; it must be positive");
        Ok(Box::new(self))
    }
}

/// Squares of sides 1 to `largest` that fit, one pixel apart.
fn every(largest: i64, height: i64, width: i64) -> u64 {
    let sides = 1..=largest.min(height).min(width);
    sides.map(|side| ((height - side + 1) * (width - side + 1)) as u64).sum()
}

/// Sides, first rows and first columns of squares: f64 `[N, 3]`, whole numbers. These are those of
/// the numbers `samples`, counted by side, row and column.
fn numbered(x: &Tensor, samples: &[u64], largest: i64) -> Tensor {
    let (_, _, h, w) = x.size4().expect("images have four dimensions");
    let mut corners = vec![];
    for &sample in samples {
        let (mut rest, mut side) = (sample as i64, 1);
        while side < largest && rest >= (h - side + 1) * (w - side + 1) {
            rest -= (h - side + 1) * (w - side + 1);
            side += 1;
        }
        let across = w - side + 1;
        corners.extend([side, rest / across, rest % across].map(|n| n as f64));
    }
    Tensor::from_slice(&corners).to_device(x.device()).view([-1, 3])
}

/// The same, drawn.
fn drawn(x: &Tensor, keys: &[u64], largest: i64) -> Tensor {
    let (_, _, h, w) = x.size4().expect("images have four dimensions");
    let u = noise::uniform(keys, &[3], x.device()).to_kind(Kind::Double);
    let below = |column: i64, count: &Tensor| (u.select(1, column) * count).floor();
    let most = u.select(1, 0).full_like(largest.min(h).min(w) as f64);
    let side = below(0, &most) + 1.;
    let rows = below(1, &(h as f64 + 1. - &side));
    let columns = below(2, &(w as f64 + 1. - &side));
    Tensor::stack(&[side, rows, columns], 1)
}

/// One where the square covers an image, `[N, 1, H, W]`.
fn squares(x: &Tensor, corners: &Tensor) -> Tensor {
    let (_, _, h, w) = x.size4().expect("images have four dimensions");
    let side = corners.narrow(1, 0, 1);
    let inside = |column: i64, n: i64| {
        let at = Tensor::arange(n, (Kind::Double, x.device())).unsqueeze(0);
        let start = corners.narrow(1, column, 1);
        at.ge_tensor(&start).logical_and(&at.less_tensor(&(&start + &side)))
    };
    let both = inside(1, h).unsqueeze(2).logical_and(&inside(2, w).unsqueeze(1));
    both.unsqueeze(1).to_kind(x.kind())
}

impl Optimal {
    /// What Φ is summed over for each image of `batch` and each of `count` samples, `[N, S, D]`, drawn a
    /// pass at a time.
    fn along(&self, batch: &Batch, count: u64) -> Tensor {
        let (n, c, h, w) = batch.x.size4().expect("images have four dimensions");
        let d = if self.units == Units::Gradient { c * h * w } else { h * w };
        let all = Tensor::empty([n, count as i64, d], (batch.x.kind(), batch.x.device()));
        for pass in Pass::all(batch, count) {
            let images = pass.repeated(&pass.block.x);
            let i = self.perturbations.along(self.units, &images, &pass.samples());
            let (taken, own) = (pass.taken.len() as i64, pass.block.keys.len() as i64);
            let place = all.narrow(0, pass.first, own).narrow(1, pass.taken[0] as i64, taken);
            { place }.copy_(&i.view([taken, own, d]).transpose(0, 1));
        }
        all
    }
}

impl Attribution for Optimal {
    fn attribute(&self, model: &dyn Model, batch: &Batch) -> Tensor {
        let (n, c, h, w) = batch.x.size4().expect("images have four dimensions");
        let count = self.perturbations.count(h, w);
        let samples = count as i64;
        let values = Tensor::zeros([samples, n], (batch.x.kind(), batch.x.device()));
        for pass in Pass::all(batch, count) {
            let copies = pass.repeated(&pass.block.x);
            let i = self.perturbations.drawn(&copies, &pass.samples());
            let found = copies.at(&(&copies.x - i)).scores(model);
            let (taken, own) = (pass.taken.len() as i64, pass.block.keys.len() as i64);
            let place = values.narrow(0, pass.taken[0] as i64, taken);
            let mut place = place.narrow(1, pass.first, own);
            place.copy_(&found.view([taken, own]));
        }
        let numbers = batch.x.size()[1..].iter().product::<i64>();
        let together = (SOLVED / (samples * numbers) as usize).max(1) as i64;
        let mut maps = vec![];
        for first in (0..n).step_by(together as usize) {
            let part = batch.narrow(first, together.min(n - first));
            let own = part.keys.len() as i64;
            let i = self.along(&part, count);
            let clean = part.scores(model).unsqueeze(1);
            let delta = clean - values.narrow(1, first, own).transpose(0, 1);
            // The shortest Φ of least (IᵀΦ − Δ)² + λ|Φ|², λ = ridge · trace(IᵀI)/D.
            let normal = Normal::new(i, &Ridge::Relative(self.ridge));
            let phi = normal.fitted(&delta.to_kind(Kind::Double)).to_kind(batch.x.kind());
            maps.push(match self.units {
                Units::Gradient => phi.view_as(&part.x),
                Units::Contribution => (phi / c as f64).view([own, 1, h, w]).expand_as(&part.x),
            });
        }
        Tensor::cat(&maps, 0)
    }

    fn check(&self, _model: &dyn Model, [c, h, w]: [i64; 3]) -> Result<()> {
        let squares = self.perturbations.count(h, w);
        let all = squares > self.perturbations.samples;
        ensure!(
            !all || squares as i64 <= MOST / (c * h * w),
            "`all`: images of {c}x{h}x{w} have {squares} squares, too many at once; use a smaller \
             `largest`, or `samples`"
        );
        Ok(())
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Square {
    samples: Option<u64>,
    largest: i64,
    ridge: f64,
    all: bool,
    units: Units,
}

impl Default for Square {
    fn default() -> Self {
        let units = Units::Gradient;
        Square { samples: None, largest: 10, ridge: 1e-6, all: false, units }
    }
}

/// Squares that become black.
pub(crate) fn build_square(table: Table) -> Result<Box<dyn Attribution>> {
    let Square { samples, largest, ridge, all, units } = registry::options(table)?;
    let of = Perturbation::Square { largest, all };
    Optimal { perturbations: Perturbations::new(of, samples)?, units, ridge }.checked()
}

#[derive(Deserialize)]
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
pub(crate) fn build_noisy_baseline(table: Table) -> Result<Box<dyn Attribution>> {
    let NoisyBaseline { samples, scale, ridge } = registry::options(table)?;
    let of = Perturbation::Noise { scale };
    let perturbations = Perturbations::new(of, Some(samples))?;
    Optimal { perturbations, units: Units::Gradient, ridge }.checked()
}
