//! Cross-entropy with optional label smoothing (Szegedy et al. 2016).

use super::{Loss, Objective, Step};
use anyhow::{Result, ensure};
use registry::{Entry, described};
use serde::{Deserialize, Serialize};
use tch::{Reduction, Tensor};
use toml::Table;

/// In the list of objectives.
pub(super) const ENTRY: Entry<dyn Objective> = Entry {
    name: "natural",
    about: "cross-entropy",
    options: described::<Natural>(&[("label_smoothing", "in [0, 1)")]).alias(&["CrossEntropyLoss"]),
    build,
};

#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Natural {
    #[serde(default)]
    label_smoothing: f64,
}

fn build(table: Table) -> Result<Box<dyn Objective>> {
    let natural: Natural = registry::options(table)?;
    let smoothing = natural.label_smoothing;
    ensure!((0. ..1.).contains(&smoothing), "`label_smoothing` is {smoothing}, not in [0, 1)");
    Ok(Box::new(natural))
}

impl Objective for Natural {
    fn steady(&self) -> bool {
        true
    }

    fn loss(&mut self, step: &Step) -> Loss {
        let logits = step.train_logits(step.x);
        let none = None::<Tensor>;
        let ce =
            logits.cross_entropy_loss(step.y, none, Reduction::Mean, -100, self.label_smoothing);
        Loss { parts: vec![("cross-entropy", ce)], logits, observed: vec![] }
    }
}
