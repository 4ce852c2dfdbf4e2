//! What every optimiser does and what it is given.

use crate::{Ball, Objective};
use models::noise;
use tch::Tensor;

/// A way to move through a ball to where an objective is large.
///
/// ```
/// use attack::{Ball, Norm, Objective, Step, Walk, optimizer};
/// use tch::{Device, Kind, Tensor};
///
/// /// −(x − 1)², summed over an image.
/// struct NearOne;
///
/// impl Objective for NearOne {
///     fn value_and_grad(&self, x: &Tensor, _iteration: u32) -> (Tensor, Tensor) {
///         (self.value(x), (1. - x) * 2.)
///     }
///     fn value(&self, x: &Tensor) -> Tensor {
///         -(x - 1.).square().sum_dim_intlist([1i64, 2, 3].as_slice(), false, Kind::Float)
///     }
/// }
///
/// let x = Tensor::zeros([1, 1, 2, 2], (Kind::Float, Device::Cpu));
/// let (ball, start) = (Ball::new(Norm::Linf, 0.3)?, x.shallow_clone());
/// let walk = Walk { x: &x, ball, start, start_value: None, steps: 5, step: Step::Same(0.1), keys: &[0] };
/// let end = optimizer(registry::parse("sign")?)?.climb(&NearOne, &walk);
/// assert!((end - 0.3).abs().max().double_value(&[]) < 1e-6);
/// # Ok::<(), anyhow::Error>(())
/// ```
pub trait Optimizer: Send + Sync {
    /// Makes `walk.steps` iterates, each shown to `objective`, and returns the images
    /// `[N, C, H, W]` at which it ends. There is no host synchronisation.
    fn climb(&self, objective: &dyn Objective, walk: &Walk) -> Tensor;

    /// Whether it asks for gradients.
    fn uses_gradient(&self) -> bool {
        true
    }
}

/// One walk, from one start.
pub struct Walk<'a> {
    /// The clean images, `[N, C, H, W]`.
    pub x: &'a Tensor,
    /// Where iterates must stay, around `x`.
    pub ball: Ball,
    /// The first images, `[N, C, H, W]`.
    pub start: Tensor,
    /// The objective's values there `[N]`, where they are known; else anything is above them.
    pub start_value: Option<Tensor>,
    /// How many iterates there are.
    pub steps: u32,
    /// How long each is.
    pub step: Step,
    /// One key per image seeds the walk's own draws, `[N]`.
    pub keys: &'a [u64],
}

/// Length of a walk's steps in the ball's norm, in units of [0, 1] pixels.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Step {
    /// The same at every iteration.
    Same(f64),
    /// From this at the first by equal differences to 0 after the last.
    Falling(f64),
}

impl Step {
    /// In iteration number `iteration`, from 0, of so many.
    pub(super) fn at(self, iteration: u32, of: u32) -> f64 {
        match self {
            Step::Same(step) => step,
            Step::Falling(first) => first * (1. - f64::from(iteration) / f64::from(of)),
        }
    }
}

impl Walk<'_> {
    /// Length of the step in iteration number `iteration`.
    pub(super) fn step_at(&self, iteration: u32) -> f64 {
        self.step.at(iteration, self.steps)
    }

    /// A key per image for draw number `draw` of what is called `name`.
    pub fn keyed(&self, name: &str, draw: u32) -> Vec<u64> {
        keyed(self.keys, name, draw)
    }
}

/// A key per image for draw number `draw` of what is called `name`.
pub(crate) fn keyed(keys: &[u64], name: &str, draw: u32) -> Vec<u64> {
    let name = noise::name_id(name);
    keys.iter().map(|&key| noise::key(key, u64::from(draw), name)).collect()
}
