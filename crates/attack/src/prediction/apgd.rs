//! Auto-PGD on predictions (Croce & Hein 2020): away from the labels, or towards each of the
//! strongest other classes. A run starts on the ball's boundary, as in AutoAttack's code.

use super::{
    adversary::{Adversary, AttackInput},
    attempts::{attempts, towards},
    loss::Loss,
    objective::Prediction,
};
use crate::{AutoPgd, Ball, Best, Norm, Optimizer, Walk};
use anyhow::{Result, ensure};
use models::noise;
use registry::{Entry, described};
use serde::{Deserialize, Serialize};
use tch::Tensor;
use toml::Table;

/// In the list of attacks on predictions.
pub(super) const CE: Entry<dyn Adversary> = Entry {
    name: "apgd-ce",
    about: "Auto-PGD on the cross-entropy (Croce & Hein 2020)",
    options: described::<Options>(&[
        ("steps", "steps from each start"),
        ("restarts", "starts; each image keeps its best"),
    ])
    .alias(&["APGD"])
    .option_aliases(&[("n_iter", "steps"), ("n_restarts", "restarts")]),
    build: |t| untargeted(t, Loss::Ce),
};

/// In the list of attacks on predictions.
pub(super) const DLR: Entry<dyn Adversary> = Entry {
    name: "apgd-dlr",
    about: "Auto-PGD on the difference of logits ratio, 3 classes at least (Croce & Hein 2020)",
    options: described::<Options>(&[
        ("steps", "steps from each start"),
        ("restarts", "starts; each image keeps its best"),
    ])
    .option_aliases(&[("n_iter", "steps"), ("n_restarts", "restarts")]),
    build: |t| untargeted(t, Loss::Dlr),
};

/// In the list of attacks on predictions.
pub(super) const TARGETED: Entry<dyn Adversary> = Entry {
    name: "apgd-t",
    about: "Auto-PGD on the targeted DLR towards each of the 9 strongest other classes, 4 classes \
            at least (Croce & Hein 2020)",
    options: described::<Options>(&[
        ("steps", "steps from each start"),
        ("restarts", "starts for each class; each image keeps its best"),
    ])
    .alias(&["APGDT"])
    .option_aliases(&[("n_iter", "steps"), ("n_restarts", "restarts")]),
    build: |t| Ok(Box::new(Targeted(Options::parse(t)?))),
};

#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Options {
    pub(super) steps: u32,
    pub(super) restarts: u32,
}

impl Default for Options {
    fn default() -> Self {
        Options { steps: 100, restarts: 1 }
    }
}

impl Options {
    /// From a table of settings. Errors: unknown keys, no steps, no starts.
    pub(super) fn parse(table: Table) -> Result<Self> {
        let options: Options = registry::options(table)?;
        ensure!(options.steps > 0, "`steps` is 0; it must be positive");
        ensure!(options.restarts > 0, "`restarts` is 0; it must be positive");
        Ok(options)
    }
}

/// APGD away from the labels, on one loss.
struct Untargeted {
    options: Options,
    loss: Loss,
}

/// APGD away from the labels on `loss`, with the options in `table`.
pub(super) fn untargeted(table: Table, loss: Loss) -> Result<Box<dyn Adversary>> {
    Ok(Box::new(Untargeted { options: Options::parse(table)?, loss }))
}

impl Adversary for Untargeted {
    fn attack(&self, input: &AttackInput) -> Tensor {
        let name = match self.loss {
            Loss::Ce => "apgd-ce",
            Loss::Dlr => "apgd-dlr",
        };
        attempts(input, self.options.restarts, |restart, input| {
            let loss = |logits: &Tensor| self.loss.untargeted(logits, &input.y);
            once(input, &loss, self.options.steps, &input.keyed(name, restart))
        })
    }

    fn check(&self, classes: i64) -> Result<()> {
        self.loss.check_untargeted(classes)
    }
}

/// APGD on the targeted DLR loss, towards each of the strongest other classes in turn.
struct Targeted(Options);

impl Adversary for Targeted {
    fn attack(&self, input: &AttackInput) -> Tensor {
        towards(input, self.0.restarts, |input, target, [attempt, _]| {
            let loss = |logits: &Tensor| Loss::Dlr.targeted(logits, &input.y, target);
            once(input, &loss, self.0.steps, &input.keyed("apgd-t", attempt))
        })
    }

    fn check(&self, classes: i64) -> Result<()> {
        Loss::Dlr.check_targeted(classes)
    }
}

/// One attempt on `loss`, from a random image on the boundary of the ball, cut to [0, 1].
fn once(input: &AttackInput, loss: &dyn Fn(&Tensor) -> Tensor, steps: u32, keys: &[u64]) -> Best {
    let start = boundary(&input.x, &input.ball, keys);
    let walk = Walk { steps, ..input.walk(start, keys) };
    let objective = Prediction::new(input, loss);
    let _ = AutoPgd::default().climb(&objective, &walk);
    objective.best()
}

/// A random image on the boundary of the ball around each of `x`, cut to [0, 1].
pub(super) fn boundary(x: &Tensor, ball: &Ball, keys: &[u64]) -> Tensor {
    let (shape, device) = (&x.size()[1..], x.device());
    let direction = match ball.norm {
        Norm::Linf => noise::uniform(keys, shape, device) * 2. - 1.,
        Norm::L2 => noise::normal(keys, shape, device),
    };
    ball.boundary(x, &direction)
}
