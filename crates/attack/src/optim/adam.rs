//! Adam, pixel by pixel (Kingma & Ba 2015; on maps Dombrowski et al. 2019).

use super::walk::{Optimizer, Walk};
use crate::Objective;
use anyhow::ensure;
use models::adam;
use registry::{Entry, described};
use serde::{Deserialize, Serialize};
use tch::Tensor;

/// In the list of optimisers.
pub(super) const ENTRY: Entry<dyn Optimizer> = Entry {
    name: "adam",
    about: "Adam with steps of --step (as Dombrowski et al. 2019), then into the ball",
    options: described::<Adam>(&[
        ("beta1", "decay of the first moment, in [0, 1)"),
        ("beta2", "decay of the second moment, in [0, 1)"),
    ])
    .alias(&["Adam"]),
    build: |t| {
        let adam = registry::options::<Adam>(t)?;
        for (name, value) in [("beta1", adam.beta1), ("beta2", adam.beta2)] {
            ensure!((0. ..1.).contains(&value), "`{name}` is {value}, not in [0, 1)");
        }
        Ok(Box::new(adam))
    },
};

/// What keeps the quotient finite where there is no slope; far below any slope there is.
const EPS: f64 = 1e-18;

#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
struct Adam {
    beta1: f64,
    beta2: f64,
}

impl Default for Adam {
    fn default() -> Self {
        Adam { beta1: 0.9, beta2: 0.999 }
    }
}

impl Optimizer for Adam {
    fn climb(&self, objective: &dyn Objective, walk: &Walk) -> Tensor {
        let adam = adam::Adam { betas: [self.beta1, self.beta2], eps: EPS };
        let mut moments = adam::Moments::zero(&walk.start);
        let mut at = walk.start.shallow_clone();
        for i in 0..walk.steps {
            let (_, g) = objective.value_and_grad(&at, i);
            let direction = adam.direction(&mut moments, &g, i64::from(i) + 1);
            at = walk.ball.project(walk.x, &(&at + direction * walk.step_at(i)));
        }
        objective.last(&at);
        at
    }
}
