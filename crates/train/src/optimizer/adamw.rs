//! AdamW (Loshchilov & Hutter 2019), as PyTorch defines it.

use super::{Named, Optimizer, check_decay, check_rate, check_share, prefixed, unprefixed};
use anyhow::{Context, Result, ensure};
use models::adam::{Adam, Moments};
use registry::{Entry, described};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use tch::Tensor;
use toml::Table;

/// In the list of optimisers.
pub(super) const ENTRY: Entry<dyn Optimizer> = Entry {
    name: "adamw",
    about: "AdamW (Loshchilov & Hutter 2019)",
    options: described::<AdamW>(&[
        ("learning_rate", "before the schedule, above 0"),
        ("betas", "decay of the first and the second moment, in [0, 1)"),
        ("eps", "added to the root of the second moment, above 0"),
        ("weight_decay", "0 or more, decoupled from the gradient"),
    ])
    .needing(&[("learning_rate", "0.001")]),
    build,
};

fn build(table: Table) -> Result<Box<dyn Optimizer>> {
    let adamw: AdamW = registry::options(table)?;
    check_rate(adamw.learning_rate)?;
    adamw.betas.iter().try_for_each(|&beta| check_share("betas", beta))?;
    check_decay(adamw.weight_decay)?;
    ensure!(adamw.eps > 0., "`eps` is {}; it must be positive", adamw.eps);
    Ok(Box::new(adamw))
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct AdamW {
    learning_rate: f64,
    #[serde(default = "default_betas")]
    betas: [f64; 2],
    #[serde(default = "default_eps")]
    eps: f64,
    #[serde(default = "default_decay")]
    weight_decay: f64,
    #[serde(skip)]
    steps: i64,
    #[serde(skip)]
    first: BTreeMap<String, Tensor>,
    #[serde(skip)]
    second: BTreeMap<String, Tensor>,
}

fn default_betas() -> [f64; 2] {
    [0.9, 0.999]
}

fn default_eps() -> f64 {
    1e-8
}

fn default_decay() -> f64 {
    0.01
}

impl Optimizer for AdamW {
    fn learning_rate(&self) -> f64 {
        self.learning_rate
    }

    fn step(&mut self, weights: &[Named], lr: f64) {
        self.steps += 1;
        let adam = Adam { betas: self.betas, eps: self.eps };
        tch::no_grad(|| {
            for (name, w) in weights {
                let mut w = w.shallow_clone();
                let g = w.grad();
                if !g.defined() {
                    continue;
                }
                let before = |of: &BTreeMap<String, Tensor>| {
                    of.get(name).map_or_else(|| w.zeros_like(), Tensor::shallow_clone)
                };
                let mut moments =
                    Moments { first: before(&self.first), second: before(&self.second) };
                let direction = adam.direction(&mut moments, &g, self.steps);
                let move_by = direction + &w * self.weight_decay;
                let _ = w.g_sub_(&(move_by * lr));
                w.zero_grad();
                self.first.insert(name.clone(), moments.first);
                self.second.insert(name.clone(), moments.second);
            }
        });
    }

    fn state(&self) -> BTreeMap<String, Tensor> {
        let steps = ("steps".to_owned(), Tensor::from_slice(&[self.steps]));
        let moments = prefixed("first", &self.first).chain(prefixed("second", &self.second));
        moments.chain([steps]).collect()
    }

    fn restore(&mut self, state: &BTreeMap<String, Tensor>) -> Result<()> {
        let steps = state.get("steps").context("the state is of another optimiser")?;
        self.steps = i64::try_from(steps).context("`steps` is not one number")?;
        self.first = unprefixed("first", state);
        self.second = unprefixed("second", state);
        Ok(())
    }
}
