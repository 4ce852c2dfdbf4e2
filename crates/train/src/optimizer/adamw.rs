//! AdamW (Loshchilov & Hutter 2019), as PyTorch defines it.

use super::{Kept, Optimizer, check_decay, check_rate, check_share, narrow};
use anyhow::{Context, Result, ensure};
use models::{
    adam::{Adam, Moments},
    params::flat::{Flat, Gradients},
};
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
    .needing(&[("learning_rate", "0.001")])
    .alias(&["AdamW"])
    .option_aliases(&[("lr", "learning_rate")]),
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
    first: Kept,
    #[serde(skip)]
    second: Kept,
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

    fn step(&mut self, gradients: &Gradients, lr: f64) {
        self.steps += 1;
        let adam = Adam { betas: self.betas, eps: self.eps };
        for run in &gradients.runs {
            let [mut w, g] = [&gradients.weights, &gradients.values].map(|t| narrow(t, run));
            let [first, second] =
                [&mut self.first, &mut self.second].map(|kept| kept.run(gradients, run));
            let direction = adam.direction(&mut Moments { first, second }, &g, self.steps);
            let move_by = direction + &w * self.weight_decay;
            let _ = w.g_sub_(&(move_by * lr));
        }
    }

    fn state(&self, flat: &Flat) -> BTreeMap<String, Tensor> {
        let steps = ("steps".to_owned(), Tensor::from_slice(&[self.steps]));
        let moments = [("first", &self.first), ("second", &self.second)];
        let named = moments.into_iter().flat_map(|(name, kept)| kept.state(name, flat));
        named.chain([steps]).collect()
    }

    fn restore(&mut self, flat: &Flat, state: &BTreeMap<String, Tensor>) -> Result<()> {
        let steps = state.get("steps").context("the state is of another optimiser")?;
        self.steps = i64::try_from(steps).context("`steps` is not one number")?;
        self.first.restore("first", flat, state)?;
        self.second.restore("second", flat, state)
    }
}
