//! The images an attacker may use: within `eps` of the original and inside [0, 1].

use anyhow::{Result, ensure};
use models::noise;
use serde::{Deserialize, Serialize};
use tch::{Kind, Tensor};

/// How distances between images are measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Norm {
    /// Largest change of any channel of any pixel.
    Linf,
    /// Euclidean length of the change.
    L2,
}

/// The threat model.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Ball {
    /// Norm of the perturbation.
    pub norm: Norm,
    /// Radius in units of [0, 1] pixels.
    pub eps: f64,
}

impl Ball {
    /// Errors: a radius that is negative or not finite.
    pub fn new(norm: Norm, eps: f64) -> Result<Self> {
        ensure!(eps.is_finite() && eps >= 0., "`eps` is {eps}; a radius is not negative");
        Ok(Ball { norm, eps })
    }

    /// The allowed image near `x`: first into the ball around `x0`, then into [0, 1]. As `x0` is
    /// in [0, 1], the second step cannot leave the ball. `[N, C, H, W]` -> `[N, C, H, W]`.
    pub fn project(&self, x0: &Tensor, x: &Tensor) -> Tensor {
        let d = x - x0;
        let d = match self.norm {
            Norm::Linf => d.clamp(-self.eps, self.eps),
            Norm::L2 => {
                let shrink = length(&d).clamp_min(TINY).reciprocal() * self.eps;
                d * shrink.clamp_max(1.)
            }
        };
        (x0 + d).clamp(0., 1.)
    }

    /// Another allowed image: where `x` is outside the ball, its whole change is scaled down until it
    /// is not, then cut to [0, 1]. For ℓ2 the same as [`Ball::project`].
    pub fn shrink(&self, x0: &Tensor, x: &Tensor) -> Tensor {
        let d = x - x0;
        let shrink = self.length(&d).clamp_min(TINY).reciprocal() * self.eps;
        (x0 + d * shrink.clamp_max(1.)).clamp(0., 1.)
    }

    /// The direction of steepest ascent, of length one in this norm; zero where `g` is.
    pub fn ascent(&self, g: &Tensor) -> Tensor {
        match self.norm {
            Norm::Linf => g.sign(),
            Norm::L2 => {
                // Squares of very small or large entries leave f32's range: bring them near one.
                let g = g / g.abs().amax([1, 2, 3].as_slice(), true).clamp_min(TINY);
                &g / length(&g).clamp_min(TINY)
            }
        }
    }

    /// A random image of the ball around `x`, one key per image: uniform in the box for ℓ∞; for ℓ2
    /// in a direction without preference at a distance uniform in [0, ε]; then cut to [0, 1].
    pub fn start(&self, x: &Tensor, keys: &[u64]) -> Tensor {
        let (shape, device) = (&x.size()[1..], x.device());
        let d = match self.norm {
            Norm::Linf => noise::uniform(keys, shape, device) * 2. - 1.,
            Norm::L2 => {
                let direction = noise::normal(keys, shape, device);
                let far: Vec<u64> = keys.iter().map(|&key| noise::key(key, 0, 1)).collect();
                let distance = noise::uniform(&far, &[1, 1, 1], device);
                &direction / length(&direction).clamp_min(TINY) * distance
            }
        };
        self.project(x, &(x + d * self.eps))
    }

    /// The image at the whole radius from `x` along `d`, then cut to [0, 1]; `x` itself where `d` is 0.
    pub fn boundary(&self, x: &Tensor, d: &Tensor) -> Tensor {
        self.project(x, &(x + d / self.length(d).clamp_min(TINY) * self.eps))
    }

    /// Distance of `x` from `x0` in this norm, `[N]`.
    pub fn distance(&self, x0: &Tensor, x: &Tensor) -> Tensor {
        self.length(&(x - x0)).flatten(0, -1)
    }

    /// Length of each change in this norm, `[N, 1, 1, 1]`.
    pub(crate) fn length(&self, d: &Tensor) -> Tensor {
        match self.norm {
            Norm::Linf => d.abs().amax([1, 2, 3].as_slice(), true),
            Norm::L2 => length(d),
        }
    }
}

/// What is divided by in place of zero; its reciprocal is still an f32.
const TINY: f64 = 1e-30;

/// ℓ2 length of each image, `[N, 1, 1, 1]`.
fn length(d: &Tensor) -> Tensor {
    d.square().sum_dim_intlist([1, 2, 3].as_slice(), true, None::<Kind>).sqrt()
}
