//! Any function of the numbers of an image as a model.

use models::{Activation, Model, Ops};
use tch::Tensor;

/// One logit: a function of the flattened image, `[N, D]` -> `[N]`.
pub(crate) struct Of<F: Fn(&Tensor) -> Tensor>(pub F);

impl<F: Fn(&Tensor) -> Tensor> Model for Of<F> {
    fn forward(&self, x: &Tensor, _ops: &dyn Ops) -> Tensor {
        (self.0)(&x.flatten(1, -1)).unsqueeze(1)
    }

    fn activation(&self) -> Option<Activation> {
        Some(Activation::Relu)
    }
}
