//! What an attack on predictions climbs: losses of logits `[N, K]` and labels `[N]`, one value per
//! image, larger where the network is closer to a mistake. DLR is the difference of logits ratio
//! of Croce & Hein 2020 (equations 5 and 6), which no rescaling of the logits can flatten.

use anyhow::{Result, ensure};
use models::{Score, Target};
use serde::{Deserialize, Serialize};
use tch::Tensor;

/// Which loss of the logits is climbed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Loss {
    /// Cross-entropy.
    Ce,
    /// Difference of logits ratio; 3 classes at least, 4 towards a target.
    Dlr,
}

impl Loss {
    /// Away from the labels: logits `[N, K]`, labels i64 `[N]` -> `[N]`.
    pub fn untargeted(self, logits: &Tensor, y: &Tensor) -> Tensor {
        match self {
            Loss::Ce => cross_entropy(logits, y),
            Loss::Dlr => dlr(logits, y),
        }
    }

    /// Towards the classes `target` i64 `[N]`: logits `[N, K]`, labels i64 `[N]` -> `[N]`.
    pub fn targeted(self, logits: &Tensor, y: &Tensor, target: &Tensor) -> Tensor {
        match self {
            Loss::Ce => -cross_entropy(logits, target),
            Loss::Dlr => targeted_dlr(logits, y, target),
        }
    }

    /// Errors: fewer classes than the loss away from labels is defined for.
    pub fn check_untargeted(self, classes: i64) -> Result<()> {
        match self {
            Loss::Ce => check_classes(classes, 2, "an attack", ""),
            Loss::Dlr => check_classes(classes, 3, "the `dlr` loss", "; the `ce` loss needs 2"),
        }
    }

    /// Errors: fewer classes than the loss towards a target is defined for.
    pub fn check_targeted(self, classes: i64) -> Result<()> {
        match self {
            Loss::Ce => check_classes(classes, 2, "an attack", ""),
            Loss::Dlr => {
                check_classes(classes, 4, "the targeted `dlr` loss", "; the `ce` loss needs 2")
            }
        }
    }
}

/// Cross-entropy `[N]`. Its gradient keeps 1 − p of an image that the network is sure of, where
/// softmax − 1 would be rounding and point anywhere.
pub(super) fn cross_entropy(logits: &Tensor, y: &Tensor) -> Tensor {
    let target = Target { class: y.shallow_clone(), score: Score::Logprob };
    -target.of(logits).to_kind(logits.kind())
}

fn check_classes(classes: i64, least: i64, what: &str, instead: &str) -> Result<()> {
    let told = "the network has";
    ensure!(classes >= least, "{what} needs {least} classes, {told} {classes}{instead}");
    Ok(())
}

/// −(z_y − max_{i≠y} z_i) / (z_π1 − z_π3), π the order of falling logits: positive where the
/// network is wrong. logits `[N, K ≥ 3]`, labels i64 `[N]` -> `[N]`.
pub fn dlr(logits: &Tensor, y: &Tensor) -> Tensor {
    let (top, class) = logits.topk(3, 1, true, true);
    let right = class.select(1, 0).eq_tensor(y);
    let other = top.select(1, 1).where_self(&right, &top.select(1, 0));
    (other - of_class(logits, y)) / (top.select(1, 0) - top.select(1, 2) + TINY)
}

/// −(z_y − z_t) / (z_π1 − (z_π3 + z_π4) / 2). logits `[N, K ≥ 4]`, labels and targets i64 `[N]`
/// -> `[N]`.
pub fn targeted_dlr(logits: &Tensor, y: &Tensor, target: &Tensor) -> Tensor {
    let top = logits.topk(4, 1, true, true).0;
    let scale = top.select(1, 0) - (top.select(1, 2) + top.select(1, 3)) * 0.5;
    (of_class(logits, target) - of_class(logits, y)) / (scale + TINY)
}

/// max_{i≠y} z_i − z_y, positive where the network is wrong. logits `[N, K ≥ 2]`, labels i64 `[N]`
/// -> `[N]`.
pub fn margin(logits: &Tensor, y: &Tensor) -> Tensor {
    without(logits, y).amax([1].as_slice(), false) - of_class(logits, y)
}

/// The logits with −∞ at the label: `[N, K]`, i64 `[N]` -> `[N, K]`.
pub(crate) fn without(logits: &Tensor, y: &Tensor) -> Tensor {
    logits.scatter_value(1, &y.unsqueeze(1), f64::NEG_INFINITY)
}

/// As published: keeps the ratio finite where the largest logits are equal.
const TINY: f64 = 1e-12;

fn of_class(logits: &Tensor, class: &Tensor) -> Tensor {
    Target::logit(class).of(logits)
}

#[cfg(test)]
mod tests {
    use super::*;
    use models::grad::grad;
    use tch::Kind;

    #[test]
    fn sure_images_have_the_gradient_of_f64() {
        let logits = Tensor::from_slice(&[30f32, 1., 0.5, -2., 40., 3.]).view([2, 3]);
        let y = Tensor::from_slice(&[0i64, 1]);
        let of = |logits: &Tensor| grad(logits, |z| Loss::Ce.untargeted(z, &y));
        let (single, double) = (of(&logits), of(&logits.to_kind(Kind::Double)));
        let far = ((single.to_kind(Kind::Double) - &double) / &double).abs().max();
        assert!(far.double_value(&[]) < 1e-5, "{single} {double}");
    }
}
