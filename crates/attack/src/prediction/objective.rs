//! A loss of the network's logits as an objective that keeps the best images it was shown.

use super::{adversary::AttackInput, attempts::seen};
use crate::{Best, Objective};
use models::grad::value_and_grad;
use std::cell::RefCell;
use tch::Tensor;

/// Climbs `loss`, which takes logits `[N, K]` to `[N]`.
pub(super) struct Prediction<'a> {
    input: &'a AttackInput<'a>,
    loss: &'a dyn Fn(&Tensor) -> Tensor,
    best: RefCell<Option<Best>>,
}

impl<'a> Prediction<'a> {
    pub(super) fn new(input: &'a AttackInput, loss: &'a dyn Fn(&Tensor) -> Tensor) -> Self {
        Prediction { input, loss, best: RefCell::new(None) }
    }

    fn note(&self, x: &Tensor, value: &Tensor, class: &Tensor) {
        let new = seen(x, value, &class.ne_tensor(&self.input.y));
        match &mut *self.best.borrow_mut() {
            Some(best) => best.keep(&new),
            none => *none = Some(new),
        }
    }

    /// The best of all images it was asked about.
    pub(super) fn best(self) -> Best {
        self.best.into_inner().expect("every optimiser asks about an image")
    }
}

impl Objective for Prediction<'_> {
    fn value_and_grad(&self, x: &Tensor, _iteration: u32) -> (Tensor, Tensor) {
        let mut class = None;
        let (value, g) = value_and_grad(x, |x| {
            let logits = self.input.model.logits(x);
            class = Some(logits.detach().argmax(1, false));
            (self.loss)(&logits)
        });
        self.note(x, &value, &class.expect("the network has just been asked"));
        (value, g)
    }

    fn value(&self, x: &Tensor) -> Tensor {
        let logits = tch::no_grad(|| self.input.model.logits(x));
        let value = (self.loss)(&logits);
        self.note(x, &value, &logits.argmax(1, false));
        value
    }
}
