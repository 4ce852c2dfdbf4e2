//! Targets, scores and their input gradients.

use crate::Model;
use serde::{Deserialize, Serialize};
use tch::{Kind, Tensor};

/// Which output of the target class is explained.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Score {
    /// The logit itself.
    #[default]
    Logit,
    /// Softmax probability.
    Prob,
    /// Log of the softmax probability.
    Logprob,
}

/// What is explained: one class per image, and which score of it.
#[derive(Debug)]
pub struct Target {
    /// Class per image, i64 `[N]`.
    pub class: Tensor,
    /// Score of that class.
    pub score: Score,
}

impl Target {
    /// The logit of the given classes, i64 `[N]`.
    pub fn logit(class: &Tensor) -> Self {
        Target { class: class.shallow_clone(), score: Score::Logit }
    }

    /// The class each image is given by `model`.
    pub fn predicted(model: &dyn Model, x: &Tensor, score: Score) -> Self {
        Target { class: tch::no_grad(|| model.logits(x).argmax(1, false)), score }
    }

    /// logits `[N, K]` -> score `[N]`.
    pub fn of(&self, logits: &Tensor) -> Tensor {
        let values = match self.score {
            Score::Logit => logits.shallow_clone(),
            Score::Prob => logits.softmax(1, logits.kind()),
            Score::Logprob => logits.log_softmax(1, logits.kind()),
        };
        values.gather(1, &self.class.unsqueeze(1), false).squeeze_dim(1)
    }

    /// Derivative of the score `[N]` where the logits `[N, K]` move along `direction` `[N, K]`.
    pub fn along(&self, logits: &Tensor, direction: &Tensor) -> Tensor {
        let class = self.class.unsqueeze(1);
        let own = direction.gather(1, &class, false).squeeze_dim(1);
        if self.score == Score::Logit {
            return own;
        }
        let p = logits.softmax(1, logits.kind());
        let others = (&p * direction).sum_dim_intlist([1].as_slice(), false, logits.kind());
        match self.score {
            Score::Prob => p.gather(1, &class, false).squeeze_dim(1) * (own - others),
            _ => own - others,
        }
    }

    /// The images `start..start + n` of this target.
    pub fn narrow(&self, start: i64, n: i64) -> Self {
        Target { class: self.class.narrow(0, start, n), score: self.score }
    }
}

/// Gradient of the batch sum of `f(x)` with respect to `x`. `x` and the weights keep no trace.
pub fn grad(x: &Tensor, f: impl FnOnce(&Tensor) -> Tensor) -> Tensor {
    value_and_grad(x, f).1
}

/// The values `f(x)` `[N]` and the gradient of their sum with respect to `x`; nothing keeps a trace.
pub fn value_and_grad(x: &Tensor, f: impl FnOnce(&Tensor) -> Tensor) -> (Tensor, Tensor) {
    let x = x.detach().set_requires_grad(true);
    let values = tch::with_grad(|| f(&x));
    let g = pull(&values.sum(None::<Kind>), &x, Graph::Free);
    (values.detach(), g)
}

/// Cross-entropy of each image: logits `[N, K]`, labels i64 `[N]` -> `[N]`.
pub fn cross_entropy(logits: &Tensor, y: &Tensor) -> Tensor {
    let none = None::<Tensor>;
    logits.cross_entropy_loss(y, none, tch::Reduction::None, -100, 0.)
}

/// Whether a backward pass can itself be differentiated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Graph {
    /// The graph is freed; the result is a constant.
    Free,
    /// The graph stays for another pass; the result is a constant.
    Retain,
    /// The graph stays and the result has one of its own.
    Keep,
}

/// Gradient of the scalar `out` with respect to `x`; zeros if `out` does not depend on `x`.
pub fn pull(out: &Tensor, x: &Tensor, graph: Graph) -> Tensor {
    if !out.requires_grad() {
        return x.zeros_like();
    }
    let (stays, own) = (graph != Graph::Free, graph == Graph::Keep);
    let g = Tensor::run_backward(&[out], &[x], stays, own).remove(0);
    if g.defined() { g } else { x.zeros_like() }
}

/// Has the value of `value` and the gradient of `surrogate`.
pub fn swap_gradient(value: &Tensor, surrogate: &Tensor) -> Tensor {
    (value - surrogate).detach() + surrogate
}
