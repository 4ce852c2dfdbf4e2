//! Training under Gaussian noise (Cohen et al. 2019): cross-entropy at images with noise of the
//! same σ as a smoothed network or a smoothed map is certified with. The noise is not cut to [0,
//! 1].

use super::{Loss, Objective, Step, cross_entropy};
use anyhow::Result;
use models::noise;
use registry::{Entry, described};
use serde::{Deserialize, Serialize};
use toml::Table;

/// In the list of objectives.
pub(super) const ENTRY: Entry<dyn Objective> = Entry {
    name: "noise",
    about: "cross-entropy at x + e, e ~ N(0, σ²I) (Cohen et al. 2019)",
    options: described::<Noise>(&[("sigma", "σ, in [0, 1] pixels, above 0")]),
    build,
};

#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
struct Noise {
    #[serde(deserialize_with = "registry::fraction")]
    sigma: f64,
}

impl Default for Noise {
    fn default() -> Self {
        Noise { sigma: 0.1 }
    }
}

fn build(table: Table) -> Result<Box<dyn Objective>> {
    let options: Noise = registry::options(table)?;
    let sigma = options.sigma;
    registry::positive("sigma", sigma)?;
    Ok(Box::new(options))
}

impl Objective for Noise {
    fn loss(&mut self, step: &Step) -> Loss {
        let noise = noise::normal(step.keys, &step.x.size()[1..], step.x.device());
        let logits = step.train_logits(&(step.x + noise * self.sigma));
        Loss {
            parts: vec![("cross-entropy", cross_entropy(&logits, step.y))],
            logits,
            observed: vec![],
        }
    }
}
