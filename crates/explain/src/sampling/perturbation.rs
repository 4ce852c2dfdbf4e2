//! Perturbations of an image whose effect a map predicts (Yeh et al. 2019): the image becomes x − I.

use crate::{Batch, metric::Units};
use anyhow::{Result, ensure};
use models::noise;
use models::upload;
use tch::{Kind, Tensor};

/// How many perturbations of an image are drawn, where nothing else is asked for.
pub(crate) const DRAWN: u64 = 1000;

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

    /// How many were asked for; there may be fewer squares than that.
    pub fn samples(&self) -> u64 {
        self.samples
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
    upload(&corners, x.device()).view([-1, 3])
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
