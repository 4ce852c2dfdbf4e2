//! Stochastic gradient descent with momentum, as PyTorch defines it.

use super::{Kept, Optimizer, check_decay, check_rate, check_share, narrow};
use anyhow::{Result, ensure};
use models::params::flat::{Flat, Gradients};
use registry::{Entry, described};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use tch::Tensor;
use toml::Table;

/// In the list of optimisers.
pub(super) const ENTRY: Entry<dyn Optimizer> = Entry {
    name: "sgd",
    about: "stochastic gradient descent, as PyTorch's SGD",
    options: described::<Sgd>(&[
        ("learning_rate", "before the schedule, above 0"),
        ("momentum", "in [0, 1)"),
        ("nesterov", "true: Nesterov's momentum"),
        ("weight_decay", "0 or more, added to the gradient"),
    ])
    .needing(&[("learning_rate", "0.1")])
    .alias(&["SGD"])
    .option_aliases(&[("lr", "learning_rate")]),
    build,
};

fn build(table: Table) -> Result<Box<dyn Optimizer>> {
    let sgd: Sgd = registry::options(table)?;
    check_rate(sgd.learning_rate)?;
    check_share("momentum", sgd.momentum)?;
    check_decay(sgd.weight_decay)?;
    Ok(Box::new(sgd))
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Sgd {
    learning_rate: f64,
    #[serde(default = "default_momentum")]
    momentum: f64,
    #[serde(default)]
    nesterov: bool,
    #[serde(default)]
    weight_decay: f64,
    #[serde(skip)]
    velocity: Kept,
}

fn default_momentum() -> f64 {
    0.9
}

impl Optimizer for Sgd {
    fn learning_rate(&self) -> f64 {
        self.learning_rate
    }

    fn step(&mut self, gradients: &Gradients, lr: f64) {
        for run in &gradients.runs {
            let [mut w, grad] = [&gradients.weights, &gradients.values].map(|t| narrow(t, run));
            let g = grad + &w * self.weight_decay;
            // PyTorch starts the velocity at the first gradient: 0 · momentum + g.
            let mut v = self.velocity.run(gradients, run);
            let _ = v.g_mul_scalar_(self.momentum).g_add_(&g);
            let direction = if self.nesterov { g + v * self.momentum } else { v };
            let _ = w.g_sub_(&(direction * lr));
        }
    }

    fn state(&self, flat: &Flat) -> BTreeMap<String, Tensor> {
        self.velocity.state("velocity", flat).into_iter().collect()
    }

    fn restore(&mut self, flat: &Flat, state: &BTreeMap<String, Tensor>) -> Result<()> {
        let own = state.keys().all(|name| name.starts_with("velocity/"));
        ensure!(own, "the state is of another optimiser");
        self.velocity.restore("velocity", flat, state)
    }
}
