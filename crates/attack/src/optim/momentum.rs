//! Steps along a sum of past gradients, so that a walk does not turn at each of them (Dong et al. 2018).

use super::walk::{Optimizer, Walk};
use crate::Objective;
use anyhow::ensure;
use registry::{Entry, described};
use serde::{Deserialize, Serialize};
use tch::{Kind, Tensor};

/// In the list of optimisers.
pub(super) const ENTRY: Entry<dyn Optimizer> = Entry {
    name: "momentum",
    about: "steps of --step along the decayed sum of normalised gradients, MI-FGSM (Dong et al. 2018)",
    options: described::<Momentum>(&[("decay", "of the sum at each step, 0 or more")]),
    build: |t| {
        let momentum = registry::options::<Momentum>(t)?;
        let decay = momentum.decay;
        ensure!(decay.is_finite() && decay >= 0., "`decay` is {decay}; it must be 0 or more");
        Ok(Box::new(momentum))
    },
};

#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
struct Momentum {
    decay: f64,
}

impl Default for Momentum {
    fn default() -> Self {
        Momentum { decay: 1. }
    }
}

impl Optimizer for Momentum {
    fn climb(&self, objective: &dyn Objective, walk: &Walk) -> Tensor {
        let mut at = walk.start.shallow_clone();
        let mut sum = at.zeros_like();
        for i in 0..walk.steps {
            let (_, g) = objective.value_and_grad(&at, i);
            let length = g.abs().sum_dim_intlist([1i64, 2, 3].as_slice(), true, None::<Kind>);
            sum = sum * self.decay + g / length.clamp_min(f64::from(f32::MIN_POSITIVE));
            at = walk.ball.project(walk.x, &(&at + walk.ball.ascent(&sum) * walk.step));
        }
        objective.last(&at);
        at
    }
}
