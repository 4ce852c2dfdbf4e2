//! The attack on a smoothed map that stands opposite its certificate: heat is taken from chosen
//! pixels, in the mean over noise, by steps along the normalised gradient through the softplus
//! network.

use crate::{Ball, Beta, Norm};
use explain::{Attribution, Batch, certificate::noisy, heat};
use models::{Model, grad::value_and_grad, noise, softened};
use tch::{Kind, Tensor};

/// An attack on the smoothed map of one image. The image may leave [0, 1], as its noisy copies do.
#[derive(Clone, Copy)]
pub struct SmoothedAttack<'a> {
    /// The network that is explained.
    pub model: &'a dyn Model,
    /// How; differentiable.
    pub method: &'a dyn Attribution,
    /// σ of the noise, in [0, 1] pixels.
    pub sigma: f64,
    /// Sharpness of the softplus that stands for ReLU.
    pub beta: Beta,
    /// Steps; none leaves the image as it is.
    pub iterations: u32,
    /// Noisy copies a step, drawn anew at each.
    pub samples: u64,
}

impl SmoothedAttack<'_> {
    /// A change `[1, C, H, W]` of the one image of `batch`, of ℓ2 length `radius` at most, which
    /// takes heat from the pixels `chosen`, `[H, W]` with 1 there and 0 elsewhere. The walk starts
    /// at `start`, a change. `tick` is called after every step.
    pub fn run(
        &self,
        batch: &Batch,
        chosen: &Tensor,
        (radius, start): (f64, &Tensor),
        tick: &dyn Fn(),
    ) -> Tensor {
        let ball = Ball { norm: Norm::L2, eps: radius };
        // Long steps first, short ones last: their lengths add up to 2.5 radii.
        let step = |i: u32| {
            let left = f64::from(self.iterations - i) / f64::from(self.iterations);
            5. * radius / f64::from(self.iterations + 1) * left
        };
        let mut change = within(start, radius);
        for i in 0..self.iterations {
            let g = self.gradient(batch, chosen, &change, i);
            change = within(&(change - ball.ascent(&g) * step(i)), radius);
            tick();
        }
        change
    }

    /// The gradient of the mean heat on `chosen` where the image is changed by `change`.
    fn gradient(&self, batch: &Batch, chosen: &Tensor, change: &Tensor, iteration: u32) -> Tensor {
        let moved = batch.at(&(&batch.x + change));
        let samples: Vec<u64> = (0..self.samples).collect();
        let images = moved.select(&vec![0; samples.len()]);
        let draw = noise::key(noise::name_id("smoothed"), u64::from(iteration), 0);
        let images = Batch { keys: images.keys_of(draw), ..images.at(&images.x) };
        let near = tch::no_grad(|| noisy(&images, &samples, self.sigma, "certify-attack"));
        let surrogate = softened(self.model, self.beta.at(iteration, self.iterations));
        let cotangent = |map: &Tensor| {
            let on = |map: &Tensor| {
                (heat(map) * chosen).sum_dim_intlist([1i64, 2].as_slice(), false, map.kind())
            };
            value_and_grad(map, on).1
        };
        let method = self.method.differentiable().expect("who calls asks for it");
        let (_, rows) = method.pullback(&surrogate, &near, &cotangent);
        rows.mean_dim([0i64].as_slice(), true, None::<Kind>)
    }
}

/// A change cut to its ball; the image is not cut to [0, 1].
fn within(change: &Tensor, radius: f64) -> Tensor {
    let length = change.norm().double_value(&[]);
    if length > radius { change * (radius / length) } else { change.shallow_clone() }
}
