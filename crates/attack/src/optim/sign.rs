//! Steepest ascent, step by step (Ghorbani et al. 2019, Madry et al. 2018).

use super::walk::{Optimizer, Walk};
use crate::{Ball, Objective};
use registry::{Entry, described};
use serde::{Deserialize, Serialize};
use tch::Tensor;

/// In the list of optimisers.
pub(super) const ENTRY: Entry<dyn Optimizer> = Entry {
    name: "sign",
    about: "steps of --step along the gradient's signs, or along the gradient for l2 (Ghorbani et \
            al. 2019)",
    options: described::<Sign>(&[(
        "projection",
        "clamp: to the nearest image of the ball; radial: a change that leaves the ball is \
             shrunk whole",
    )]),
    build: |t| Ok(Box::new(registry::options::<Sign>(t)?)),
};

/// Steps along the direction of steepest ascent.
#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Sign {
    projection: Projection,
}

/// How an iterate outside the ball is brought back.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
enum Projection {
    /// To the nearest image of the ball.
    #[default]
    Clamp,
    /// Towards the clean image, all pixels by the same factor.
    Radial,
}

impl Projection {
    fn apply(self, ball: Ball, x: &Tensor, at: &Tensor) -> Tensor {
        match self {
            Projection::Clamp => ball.project(x, at),
            Projection::Radial => ball.shrink(x, at),
        }
    }
}

impl Sign {
    /// Iterates go to the nearest image of the ball.
    pub const CLAMPED: Sign = Sign { projection: Projection::Clamp };
}

impl Optimizer for Sign {
    fn climb(&self, objective: &dyn Objective, walk: &Walk) -> Tensor {
        let mut at = walk.start.shallow_clone();
        for i in 0..walk.steps {
            let (_, g) = objective.value_and_grad(&at, i);
            let next = &at + walk.ball.ascent(&g) * walk.step_at(i);
            at = self.projection.apply(walk.ball, walk.x, &next);
        }
        objective.last(&at);
        at
    }
}
