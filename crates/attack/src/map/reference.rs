//! What an attacker of maps knows and wants: the clean side, a smooth loss to descend on the
//! surrogate's heat maps, and the measure by which iterates are judged on the real network.

use anyhow::Result;
use explain::{
    Attribution, Batch,
    heatmap::{has_mass, heat, top},
};
use models::{Model, noise};
use std::f64::consts::{PI, TAU};
use tch::{Kind, Tensor};

/// The clean images' heat maps and what follows from them, computed once.
#[derive(Debug)]
pub struct Reference {
    /// Heat maps of the real network, `[N, H, W]`.
    pub heat: Tensor,
    /// Which pixels are among its k largest, bool `[N, H·W]`.
    pub top: Tensor,
    /// How many those are.
    pub k: i64,
    /// Logits of the real network, `[N, K]`.
    pub logits: Tensor,
    /// Its predictions, i64 `[N]`.
    pub prediction: Tensor,
    /// The heat maps an attacker aims at, `[N, H, W]`; none: the clean ones of the next image.
    target: Option<Tensor>,
    /// A direction per image, f64 `[N, 2]`, of length one: which way a centre is pushed first.
    pub(super) direction: Tensor,
}

impl Reference {
    /// Of the maps of `method` at the images of `batch`; 1 ≤ k ≤ H·W.
    pub fn new(method: &dyn Attribution, model: &dyn Model, batch: &Batch, k: i64) -> Self {
        let (maps, logits) = method.with_logits(model, batch);
        let heat = heat(&maps);
        let (top, prediction) = (top(&heat, k), logits.argmax(1, false));
        let angle = noise::uniform(&batch.keys_of(noise::name_id("way")), &[1], heat.device());
        let angle = angle.to_kind(Kind::Double) * TAU;
        let direction = Tensor::cat(&[angle.cos(), angle.sin()], 1);
        Reference { heat, top, k, logits, prediction, target: None, direction }
    }

    /// With other heat maps to aim at, `[N, H, W]`.
    pub fn aiming_at(self, target: &Tensor) -> Self {
        Reference { target: Some(target.to_kind(self.heat.kind())), ..self }
    }

    /// What restart number `restart` sees: other directions, evenly apart.
    pub(super) fn rotated(&self, restart: u32) -> Self {
        let golden = PI * (3. - 5f64.sqrt()) * f64::from(restart);
        let (sin, cos) = golden.sin_cos();
        let (row, column) = (self.direction.select(1, 0), self.direction.select(1, 1));
        let direction = [&row * cos - &column * sin, &row * sin + &column * cos];
        let copy = Tensor::shallow_clone;
        Reference {
            heat: copy(&self.heat),
            top: copy(&self.top),
            k: self.k,
            logits: copy(&self.logits),
            prediction: copy(&self.prediction),
            target: self.target.as_ref().map(copy),
            direction: Tensor::stack(&direction, 1),
        }
    }

    /// Whether there is a map, and, where `objective` wants one, a map to aim at; bool `[N]`.
    pub fn can_be_attacked(&self, objective: &dyn MapObjective) -> Tensor {
        let own = has_mass(&self.heat);
        if objective.wants_target() { own.logical_and(&has_mass(&self.target())) } else { own }
    }

    /// The heat maps aimed at.
    pub(super) fn target(&self) -> Tensor {
        self.target.as_ref().map_or_else(|| self.heat.roll([-1], [0]), Tensor::shallow_clone)
    }
}

/// Which of an objective's losses is descended. They have one goal and fail at different images.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Descent {
    /// That of the paper.
    #[default]
    Published,
    /// The one nearest to the measure.
    Near,
    /// Another.
    Other,
}

/// A goal of an attack on maps.
pub trait MapObjective: Send + Sync {
    /// Heat maps `[N, H, W]` -> `[N]`, differentiable, to be made small: of the surrogate to descend,
    /// of the real network to choose among iterates of equal measure.
    fn loss(&self, heat: &Tensor, clean: &Reference) -> Tensor;

    /// The loss that `descent` names; the same where there is no other.
    fn descended(&self, heat: &Tensor, clean: &Reference, _descent: Descent) -> Tensor {
        self.loss(heat, clean)
    }

    /// Heat maps of the real network `[N, H, W]` -> f64 `[N]`; smaller is a stronger attack.
    fn measure(&self, heat: &Tensor, clean: &Reference) -> Tensor;

    /// What a change of the network's outputs costs beside, `[N]`: logits `[N, K]`, differentiable.
    fn output_loss(&self, _logits: &Tensor, _clean: &Reference) -> Option<Tensor> {
        None
    }

    /// Whether steps are random signs and the loss is not descended.
    fn gradient_free(&self) -> bool {
        false
    }

    /// Whether the heat maps of other images are aimed at.
    fn wants_target(&self) -> bool {
        false
    }

    /// Errors: settings that do not fit maps of this size.
    fn check(&self, _height: i64, _width: i64) -> Result<()> {
        Ok(())
    }
}
