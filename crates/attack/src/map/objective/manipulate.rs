//! The map becomes that of another image (Dombrowski et al. 2019).

use crate::map::reference::{MapObjective, Reference};
use registry::{Entry, described};
use serde::{Deserialize, Serialize};
use tch::{Kind, Tensor};

/// In the list of attacks on maps.
pub(super) const ENTRY: Entry<dyn MapObjective> = Entry {
    name: "manipulate",
    about: "makes the map that of another image (Dombrowski et al. 2019): gamma_map · MSE(heat, \
            target) + gamma_outputs · MSE(outputs, clean outputs); judged by the first MSE",
    options: described::<Manipulate>(&[
        ("gamma_map", "weight of the maps' distance"),
        ("gamma_outputs", "weight of the outputs' distance"),
        ("outputs", "softmax, as in their code; logits: holds the attack back far more"),
        (
            "scaled",
            "true: both gammas are converted from 224×224 pixels and 1,000 classes to what there \
             is; false: as they stand",
        ),
    ]),
    build: |t| Ok(Box::new(registry::options::<Manipulate>(t)?)),
};

/// Pixels of the maps for which 1e11 and 1e6 were chosen.
const PIXELS: f64 = 224. * 224.;
/// And their classes.
const CLASSES: f64 = 1000.;

/// What of the network must not change.
#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
enum Outputs {
    #[default]
    Softmax,
    Logits,
}

/// Mean squared distance from another map.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
struct Manipulate {
    gamma_map: f64,
    gamma_outputs: f64,
    outputs: Outputs,
    scaled: bool,
}

impl Default for Manipulate {
    fn default() -> Self {
        let outputs = Outputs::Softmax;
        Manipulate { gamma_map: 1e11, gamma_outputs: 1e6, outputs, scaled: true }
    }
}

/// Mean squared difference `[N]` of two maps.
fn mse(a: &Tensor, b: &Tensor) -> Tensor {
    (a - b).square().flatten(1, -1).mean_dim([1].as_slice(), false, None::<Kind>)
}

impl MapObjective for Manipulate {
    fn loss(&self, heat: &Tensor, clean: &Reference) -> Tensor {
        let size = heat.size()[1..].iter().product::<i64>() as f64;
        // Heat maps sum to one: their squares shrink with the square of the number of pixels.
        let scale = if self.scaled { (size / PIXELS).powi(2) } else { 1. };
        mse(heat, &clean.target()) * (self.gamma_map * scale)
    }

    fn measure(&self, heat: &Tensor, clean: &Reference) -> Tensor {
        mse(&heat.to_kind(Kind::Double), &clean.target().to_kind(Kind::Double))
    }

    fn output_loss(&self, logits: &Tensor, clean: &Reference) -> Option<Tensor> {
        let of = |logits: &Tensor| match self.outputs {
            Outputs::Softmax => logits.softmax(1, logits.kind()),
            Outputs::Logits => logits.shallow_clone(),
        };
        let scale = if self.scaled { logits.size()[1] as f64 / CLASSES } else { 1. };
        let weight = self.gamma_outputs * scale;
        (weight != 0.).then(|| mse(&of(logits), &of(&clean.logits)) * weight)
    }

    fn wants_target(&self) -> bool {
        true
    }
}
