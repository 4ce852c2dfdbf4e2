//! C-LIME (Agarwal et al. 2021, Lemma 6): least squares with intercept on Gaussian neighbours of
//! the image. In expectation SmoothGrad of the same σ (Theorem 1).

use crate::{
    Attribution, Batch,
    engine::normal_equations::{Normal, Ridge},
    engine::surrogate::{Linear, PerturbedInputs, Surrogate, fill, sample_keys, sum},
    sampling::features::Segments,
};
use anyhow::{Result, ensure};
use models::noise;
use registry::{Entry, described};
use serde::{Deserialize, Serialize};
use tch::{Kind, Tensor};
use toml::Table;

/// In the list of methods.
pub(crate) const ENTRY: Entry<dyn Attribution> = Entry {
    name: "clime",
    about: "C-LIME: least squares of f on N(x, σ²I) (Agarwal et al. 2021)",
    options: described::<Options>(&[
        ("samples", "neighbours of the image, 2 or more"),
        ("sigma", "σ of the neighbours, in [0, 1] pixels, above 0"),
        ("ridge", "λ of Lemma 6, 0 or more"),
        (
            "covariance",
            "sample: of the neighbours, the shortest fit where they are fewer than the numbers \
             of an image; population: σ²I",
        ),
    ]),
    build,
};

/// Which covariance of the neighbours the regression divides by.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
enum Covariance {
    /// That of the draws: least squares, exact for linear f once there are more draws than
    /// numbers; with fewer, the shortest of the exact fits.
    #[default]
    Sample,
    /// σ² I: unbiased with any number of draws, exact for none.
    Population,
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
struct Options {
    samples: i64,
    #[serde(deserialize_with = "registry::fraction")]
    sigma: f64,
    #[serde(deserialize_with = "registry::fraction")]
    ridge: f64,
    covariance: Covariance,
}

impl Default for Options {
    fn default() -> Self {
        Options { samples: 1000, sigma: 0.1, ridge: 0., covariance: Covariance::Sample }
    }
}

#[derive(Debug)]
struct Clime {
    samples: i64,
    sigma: f64,
    ridge: f64,
    covariance: Covariance,
}

fn build(table: Table) -> Result<Box<dyn Attribution>> {
    let Options { samples, sigma, ridge, covariance } = registry::options(table)?;
    ensure!(samples >= 2, "`samples` is {samples}; it must be at least 2");
    registry::positive("sigma", sigma)?;
    ensure!(ridge >= 0., "`ridge` is {ridge}; it must not be negative");
    Ok(Box::new(Linear(Clime { samples, sigma, ridge, covariance })))
}

impl Surrogate for Clime {
    fn vanishes(&self) -> Option<String> {
        let sigma = self.sigma;
        (sigma < 1e-6).then(|| format!("at `sigma` {sigma}, rounding hides what copies change"))
    }

    fn samples(&self, _x: &Tensor) -> i64 {
        self.samples
    }

    fn copies(&self, block: &Batch, _: &Segments) -> Box<dyn PerturbedInputs> {
        let draws = Draws { block: block.at(&block.x.detach()), sigma: self.sigma };
        let count = self.samples as f64;
        match self.covariance {
            Covariance::Sample => {
                let draws = draws.all(self.samples);
                let ridge = Ridge::Centred(self.ridge * count);
                let normal = Normal::new(draws.flatten(2, -1), &ridge);
                Box::new(Fitted { draws, normal })
            }
            Covariance::Population => {
                let scale = (count - 1.) * (self.sigma * self.sigma + self.ridge);
                Box::new(Correlated { draws, scale, samples: self.samples })
            }
        }
    }
}

/// The neighbours of a block of images, drawn again whenever they are asked for.
#[derive(Debug)]
struct Draws {
    block: Batch,
    sigma: f64,
}

impl Draws {
    /// What is added for samples `start..start + n`, `[N, n, C, H, W]`.
    fn at(&self, start: i64, n: i64) -> Tensor {
        let x = &self.block.x;
        let shape = &x.size()[1..];
        let keys = sample_keys(&self.block, start, n);
        let e = noise::normal(&keys, shape, x.device()).to_kind(x.kind());
        (e * self.sigma).view(&[&[x.size()[0], n], shape].concat()[..])
    }

    /// All of them, drawn a pass at a time: a draw takes several times its own room.
    fn all(&self, samples: i64) -> Tensor {
        let x = &self.block.x;
        let shape = [&[x.size()[0], samples], &x.size()[1..]].concat();
        let all = Tensor::empty(&shape[..], (x.kind(), x.device()));
        fill(&self.block, samples, &all, |start, n| self.at(start, n));
        all
    }
}

/// The regression on the draws themselves, applied by its factor: the matrix itself would cost a solve
/// for every number of an image.
struct Fitted {
    draws: Tensor, // [N, S, C, H, W]
    normal: Normal,
}

impl PerturbedInputs for Fitted {
    fn at(&self, x: &Tensor, start: i64, n: i64) -> Tensor {
        x.unsqueeze(1) + self.draws.narrow(1, start, n)
    }

    fn map(&self, values: &Tensor) -> Tensor {
        self.normal.fitted(&centred(values))
    }

    fn transposed(&self, v: &Tensor) -> Tensor {
        centred(&self.normal.transposed(&v.flatten(1, -1)))
    }
}

/// cov(e, f)/(σ² + λ), summed over passes.
struct Correlated {
    draws: Draws,
    scale: f64,
    samples: i64,
}

impl Correlated {
    /// Draws `start..start + n`, f64 `[N, n, D]`.
    fn rows(&self, start: i64, n: i64) -> Tensor {
        self.draws.at(start, n).flatten(2, -1).to_kind(Kind::Double)
    }
}

fn centred(values: &Tensor) -> Tensor {
    values - values.mean_dim([1].as_slice(), true, Kind::Double)
}

impl PerturbedInputs for Correlated {
    fn at(&self, x: &Tensor, start: i64, n: i64) -> Tensor {
        x.unsqueeze(1) + self.draws.at(start, n)
    }

    fn map(&self, values: &Tensor) -> Tensor {
        let off = centred(values).unsqueeze(1) / self.scale;
        let x = &self.draws.block.x;
        let zero = x.flatten(1, -1).unsqueeze(1).zeros_like().to_kind(Kind::Double);
        sum(&self.draws.block, self.samples, &zero, |start, n| {
            off.narrow(2, start, n).matmul(&self.rows(start, n))
        })
    }

    fn transposed(&self, v: &Tensor) -> Tensor {
        let v = v.flatten(1, -1).unsqueeze(-1);
        let along = v.new_empty([v.size()[0], self.samples], (v.kind(), v.device()));
        fill(&self.draws.block, self.samples, &along, |start, n| {
            self.rows(start, n).matmul(&v).squeeze_dim(-1)
        });
        centred(&along) / self.scale
    }
}
