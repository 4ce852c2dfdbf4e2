//! Projected gradient ascent on predictions (Madry et al. 2018) and its one step of the whole
//! radius without a random start, FGSM (Goodfellow et al. 2015).

use super::{
    adversary::{Adversary, AttackInput},
    attempts::attempts,
    loss::Loss,
    objective::Prediction,
};
use crate::{
    Ball, Best, Norm, Optimizer, Pgd, Sign,
    optim::{named, own_names},
    pgd::{ALIASES, restarted, some_fraction},
};
use anyhow::{Result, ensure};
use models::noise;
use registry::{Entry, described};
use serde::{Deserialize, Serialize};
use tch::{Kind, Tensor};
use toml::Table;

/// In the list of attacks on predictions.
pub(super) const FGSM: Entry<dyn Adversary> = Entry {
    name: "fgsm",
    about: "one step of the whole radius along the cross-entropy's gradient (Goodfellow et al. \
            2015)",
    options: described::<Fgsm>(&[]).alias(&["FGSM"]),
    build: |t| Ok(Box::new(registry::options::<Fgsm>(t)?)),
};

/// In the list of attacks on predictions.
pub(super) const PGD: Entry<dyn Adversary> = Entry {
    name: "pgd",
    about: "projected gradient ascent (Madry et al. 2018), best iterate",
    options: described::<Options>(&[
        ("steps", "steps from each start"),
        (
            "step_size",
            "length of a step, in [0, 1] pixels, such as 2/255; without it 2.5 eps / steps",
        ),
        ("restarts", "starts; each image keeps its best"),
        ("random_start", "true: from a random place of the ball"),
        ("loss", "ce: cross-entropy; dlr: difference of logits ratio, 3 classes at least"),
        ("targeted", "true: towards a random other class of each image"),
        ("target", "number of the class that all images are pushed to; without it none"),
        ("rule", "optimiser that makes the steps, by name"),
    ])
    .alias(&["PGD"])
    .option_aliases(ALIASES)
    .nested("rule", own_names),
    build: |t| Ok(Box::new(Projected::build(t)?)),
};

/// One step of the cross-entropy.
#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Fgsm {}

impl Adversary for Fgsm {
    fn attack(&self, input: &AttackInput) -> Tensor {
        attempts(input, 1, |_, input| {
            let loss = |logits: &Tensor| Loss::Ce.untargeted(logits, &input.y);
            let objective = Prediction::new(input, &loss);
            let walk = Pgd::fgsm(&input.ball).walk(&input.x, &input.keys);
            let _ = Sign::default().climb(&objective, &walk);
            objective.best()
        })
    }

    fn check(&self, classes: i64) -> Result<()> {
        Loss::Ce.check_untargeted(classes)
    }
}

/// Settings of `pgd`; the ball comes with the images.
#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
struct Options {
    steps: u32,
    #[serde(deserialize_with = "some_fraction")]
    step_size: Option<f64>,
    restarts: u32,
    random_start: bool,
    loss: Loss,
    targeted: bool,
    target: Option<i64>,
    rule: String,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            steps: 20,
            step_size: None,
            restarts: 1,
            random_start: true,
            loss: Loss::Ce,
            targeted: false,
            target: None,
            rule: "sign".into(),
        }
    }
}

struct Projected {
    options: Options,
    optimizer: Box<dyn Optimizer>,
}

impl Projected {
    fn build(table: Table) -> Result<Self> {
        let options: Options = registry::options(table)?;
        options.within(&Ball { norm: Norm::Linf, eps: 1. }).check()?;
        let known = options.target.is_none_or(|class| class >= 0);
        ensure!(known, "`target` is negative; classes count from 0");
        let optimizer = named(&options.rule)?;
        Ok(Projected { options, optimizer })
    }

    fn once(&self, input: &AttackInput, attempt: u32) -> Best {
        let Options { loss, .. } = &self.options;
        let targets = self.options.targets(input, attempt);
        let loss = |logits: &Tensor| match &targets {
            Some(target) => loss.targeted(logits, &input.y, target),
            None => loss.untargeted(logits, &input.y),
        };
        let objective = Prediction::new(input, &loss);
        let keys = restarted(&input.keyed("pgd", attempt), 0);
        let walk = self.options.within(&input.ball).walk(&input.x, &keys);
        let _ = self.optimizer.climb(&objective, &walk);
        let mut best = objective.best();
        if let Some(target) = &targets {
            // Towards its own class there is nothing to win: such an image stays as it is.
            let own = target.eq_tensor(&input.y).view([-1, 1, 1, 1]);
            best.images = input.x.where_self(&own, &best.images);
        }
        best
    }
}

impl Options {
    fn within(&self, ball: &Ball) -> Pgd {
        Pgd {
            norm: ball.norm,
            eps: ball.eps,
            steps: self.steps,
            step_size: self.step_size,
            random_start: self.random_start,
            restarts: self.restarts,
            best: false,
        }
    }

    fn is_targeted(&self) -> bool {
        self.targeted || self.target.is_some()
    }

    /// The classes aimed at, i64 `[N]`: the one asked for, or a random one that is not the label.
    fn targets(&self, input: &AttackInput, attempt: u32) -> Option<Tensor> {
        if !self.is_targeted() {
            return None;
        }
        if let Some(class) = self.target {
            return Some(input.y.full_like(class));
        }
        let classes = input.classes();
        let u = noise::uniform(&input.keyed("target", attempt), &[1], input.x.device());
        let other = (u.squeeze_dim(1) * (classes - 1)).floor().to_kind(Kind::Int64);
        Some(&other + other.greater_equal_tensor(&input.y).to_kind(Kind::Int64))
    }
}

impl Adversary for Projected {
    fn attack(&self, input: &AttackInput) -> Tensor {
        attempts(input, self.options.restarts, |attempt, input| self.once(input, attempt))
    }

    fn check(&self, classes: i64) -> Result<()> {
        let Options { loss, target, .. } = &self.options;
        let last = classes - 1;
        if let Some(class) = target {
            ensure!(*class <= last, "`target` is {class}; the network's classes are 0 to {last}");
        }
        match self.options.is_targeted() {
            true => loss.check_targeted(classes),
            false => loss.check_untargeted(classes),
        }
    }

    fn black_box(&self) -> bool {
        !self.optimizer.uses_gradient()
    }
}
