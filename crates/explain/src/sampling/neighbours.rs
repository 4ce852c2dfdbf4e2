//! Random neighbours of each image. They may leave [0, 1], as in the papers.

use crate::{
    Batch,
    sampling::smoothing_kernel::{Gamma, Kernel},
};
use anyhow::{Result, ensure};
use models::{noise, upload};
use tch::Tensor;

/// Noise of one kind and size.
#[derive(Debug)]
pub(crate) struct Noise {
    pub kernel: Kernel,
    /// σ, r or scale, in units of [0, 1] pixels or, if relative, of each image's max − min.
    pub size: f64,
    pub relative: bool,
    pub samples: u64,
    /// Whether two consecutive samples are the same draw with both signs: what is odd around the image
    /// then cancels.
    pub pairs: bool,
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
        let first = |s: u64| if self.pairs { s - s % 2 } else { s };
        let of = batch.keys.iter().zip(samples);
        let keys: Vec<u64> = of.map(|(&key, &s)| noise::key(key, first(s), 0)).collect();
        let shape = &x.size()[1..];
        let unit = self.kernel.draw(&keys, shape, x.device()).to_kind(x.kind()) * self.size;
        let unit = if self.pairs { unit * signs(samples, x) } else { unit };
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

/// 1 for even samples, −1 for odd ones, `[N, 1, 1, 1]`.
fn signs(samples: &[u64], x: &Tensor) -> Tensor {
    let signs: Vec<f64> = samples.iter().map(|s| if s % 2 == 0 { 1. } else { -1. }).collect();
    upload(&signs, x.device()).to_kind(x.kind()).view([-1, 1, 1, 1])
}

/// max − min of each image, `[N, 1, 1, 1]`.
fn range(x: &Tensor) -> Tensor {
    x.amax([1i64, 2, 3].as_slice(), true) - x.amin([1i64, 2, 3].as_slice(), true)
}
