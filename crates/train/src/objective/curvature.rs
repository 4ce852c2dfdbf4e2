//! CURE (Moosavi-Dezfooli et al. 2019, section 4): cross-entropy plus how far its image gradient
//! turns over a step of length h along its own signs. The paper gives h = 1.5 and no unit; on
//! CIFAR's [0, 1] pixels that is 7/255 a channel, the size of the ball it defends, so it is ours.
//! It fine-tunes trained networks: on fresh weights the penalty explodes without `clip`.

use super::{
    Again, Loss, Objective, Statistics, Step,
    adversarial::{check_ramp, ramped},
    cross_entropy, squared_length, squared_through,
};
use anyhow::Result;
use models::{Precision, grad};
use registry::{Entry, described};
use serde::{Deserialize, Serialize};
use tch::{Kind, Tensor};
use toml::Table;

/// In the list of objectives.
pub(super) const ENTRY: Entry<dyn Objective> = Entry {
    name: "curvature",
    about: "cross-entropy + gamma · |∇loss(x + h z) − ∇loss(x)|² along z, the gradient's signs \
            (CURE, Moosavi-Dezfooli et al. 2019)",
    options: described::<Curvature>(&[
        ("gamma", "weight of the penalty, 0 or more"),
        ("h", "length of the step, in [0, 1] pixels"),
        ("ramp", "epochs until the full h"),
        (
            "norm",
            "statistics of batch norms in the penalty's pass: running (or eval), batch (or \
             train)",
        ),
    ]),
    build,
};

#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
struct Curvature {
    gamma: f64,
    h: f64,
    ramp: f64,
    norm: Statistics,
}

impl Default for Curvature {
    fn default() -> Self {
        Curvature { gamma: 4., h: 1.5, ramp: 5., norm: Statistics::Running }
    }
}

fn build(table: Table) -> Result<Box<dyn Objective>> {
    let options: Curvature = registry::options(table)?;
    registry::not_negative("gamma", options.gamma)?;
    registry::not_negative("h", options.h)?;
    check_ramp(options.ramp)?;
    Ok(Box::new(options))
}

/// The signs of `g` as an image of Euclidean length one; zero where `g` is.
fn direction(g: &Tensor) -> Tensor {
    let signs = g.detach().sign();
    let length = squared_length(&signs).sqrt().clamp_min(1.);
    signs / length.view([-1, 1, 1, 1])
}

/// What it says of every image.
const OBSERVED: &str = "gradient-turn";

impl Objective for Curvature {
    fn observes(&self) -> &'static [&'static str] {
        &[OBSERVED]
    }

    fn loss(&mut self, step: &Step) -> Loss {
        let (logits, here) = step.passes(self.norm, Precision::F32);
        let losses = |pass: &Again| grad::cross_entropy(&pass.logits, step.y);
        let losses_here = losses(&here);
        let g = here.gradient(&losses_here);
        // The step may leave [0, 1], as in the paper: it only measures how the loss bends.
        let ahead = step.x + direction(&g) * (self.h * ramped(step.epoch, self.ramp));
        let there = step.again_at(&ahead, self.norm, Precision::F32);
        let losses_there = losses(&there);
        let d = there.gradient(&losses_there) - g;
        let turns = there.slope(&losses_there, &d) - here.slope(&losses_here, &d);
        let turn = squared_through(&d, &turns);
        let penalty = turn.mean(None::<Kind>) * self.gamma;
        Loss {
            parts: vec![("cross-entropy", cross_entropy(&logits, step.y)), ("curvature", penalty)],
            logits,
            observed: vec![(OBSERVED, turn.detach())],
        }
    }
}
