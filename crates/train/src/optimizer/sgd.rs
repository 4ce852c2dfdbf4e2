//! Stochastic gradient descent with momentum, as PyTorch defines it.

use super::{Named, Optimizer, check_decay, check_rate, check_share, prefixed, unprefixed};
use anyhow::{Result, ensure};
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
    .needing(&[("learning_rate", "0.1")]),
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
    velocity: BTreeMap<String, Tensor>,
}

fn default_momentum() -> f64 {
    0.9
}

impl Optimizer for Sgd {
    fn learning_rate(&self) -> f64 {
        self.learning_rate
    }

    fn step(&mut self, weights: &[Named], lr: f64) {
        tch::no_grad(|| {
            for (name, w) in weights {
                let mut w = w.shallow_clone();
                let grad = w.grad();
                if !grad.defined() {
                    continue;
                }
                let g = &grad + &w * self.weight_decay;
                // PyTorch starts the velocity at the first gradient.
                let v = match self.velocity.get(name) {
                    Some(v) => v * self.momentum + &g,
                    None => g.shallow_clone(),
                };
                let direction =
                    if self.nesterov { g + &v * self.momentum } else { v.shallow_clone() };
                let _ = w.g_sub_(&(direction * lr));
                w.zero_grad();
                self.velocity.insert(name.clone(), v);
            }
        });
    }

    fn state(&self) -> BTreeMap<String, Tensor> {
        prefixed("velocity", &self.velocity).collect()
    }

    fn restore(&mut self, state: &BTreeMap<String, Tensor>) -> Result<()> {
        self.velocity = unprefixed("velocity", state);
        ensure!(self.velocity.len() == state.len(), "the state is of another optimiser");
        Ok(())
    }
}
