//! Input-gradient regularisation (Ross & Doshi-Velez 2018): cross-entropy plus the squared length
//! of its gradient with respect to the image, by double backpropagation. The paper searches its
//! weight per data set; the default of 1 is ours, for pixels in [0, 1].

use super::{
    Loss, Objective, Statistics, Step,
    adversarial::{check_ramp, ramped},
    cross_entropy,
    ssr::ramp,
};
use anyhow::{Result, ensure};
use models::{
    grad::{self, Graph},
    registry,
};
use serde::Deserialize;
use tch::{Kind, Tensor};
use toml::Table;

#[derive(Debug, Deserialize)]
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

pub(super) fn build(table: Table) -> Result<Box<dyn Objective>> {
    let options: GradientNorm = registry::options(table)?;
    check_size("lambda", options.lambda)?;
    check_ramp(options.ramp)?;
    Ok(Box::new(options))
}

/// Errors: a weight or a length that is negative or not finite.
pub(super) fn check_size(name: &str, value: f64) -> Result<()> {
    ensure!(value.is_finite() && value >= 0., "`{name}` is {value}; it must not be negative");
    Ok(())
}

/// Gradient of the batch sum of cross-entropies with respect to the images `x`, with a graph into
/// the weights, `[N, C, H, W]`. To be asked for after the training pass of the step: that pass
/// moves the running statistics in place, under the feet of any graph that holds them.
pub(super) fn loss_gradient(step: &Step, x: &Tensor, norm: Statistics) -> Tensor {
    let x = x.detach().set_requires_grad(true);
    let loss = grad::cross_entropy(&step.logits(&x, norm), step.y).sum(None::<Kind>);
    grad::pull(&loss, &x, Graph::Keep)
}

/// Squared Euclidean length of each image, `[N]`.
pub(super) fn squared_length(d: &Tensor) -> Tensor {
    d.square().sum_dim_intlist([1, 2, 3].as_slice(), false, None::<Kind>)
}

impl Objective for GradientNorm {
    fn loss(&mut self, step: &Step) -> Loss {
        let logits = step.train_logits(step.x);
        let squared = squared_length(&loss_gradient(step, step.x, self.norm));
        let weight = self.lambda * ramped(step.epoch, self.ramp);
        let penalty = squared.mean(None::<Kind>) * weight;
        Loss {
            parts: vec![
                ("cross-entropy", cross_entropy(&logits, step.y)),
                ("gradient-norm", penalty),
            ],
            logits,
            observed: vec![("squared-gradient", squared.detach())],
        }
    }
}
