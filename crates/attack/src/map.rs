//! Attacks on attribution maps: projected steps down the loss of the softplus surrogate's heat
//! map; every iterate is judged on the real network and the best one kept (Ghorbani et al. 2019,
//! Dombrowski et al. 2019, Wang et al. 2020).

use crate::{Ball, MapLoss, Reference};
use explain::{Batch, Differentiable, heat};
use models::{
    Model,
    grad::{Graph, pull},
    softened,
};
use tch::{Kind, Tensor};

/// An attack on the maps of one method on one network.
pub struct MapAttack<'a> {
    /// The real network, by which iterates are judged.
    pub model: &'a dyn Model,
    /// The method whose maps are attacked.
    pub method: &'a dyn Differentiable,
    /// What the attacker wants.
    pub loss: &'a dyn MapLoss,
    /// Sharpness of the surrogate's softplus.
    pub beta: f64,
    /// Steps.
    pub iterations: u32,
    /// Length of a step in the ball's norm, in units of [0, 1] pixels.
    pub step: f64,
}

/// What an attack found for a batch; no tensor has a graph.
#[derive(Debug)]
pub struct Outcome {
    /// The best accepted iterates, `[N, C, H, W]`; the clean image where there is none.
    pub adversarial: Tensor,
    /// Signed maps of the clean images, `[N, C, H, W]`.
    pub maps: Tensor,
    /// Signed maps of `adversarial` on the real network.
    pub attacked_maps: Tensor,
    /// Whether an iterate was accepted, bool `[N]`.
    pub success: Tensor,
    /// The attack's own measure at `adversarial`, f64 `[N]`; smaller is stronger.
    pub measure: Tensor,
}

impl Outcome {
    /// Per image the stronger of two outcomes for the same clean images.
    pub fn or_stronger(self, other: &Outcome) -> Outcome {
        let better = other.measure.less_tensor(&self.measure);
        Outcome {
            adversarial: choose(&better, &other.adversarial, &self.adversarial),
            attacked_maps: choose(&better, &other.attacked_maps, &self.attacked_maps),
            success: self.success.logical_or(&other.success),
            measure: other.measure.minimum(&self.measure),
            maps: self.maps,
        }
    }
}

/// Per image `a` where `which` (bool `[N]`), else `b`.
fn choose(which: &Tensor, a: &Tensor, b: &Tensor) -> Tensor {
    let mut shape = vec![1; a.dim()];
    shape[0] = -1;
    a.where_self(&which.view(&shape[..]), b)
}

impl MapAttack<'_> {
    /// Attacks the images of `batch` inside `ball`; `k` is the size of the top. What the method
    /// draws for an image is the same at every iterate. `tick` is called after every iteration.
    /// There is no host synchronisation.
    pub fn run(&self, batch: &Batch, ball: &Ball, k: i64, mut tick: impl FnMut()) -> Outcome {
        let x = &batch.x;
        let (maps, logits) = self.method.with_logits(self.model, batch);
        let prediction = logits.argmax(1, false);
        let clean = Reference::new(heat(&maps), k);
        let surrogate = softened(self.model, self.beta);
        let mut best = Outcome {
            adversarial: x.shallow_clone(),
            attacked_maps: maps.shallow_clone(),
            success: prediction.zeros_like().to_kind(Kind::Bool),
            measure: self.loss.measure(&clean.heat, &clean),
            maps,
        };
        let mut at = x.shallow_clone();
        for _ in 0..self.iterations {
            let g = self.gradient(&surrogate, &batch.at(&at), &clean);
            at = ball.project(x, &(&at - ball.ascent(&g) * self.step));
            best.judge(self, &batch.at(&at), &prediction, &clean);
            tick();
        }
        best
    }

    /// Gradient of the loss of the surrogate's heat maps at the images of `at`, `[N, C, H, W]`.
    fn gradient(&self, surrogate: &dyn Model, at: &Batch, clean: &Reference) -> Tensor {
        let cotangent = |map: &Tensor| {
            let map = map.detach().set_requires_grad(true);
            let loss = tch::with_grad(|| self.loss.loss(&heat(&map), clean).sum(None::<Kind>));
            pull(&loss, &map, Graph::Free)
        };
        self.method.pullback(surrogate, at, &cotangent).1
    }
}

impl Outcome {
    /// Keeps the iterates `at` whose prediction is the clean one and whose measure is the best.
    fn judge(&mut self, attack: &MapAttack, at: &Batch, prediction: &Tensor, clean: &Reference) {
        let (maps, logits) = attack.method.with_logits(attack.model, at);
        let measure = attack.loss.measure(&heat(&maps), clean);
        let kept = logits.argmax(1, false).eq_tensor(prediction);
        let accepted = measure.less_tensor(&self.measure).logical_and(&kept);
        self.adversarial = choose(&accepted, &at.x, &self.adversarial);
        self.attacked_maps = choose(&accepted, &maps, &self.attacked_maps);
        self.measure = choose(&accepted, &measure, &self.measure);
        self.success = self.success.logical_or(&accepted);
    }
}
