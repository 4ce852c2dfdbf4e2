//! The objective of one walk of an attack on maps: the loss of the surrogate's heat map is descended,
//! iterates are judged on the real network.

use super::{
    beta::Beta,
    reference::{MapObjective, Reference},
};
use crate::{Best, Objective};
use explain::{
    Attribution, Batch,
    heatmap::{has_mass, heat},
};
use models::{Model, grad::value_and_grad, noise, softened};
use std::cell::{Cell, RefCell};
use tch::Tensor;

/// One walk.
pub(super) struct Search<'a> {
    pub model: &'a dyn Model,
    pub method: &'a dyn Attribution,
    pub objective: &'a dyn MapObjective,
    pub beta: Beta,
    pub iterations: u32,
    pub batch: &'a Batch,
    /// What this restart sees.
    pub clean: Reference,
    pub holds_outputs: bool,
    /// One key per image seeds random steps.
    pub keys: &'a [u64],
    pub best: RefCell<Best>,
    /// Whether the start has been asked about, which is no iterate.
    pub started: Cell<bool>,
    /// Called after every iteration.
    pub tick: &'a dyn Fn(),
}

impl Search<'_> {
    /// The loss `[N]` at the images `at` and its gradient `[N, C, H, W]`: of the surrogate's heat
    /// maps, with the sharpness of the iteration under way, and of the real network's outputs.
    fn gradient(&self, at: &Tensor, iteration: u32) -> (Tensor, Tensor) {
        let Search { model, method, objective, .. } = *self;
        if objective.gradient_free() {
            let draw = noise::key(1, u64::from(iteration), 0);
            let keys: Vec<u64> = self.keys.iter().map(|&key| noise::key(key, draw, 0)).collect();
            let signs = noise::sign(&keys, &at.size()[1..], at.device()).to_kind(at.kind());
            return (self.clean.heat.select(1, 0).select(1, 0).zeros_like(), signs);
        }
        let values = RefCell::new(None);
        let cotangent = |map: &Tensor| {
            let (value, g) = value_and_grad(map, |map| objective.loss(&heat(map), &self.clean));
            values.replace(Some(value));
            g
        };
        let surrogate = softened(model, self.beta.at(iteration, self.iterations));
        let differentiable = method.differentiable().expect("`check` asks for it");
        let (_, g) = differentiable.pullback(&surrogate, &self.batch.at(at), &cotangent);
        let value = values.into_inner().expect("every pullback asks for its cotangent");
        if !self.holds_outputs {
            return (value, g);
        }
        let (cost, back) = value_and_grad(at, |x| {
            let cost = objective.output_loss(&model.logits(x), &self.clean);
            cost.expect("its clean outputs cost something")
        });
        (value + cost, g + back)
    }

    /// Keeps each of the images `at` whose prediction is the clean one, which has a map, and which is
    /// the best so far on the real network. Returns the loss there `[N]`, infinite where the
    /// prediction is another or there is no map. One iteration is over.
    fn judge(&self, at: &Tensor) -> Tensor {
        let Search { objective, clean, .. } = self;
        let (maps, logits) = self.method.with_logits(self.model, &self.batch.at(at));
        let heat = heat(&maps);
        let (measure, loss) = (objective.measure(&heat, clean), objective.loss(&heat, clean));
        let same = logits.argmax(1, false).eq_tensor(&clean.prediction);
        // A map that is gone is no other map: nothing can be compared.
        let refused = same.logical_and(&has_mass(&heat)).logical_not();
        self.best.borrow_mut().keep(&Best {
            images: at.shallow_clone(),
            measure: measure.masked_fill(&refused, f64::NAN),
            loss: loss.shallow_clone(),
            success: refused.ones_like(),
        });
        (self.tick)();
        loss.masked_fill(&refused, f64::INFINITY)
    }
}

impl Objective for Search<'_> {
    fn value_and_grad(&self, x: &Tensor, iteration: u32) -> (Tensor, Tensor) {
        if self.started.replace(true) {
            let _ = self.judge(x);
        }
        let (loss, g) = self.gradient(x, iteration);
        (loss.neg(), g.neg())
    }

    fn value(&self, x: &Tensor) -> Tensor {
        self.judge(x).neg()
    }
}
