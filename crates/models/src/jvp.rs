//! Derivatives of logits along a direction of the pixels (Pearlmutter 1994): with one backward pass
//! they are Hessian–vector products. Differentiating a gradient instead costs more: at every
//! convolution libtorch also makes the derivative by the weights, which nobody asks for.

use crate::{Activation, Affine, Model, Ops, Pool};
use std::cell::RefCell;
use tch::Tensor;

/// A pass through a network that can be followed again along directions.
pub struct LinearisedPass<'a> {
    model: &'a dyn Model,
    /// Logits `[N, K]`, with a graph to the images.
    pub logits: Tensor,
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
        let activation = model.activation();
        // A network of softplus is the same in other units. In units of −1/β its nonlinearity is
        // the log of a sigmoid, whose backward pass needs no exponential.
        let scale = match activation {
            Activation::Softplus { beta } => -beta,
            _ => 1.,
        };
        let tracer = Tracer { activation, scale, bends: RefCell::default() };
        let logits = model.forward(x, &tracer) / scale;
        Some(LinearisedPass { model, logits, bends: tracer.bends.into_inner() })
    }

    /// Derivative of the logits `[N, K]` along `direction` `[N, C, H, W]`, one for each image, with
    /// a graph to the images and to the direction.
    pub fn along(&self, direction: &Tensor) -> Tensor {
        let activation = self.model.activation();
        let bends = RefCell::new(self.bends.iter());
        self.model.forward(direction, &Along { activation, bends })
    }
}

struct Tracer {
    activation: Activation,
    scale: f64,
    bends: RefCell<Vec<Bend>>,
}

impl Ops for Tracer {
    fn normalise(&self, x: &Tensor, mean: &Tensor, std: &Tensor) -> Tensor {
        (x - mean) / std * self.scale
    }

    fn act(&self, x: &Tensor) -> Tensor {
        self.bends.borrow_mut().push(Bend::Act(x.shallow_clone()));
        match self.activation {
            Activation::Softplus { .. } => x.log_sigmoid(),
            other => other.apply(x),
        }
    }

    fn affine(&self, layer: &Affine, x: &Tensor) -> Tensor {
        layer.scaled(x, self.scale)
    }

    fn max_pool(&self, pool: Pool, x: &Tensor) -> Tensor {
        let sign = self.scale.signum();
        let (value, winners) = pool.winners(&(x * sign));
        self.bends.borrow_mut().push(Bend::Pool(winners));
        value * sign
    }
}

struct Along<'a> {
    activation: Activation,
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

    fn act(&self, t: &Tensor) -> Tensor {
        let Bend::Act(z) = self.next() else { unreachable!("both passes go the same way") };
        match self.activation {
            Activation::Softplus { .. } => z.neg().sigmoid() * t,
            other => other.slope(z) * t,
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
