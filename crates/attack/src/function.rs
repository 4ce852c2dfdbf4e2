//! Any function of images as an objective.

use crate::{Best, Objective, Optimizer, Walk};
use std::cell::RefCell;
use tch::Tensor;

/// Images `[N, C, H, W]` -> values `[N]`, to be large, and the gradient of their sum.
pub type Function<'a> = dyn Fn(&Tensor) -> (Tensor, Tensor) + 'a;

/// The images with the largest value among all that `optimizer` asks `function` about.
pub fn maximise(optimizer: &dyn Optimizer, function: &Function, walk: &Walk) -> Best {
    let tracked = Tracked { function, best: RefCell::new(None) };
    let _ = optimizer.climb(&tracked, walk);
    tracked.best.into_inner().expect("every optimiser asks about an image")
}

/// Keeps the best images.
struct Tracked<'a> {
    function: &'a Function<'a>,
    best: RefCell<Option<Best>>,
}

impl Tracked<'_> {
    fn note(&self, x: &Tensor, value: &Tensor) {
        let new = Best::by_value(x, value);
        match &mut *self.best.borrow_mut() {
            Some(best) => best.keep(&new),
            none => *none = Some(new),
        }
    }
}

impl Objective for Tracked<'_> {
    fn value_and_grad(&self, x: &Tensor, _iteration: u32) -> (Tensor, Tensor) {
        let (value, g) = (self.function)(x);
        self.note(x, &value);
        (value, g)
    }

    fn value(&self, x: &Tensor) -> Tensor {
        self.value_and_grad(x, 0).0
    }
}

/// Keeps nothing: for who takes the images at which an optimiser ends. Saves the pass at the last.
pub(crate) struct Untracked<'a>(pub &'a Function<'a>);

impl Objective for Untracked<'_> {
    fn value_and_grad(&self, x: &Tensor, _iteration: u32) -> (Tensor, Tensor) {
        (self.0)(x)
    }

    fn value(&self, x: &Tensor) -> Tensor {
        (self.0)(x).0
    }

    fn last(&self, _x: &Tensor) {}
}
