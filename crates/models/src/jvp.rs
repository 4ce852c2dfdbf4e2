//! Derivatives of logits along a direction of the pixels (Pearlmutter 1994): with one backward pass
//! they are Hessian–vector products. Differentiating a gradient instead costs more: at every
//! convolution libtorch also makes the derivative by the weights, which nobody asks for.

mod curved;
mod trained;

pub use curved::CurvedPass;
pub use trained::{Norms, TrainedPass};

use crate::{Activation, Affine, Model, Ops, Pool};
use std::cell::RefCell;
use tch::Tensor;

/// A pass through a network that can be followed again along directions.
pub struct LinearisedPass<'a> {
    model: &'a dyn Model,
    /// Logits `[N, K]`, with a graph to the images.
    pub logits: Tensor,
    /// Whether the pass was in units in which every nonlinearity is the log of a sigmoid.
    scaled: bool,
    bends: Vec<Bend>,
}

/// Where a pass was not linear.
enum Bend {
    /// The input of a nonlinearity, times the scale of the pass, with a graph.
    Act(Tensor),
    /// The winners of a max-pool.
    Pool(Tensor),
}

impl<'a> LinearisedPass<'a> {
    /// Passes the images `x` through `model`; none for a network that bends elsewhere than in
    /// [`Ops`].
    pub fn of(model: &'a dyn Model, x: &Tensor) -> Option<Self> {
        if !model.nonlinear_only_in_ops() {
            return None;
        }
        // A network of softplus alone is the same in other units. In units of −1/β its nonlinearity
        // is the log of a sigmoid, whose backward pass needs no exponential.
        let scale = match model.activation() {
            Some(Activation::Softplus { beta }) => Some(-beta),
            _ => None,
        };
        let tracer = Tracer { scale, bends: RefCell::default() };
        let logits = model.forward(x, &tracer) / tracer.scale();
        Some(LinearisedPass {
            model,
            logits,
            scaled: scale.is_some(),
            bends: tracer.bends.into_inner(),
        })
    }

    /// Derivative of the logits `[N, K]` along `direction` `[N, C, H, W]`, one for each image, with
    /// a graph to the images and to the direction.
    pub fn along(&self, direction: &Tensor) -> Tensor {
        let bends = RefCell::new(self.bends.iter());
        self.model.forward(direction, &Along { scaled: self.scaled, bends })
    }
}

struct Tracer {
    scale: Option<f64>, // of the pass; some where every nonlinearity is the same softplus
    bends: RefCell<Vec<Bend>>,
}

impl Tracer {
    fn scale(&self) -> f64 {
        self.scale.unwrap_or(1.)
    }
}

impl Ops for Tracer {
    fn normalise(&self, x: &Tensor, mean: &Tensor, std: &Tensor) -> Tensor {
        (x - mean) / std * self.scale()
    }

    fn act(&self, activation: &Activation, x: &Tensor) -> Tensor {
        self.bends.borrow_mut().push(Bend::Act(x.shallow_clone()));
        match self.scale {
            Some(_) => x.log_sigmoid(),
            None => activation.apply(x),
        }
    }

    fn affine(&self, layer: &Affine, x: &Tensor) -> Tensor {
        layer.scaled(x, self.scale())
    }

    fn max_pool(&self, pool: Pool, x: &Tensor) -> Tensor {
        let sign = self.scale().signum();
        let (value, winners) = pool.winners(&(x * sign));
        self.bends.borrow_mut().push(Bend::Pool(winners));
        value * sign
    }
}

struct Along<'a> {
    scaled: bool,
    bends: RefCell<std::slice::Iter<'a, Bend>>,
}

impl Along<'_> {
    fn next(&self) -> &Bend {
        self.bends.borrow_mut().next().expect("both passes go the same way")
    }
}

impl Ops for Along<'_> {
    fn normalise(&self, x: &Tensor, _mean: &Tensor, std: &Tensor) -> Tensor {
        x / std
    }

    fn act(&self, activation: &Activation, t: &Tensor) -> Tensor {
        let Bend::Act(z) = self.next() else { unreachable!("both passes go the same way") };
        match self.scaled {
            true => z.neg().sigmoid() * t,
            false => activation.slope(z) * t,
        }
    }

    fn affine(&self, layer: &Affine, t: &Tensor) -> Tensor {
        layer.scaled(t, 0.)
    }

    fn max_pool(&self, _pool: Pool, t: &Tensor) -> Tensor {
        let Bend::Pool(winners) = self.next() else { unreachable!("both passes go the same way") };
        t.flatten(2, -1).gather(2, &winners.flatten(2, -1), false).view_as(winners)
    }
}
