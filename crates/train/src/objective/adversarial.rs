//! Adversarial training (Madry et al. 2018): cross-entropy where an attack made it large, mixed
//! with clean cross-entropy if asked (Wang et al. 2020 take half and half).

use super::{Loss, Objective, Statistics, Step, cross_entropy};
use anyhow::{Result, ensure};
use models::grad;
use registry::{Entry, described};
use serde::{Deserialize, Serialize};
use tch::Tensor;
use toml::Table;

/// In the list of objectives.
pub(super) const ENTRY: Entry<dyn Objective> = Entry {
    name: "adversarial",
    about: "cross-entropy on attacked images (Madry et al. 2018)",
    options: described::<Adversarial>(&[
        (
            "attack",
            "the adversary, a table: norm, eps, steps, step_size, random_start, restarts, best, rule",
        ),
        ("clean", "weight of clean images in the mix, in [0, 1)"),
        ("ramp", "epochs until the full eps"),
        (
            "attack_mode",
            "statistics of batch norms while attacking: running (or eval), batch (or train)",
        ),
    ])
    .needing(&[("attack", "{ eps = \"8/255\", steps = 7, step_size = \"2/255\" }")]),
    build,
};

#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Adversarial {
    attack: Table,
    #[serde(default)]
    clean: f64,
    #[serde(default)]
    ramp: f64,
    #[serde(default)]
    attack_mode: Statistics,
}

fn build(table: Table) -> Result<Box<dyn Objective>> {
    let adversarial: Adversarial = registry::options(table)?;
    let (clean, ramp) = (adversarial.clean, adversarial.ramp);
    ensure!((0. ..1.).contains(&clean), "`clean` is {clean}, not in [0, 1)");
    check_ramp(ramp)?;
    Ok(Box::new(adversarial))
}

/// Errors: a number of epochs that is negative or not finite.
pub(super) fn check_ramp(ramp: f64) -> Result<()> {
    ensure!(ramp.is_finite() && ramp >= 0., "`ramp` is {ramp}, not a number of epochs");
    Ok(())
}

/// How much of the radius is used: from 0 at the start to 1 after `ramp` epochs.
pub(super) fn ramped(epoch: f64, ramp: f64) -> f64 {
    if ramp > 0. { (epoch / ramp).min(1.) } else { 1. }
}

impl Objective for Adversarial {
    fn loss(&mut self, step: &Step) -> Loss {
        let network = step.network(self.attack_mode);
        let climb =
            |x: &Tensor| grad::value_and_grad(x, |x| grad::cross_entropy(&network(x), step.y));
        let x = step.perturb(&climb, ramped(step.epoch, self.ramp));
        let logits = step.train_logits(&x);
        let attacked = cross_entropy(&logits, step.y) * (1. - self.clean);
        let mut parts = vec![("adversarial", attacked)];
        if self.clean > 0. {
            let clean = cross_entropy(&step.train_logits(step.x), step.y);
            parts.push(("clean", clean * self.clean));
        }
        Loss { parts, logits, observed: vec![] }
    }

    fn attack(&self) -> Option<&Table> {
        Some(&self.attack)
    }
}
