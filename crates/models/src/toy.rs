//! Functions of two numbers from papers, as classifiers of a table with two columns: what a map says
//! of them can be checked by hand.

use crate::{Model, Ops};
use anyhow::{Result, ensure};
use registry::{Entry, described};
use serde::{Deserialize, Serialize};
use tch::Tensor;
use toml::Table;

/// Every function, sorted by name.
pub const FUNCTIONS: &[Entry<dyn Model>] = &[RIDGES];

/// The function that `table` asks for: logits are [f, 0].
pub fn function(table: Table) -> Result<Box<dyn Model>> {
    registry::build("function", FUNCTIONS, table)
}

/// In the list of functions.
const RIDGES: Entry<dyn Model> = Entry {
    name: "ridges",
    about: "max(a, b) − n step or min(a, b) + n step in stripes along a = b, whose gradient is \
            (1, 0) or (0, 1) in turn (Yeh et al. 2019, A.5; Tan & Tian 2023, Eq. 2)",
    options: described::<Ridges>(&[("step", "width of a stripe, above 0")]),
    build: ridges,
};

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
struct Ridges {
    #[serde(deserialize_with = "registry::fraction")]
    step: f64,
}

impl Default for Ridges {
    fn default() -> Self {
        Ridges { step: 1. }
    }
}

fn ridges(table: Table) -> Result<Box<dyn Model>> {
    let ridges: Ridges = registry::options(table)?;
    ensure!(ridges.step > 0., "`step` is {}; a stripe has a width", ridges.step);
    Ok(Box::new(ridges))
}

impl Model for Ridges {
    fn forward(&self, x: &Tensor, _: &dyn Ops) -> Tensor {
        let (a, b) = (x.select(1, 0).flatten(1, -1), x.select(1, 1).flatten(1, -1));
        // The mean of both, and a triangular wave of |a − b|: up for one stripe, down for the next.
        let across = (&a - &b).abs() / self.step;
        let wave = (&across - (&across / 2.).round() * 2.).abs() * (self.step / 2.);
        let f = (a + b) / 2. + wave;
        Tensor::cat(&[&f, &f.zeros_like()], 1)
    }
}
