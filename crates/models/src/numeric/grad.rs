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

    /// logits `[N, K]` -> score `[N]`; probabilities and their logarithms in f64, because near 1
    /// they differ behind the last digit of f32.
    pub fn of(&self, logits: &Tensor) -> Tensor {
        if self.score == Score::Logit {
            return logits.gather(1, &self.class.unsqueeze(1), false).squeeze_dim(1);
        }
        let odds = self.log_odds(logits);
        match self.score {
            Score::Prob => {
                let (p, sure): (Tensor, Tensor) = (odds.sigmoid(), 1. - (-&odds).sigmoid());
                sure.where_self(&odds.gt(0.), &p)
            }
            _ => odds.log_sigmoid(),
        }
    }

    /// Where the class is likelier than all others together, bool `[N]`, if the score is a
    /// probability; else none. There [`Target::shifted`] keeps the digits that p rounds away.
    pub fn sure(&self, logits: impl FnOnce() -> Tensor) -> Option<Tensor> {
        (self.score == Score::Prob).then(|| self.log_odds(&logits()).gt(0.))
    }

    /// The score, less 1 where an image is [`sure`](Target::sure), `[N]`: for differences.
    pub fn shifted(&self, logits: &Tensor, sure: Option<&Tensor>) -> Tensor {
        let Some(sure) = sure else { return self.of(logits) };
        let odds = self.log_odds(logits);
        (-(-&odds).sigmoid()).where_self(sure, &odds.sigmoid())
    }

    /// log p − log(1 − p) of the class: its logit less the logsumexp of the others', f64 `[N]`.
    /// Through it 1 − p is the others' share, not what rounding leaves of a difference.
    pub fn log_odds(&self, logits: &Tensor) -> Tensor {
        let (logits, class) = (logits.to_kind(Kind::Double), self.class.unsqueeze(1));
        let own = logits.gather(1, &class, false).squeeze_dim(1);
        own - others(&logits, &class).logsumexp([1i64].as_slice(), false)
    }

    /// Derivative of the score `[N]` where the logits `[N, K]` move along `direction` `[N, K]`.
    pub fn along(&self, logits: &Tensor, direction: &Tensor) -> Tensor {
        let class = self.class.unsqueeze(1);
        let own = direction.gather(1, &class, false).squeeze_dim(1);
        if self.score == Score::Logit {
            return own;
        }
        let odds = self.log_odds(logits);
        let share = others(&logits.to_kind(Kind::Double), &class).softmax(1, Kind::Double);
        let rate =
            own - (share * direction).sum_dim_intlist([1i64].as_slice(), false, Kind::Double);
        let slope = match self.score {
            Score::Prob => odds.sigmoid() * (-odds).sigmoid(),
            _ => (-odds).sigmoid(),
        };
        (slope * rate).to_kind(direction.kind())
    }

    /// The images `start..start + n` of this target.
    pub fn narrow(&self, start: i64, n: i64) -> Self {
        Target { class: self.class.narrow(0, start, n), score: self.score }
    }
}

/// Logits without those of `class` i64 `[N, 1]`.
fn others(logits: &Tensor, class: &Tensor) -> Tensor {
    logits.scatter_value(1, class, f64::NEG_INFINITY)
}

/// Gradient of the batch sum of `f(x)` with respect to `x`. `x` and the weights keep no trace.
pub fn grad(x: &Tensor, f: impl FnOnce(&Tensor) -> Tensor) -> Tensor {
    value_and_grad(x, f).1
}

/// The values `f(x)` `[N]` and the gradient of their sum with respect to `x`, where graphs are switched
/// off too; nothing keeps a trace.
pub fn value_and_grad(x: &Tensor, f: impl FnOnce(&Tensor) -> Tensor) -> (Tensor, Tensor) {
    let x = x.detach().set_requires_grad(true);
    let (values, sum) = tch::with_grad(|| {
        let values = f(&x);
        let sum = values.sum(None::<Kind>);
        (values, sum)
    });
    (values.detach(), pull(&sum, &x, Graph::Free))
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
