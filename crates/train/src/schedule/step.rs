//! A drop every so many epochs.

use super::{Schedule, check_warmup, warm};
use anyhow::ensure;
use registry::{Entry, described};
use serde::{Deserialize, Serialize};

/// In the list of schedules.
pub(super) const ENTRY: Entry<dyn Schedule> = Entry {
    name: "step",
    about: "times gamma every so many epochs",
    options: described::<Step>(&[
        ("every", "epochs from a drop to the next, above 0"),
        ("gamma", "factor of a drop, in [0, 1]"),
        ("warmup", "epochs of a linear rise from 0"),
    ])
    .alias(&["StepLR"])
    .option_aliases(&[("step_size", "every")]),
    build: |t| {
        let step: Step = registry::options(t)?;
        check_warmup(step.warmup)?;
        ensure!(step.every > 0., "`every` is {}; it must be positive", step.every);
        let gamma = step.gamma;
        ensure!((0. ..=1.).contains(&gamma), "`gamma` is {gamma}, not in [0, 1]");
        Ok(Box::new(step))
    },
};

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Step {
    #[serde(default = "fifty")]
    every: f64,
    #[serde(default = "tenth")]
    gamma: f64,
    #[serde(default)]
    warmup: f64,
}

fn fifty() -> f64 {
    50.
}

fn tenth() -> f64 {
    0.1
}

impl Schedule for Step {
    fn factor(&self, at: f64, _of: f64) -> f64 {
        let drops = (at / self.every).floor().min(1e6) as i32;
        warm(at, self.warmup) * self.gamma.powi(drops)
    }
}
