//! Derivatives of logits along a direction of the pixels that reach the weights. At a direction that is held, one
//! such pass and an ordinary backward pass differentiate a penalty on an input gradient: nothing goes backward
//! through a backward pass, whose convolutions libtorch differentiates slowly.

use crate::{Activation, Affine, Fused, HeldStatistics, Model, Ops, Pool, Precision};
use std::cell::RefCell;
use tch::Tensor;

/// Which statistics the norms of a pass have.
#[derive(Debug)]
pub enum Norms {
    /// The running ones; layers compute in this type.
    Running(Precision),
    /// Those of one batch.
    Held(HeldStatistics),
}

/// A pass with gradients into the weights that can be followed again along directions.
pub struct TrainedPass<'a> {
    model: &'a dyn Model,
    /// Logits `[N, K]`, with a graph to the images and the weights.
    pub logits: Tensor,
    met: Vec<Met>,
}

/// What a pass met, in order.
enum Met {
    /// The input of a nonlinearity, with a graph.
    Act(Tensor),
    /// The winners of a max-pool.
    Pool(Tensor),
    /// What a layer multiplies by, and what its norm does after that.
    Affine(Tensor, Option<Tensor>),
}

impl<'a> TrainedPass<'a> {
    /// Passes the images `x` through `model`; none for a network that bends elsewhere than in [`Ops`].
    pub fn of(model: &'a dyn Model, x: &Tensor, norms: &Norms) -> Option<Self> {
        if !model.nonlinear_only_in_ops() {
            return None;
        }
        let tracer = Tracer { norms, met: RefCell::default() };
        let logits = model.forward(x, &tracer);
        Some(TrainedPass { model, logits, met: tracer.met.into_inner() })
    }

    /// Derivative of the logits `[N, K]` along `direction` `[N, C, H, W]`, one for each image, with a graph to
    /// the weights, the images and the direction.
    pub fn along(&self, direction: &Tensor) -> Tensor {
        self.model.forward(direction, &Along(RefCell::new(self.met.iter())))
    }
}

struct Tracer<'a> {
    norms: &'a Norms,
    met: RefCell<Vec<Met>>,
}

impl Ops for Tracer<'_> {
    fn normalise(&self, x: &Tensor, mean: &Tensor, std: &Tensor) -> Tensor {
        match self.norms {
            Norms::Running(precision) => Fused { precision: *precision }.normalise(x, mean, std),
            Norms::Held(held) => held.normalise(x, mean, std),
        }
    }

    fn act(&self, activation: &Activation, x: &Tensor) -> Tensor {
        self.met.borrow_mut().push(Met::Act(x.shallow_clone()));
        activation.apply(x)
    }

    fn affine(&self, layer: &Affine, x: &Tensor) -> Tensor {
        let (y, weight, gain) = match self.norms {
            Norms::Running(precision) => {
                let (y, weight) = layer.fused_with_weight(x, *precision);
                (y, weight, None)
            }
            Norms::Held(held) => held.affine_with_parts(layer, x),
        };
        self.met.borrow_mut().push(Met::Affine(weight, gain));
        y
    }

    fn max_pool(&self, pool: Pool, x: &Tensor) -> Tensor {
        let (value, winners) = pool.winners(x);
        self.met.borrow_mut().push(Met::Pool(winners));
        value
    }
}

struct Along<'a>(RefCell<std::slice::Iter<'a, Met>>);

impl<'a> Along<'a> {
    fn next(&self) -> &'a Met {
        self.0.borrow_mut().next().expect("both passes go the same way")
    }
}

impl Ops for Along<'_> {
    fn normalise(&self, x: &Tensor, _mean: &Tensor, std: &Tensor) -> Tensor {
        x / std
    }

    fn act(&self, activation: &Activation, t: &Tensor) -> Tensor {
        let Met::Act(z) = self.next() else { unreachable!("both passes go the same way") };
        match activation {
            // Its slope is flat: no graph leads through it.
            Activation::Relu => z.detach().threshold_backward(t, 0),
            _ => activation.slope(z) * t,
        }
    }

    fn affine(&self, layer: &Affine, t: &Tensor) -> Tensor {
        let Met::Affine(weight, gain) = self.next() else {
            unreachable!("both passes go the same way")
        };
        let t = layer.with(&t.to_kind(weight.kind()), weight, None);
        match gain {
            Some(gain) => t * gain,
            None => t,
        }
    }

    fn max_pool(&self, _pool: Pool, t: &Tensor) -> Tensor {
        let Met::Pool(winners) = self.next() else { unreachable!("both passes go the same way") };
        t.flatten(2, -1).gather(2, &winners.flatten(2, -1), false).view_as(winners)
    }
}
