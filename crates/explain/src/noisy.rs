//! Points drawn around each image: SmoothGrad (Smilkov et al. 2017) and UniGrad (Wang et al. 2020).
//! They may leave [0, 1], as in the papers.

use crate::{
    Attribution, Batch,
    average::{Average, Placed, Points},
};
use anyhow::{Result, ensure};
use models::{noise, registry};
use serde::Deserialize;
use tch::Tensor;
use toml::Table;

pub(crate) use crate::kernel::{Gamma, Kernel};

/// Noise of one kind and size.
#[derive(Debug)]
pub(crate) struct Noise {
    pub kernel: Kernel,
    /// σ, r or scale, in units of [0, 1] pixels or, if relative, of each image's max − min.
    pub size: f64,
    pub relative: bool,
    pub samples: u64,
}

impl Noise {
    /// Errors: no samples, a size that is negative or not finite.
    pub fn checked(self, name: &str) -> Result<Self> {
        ensure!(self.samples > 0, "`samples` is 0; it must be positive");
        let size = self.size;
        ensure!(size.is_finite() && size >= 0., "`{name}` is {size}; it must not be negative");
        Ok(self)
    }

    /// The sample `samples[n]` around image `n` of the batch, with a graph to the images.
    pub fn around(&self, batch: &Batch, samples: &[u64]) -> Tensor {
        let x = &batch.x;
        let pairs = batch.keys.iter().zip(samples);
        let keys: Vec<u64> = pairs.map(|(&key, &s)| noise::key(key, s, 0)).collect();
        let shape = &x.size()[1..];
        let unit = self.kernel.draw(&keys, shape, x.device()).to_kind(x.kind()) * self.size;
        match self.relative {
            true => x + unit * range(x),
            false => x + unit,
        }
    }

    /// How far apart the means of `averaged` at two images can be; nothing is known of noise whose
    /// size depends on the image.
    pub fn note(&self, image: [i64; 3], averaged: &str) -> Option<String> {
        if self.relative || self.size == 0. {
            return None;
        }
        let gamma = match self.kernel.gamma(image.iter().product()) {
            Gamma::Exactly(gamma) => format!("γ = {:.4}", gamma / self.size),
            Gamma::AtMost(gamma) => format!("γ ≤ {:.4}", gamma / self.size),
        };
        Some(format!(
            "over all neighbours, maps of x and x′ differ by at most γ |x − x′|₂ times the longest \
             {averaged}, {gamma} (Tan & Tian 2023, Theorem 4.3)"
        ))
    }
}

/// max − min of each image, `[N, 1, 1, 1]`.
fn range(x: &Tensor) -> Tensor {
    x.amax([1i64, 2, 3].as_slice(), true) - x.amin([1i64, 2, 3].as_slice(), true)
}

impl Points for Noise {
    fn count(&self) -> u64 {
        self.samples
    }

    fn place(&self, batch: &Batch, samples: &[u64]) -> Placed {
        Placed { points: self.around(batch, samples), factor: None }
    }

    fn note(&self, image: [i64; 3]) -> Option<String> {
        Noise::note(self, image, "gradient")
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
struct SmoothGrad {
    #[serde(deserialize_with = "registry::fraction")]
    sigma: f64,
    relative: bool,
    samples: Option<u64>,
}

impl Default for SmoothGrad {
    fn default() -> Self {
        SmoothGrad { sigma: 0.03, relative: false, samples: None }
    }
}

/// Tan et al. 2023: 10 samples up to σ = 0.01, then ten for each hundredth.
fn enough(sigma: f64) -> u64 {
    let hundredths = (sigma / 0.01 + 1e-9).floor();
    (hundredths.clamp(1., 1e6) * 10.) as u64
}

/// Mean of ∇f over Gaussian neighbours.
pub(crate) fn build_smoothgrad(table: Table) -> Result<Box<dyn Attribution>> {
    let SmoothGrad { sigma, relative, samples } = registry::options(table)?;
    ensure!(
        samples.is_some() || sigma.is_nan() || sigma <= 100.,
        "`sigma` is {sigma}, in pixels of [0, 1]; say how many `samples` it is to have"
    );
    let samples = samples.unwrap_or(enough(sigma));
    let noise = Noise { kernel: Kernel::Gaussian, size: sigma, relative, samples };
    Ok(Box::new(Average(noise.checked("sigma")?)))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
struct UniGrad {
    #[serde(deserialize_with = "registry::fraction")]
    radius: f64,
    samples: u64,
}

impl Default for UniGrad {
    fn default() -> Self {
        UniGrad { radius: 4. / 255., samples: 50 }
    }
}

/// Mean of ∇f over uniform neighbours.
pub(crate) fn build_unigrad(table: Table) -> Result<Box<dyn Attribution>> {
    let UniGrad { radius, samples } = registry::options(table)?;
    let noise = Noise { kernel: Kernel::Uniform, size: radius, relative: false, samples };
    Ok(Box::new(Average(noise.checked("radius")?)))
}

/// A map without meaning, N(0, 1) in every number: what a measure gives to nothing.
#[derive(Debug)]
struct Random;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NoOptions {}

impl Attribution for Random {
    fn attribute(&self, _model: &dyn models::Model, batch: &Batch) -> Tensor {
        let x = &batch.x;
        let keys: Vec<u64> =
            batch.keys.iter().map(|&key| noise::key(key, noise::name_id("random"), 0)).collect();
        noise::normal(&keys, &x.size()[1..], x.device()).to_kind(x.kind())
    }

    fn ignores_image(&self) -> bool {
        true
    }
}

/// The control.
pub(crate) fn build_random(table: Table) -> Result<Box<dyn Attribution>> {
    registry::options::<NoOptions>(table)?;
    Ok(Box::new(Random))
}
