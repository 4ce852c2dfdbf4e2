//! Input-gradient regularisation (Ross & Doshi-Velez 2018): cross-entropy plus the squared length
//! of its gradient with respect to the image. The paper searches its
//! weight per data set; the default of 1 is ours, for pixels in [0, 1].

use super::{
    Loss, Objective, Statistics, Step,
    adversarial::{check_ramp, ramped},
    cross_entropy, squared_through,
    ssr::ramp,
};
use anyhow::Result;
use models::{Precision, grad};
use registry::{Entry, described};
use serde::{Deserialize, Serialize};
use tch::Kind;
use toml::Table;

/// In the list of objectives.
pub(super) const ENTRY: Entry<dyn Objective> = Entry {
    name: "gradient-norm",
    about: "cross-entropy + lambda · |∇loss(x)|² (Ross & Doshi-Velez 2018)",
    options: described::<GradientNorm>(&[
        ("lambda", "weight of the penalty, for [0, 1] pixels, 0 or more"),
        (
            "norm",
            "statistics of batch norms in the penalty's pass: running (or eval), batch (or \
             train)",
        ),
        ("ramp", "epochs until the full lambda"),
    ]),
    build,
};

#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct GradientNorm {
    #[serde(default = "one")]
    lambda: f64,
    #[serde(default)]
    norm: Statistics,
    #[serde(default = "ramp")]
    ramp: f64,
}

fn one() -> f64 {
    1.
}

fn build(table: Table) -> Result<Box<dyn Objective>> {
    let options: GradientNorm = registry::options(table)?;
    registry::not_negative("lambda", options.lambda)?;
    check_ramp(options.ramp)?;
    Ok(Box::new(options))
}

/// What it says of every image.
const OBSERVED: &str = "squared-gradient";

impl Objective for GradientNorm {
    fn observes(&self) -> &'static [&'static str] {
        &[OBSERVED]
    }

    fn loss(&mut self, step: &Step) -> Loss {
        let (logits, again) = step.passes(self.norm, Precision::F32);
        let losses = grad::cross_entropy(&again.logits, step.y);
        let g = again.gradient(&losses);
        let squared = squared_through(&g, &again.slope(&losses, &g));
        let weight = self.lambda * ramped(step.epoch, self.ramp);
        let penalty = squared.mean(None::<Kind>) * weight;
        Loss {
            parts: vec![
                ("cross-entropy", cross_entropy(&logits, step.y)),
                ("gradient-norm", penalty),
            ],
            logits,
            observed: vec![(OBSERVED, squared.detach())],
        }
    }
}
