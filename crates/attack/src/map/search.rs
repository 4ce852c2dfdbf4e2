//! The objective of one walk of an attack on maps: the loss of the surrogate's heat map is descended,
//! iterates are judged on the real network.

use super::{
    Known, Surrogate,
    beta::Beta,
    reference::{Descent, MapObjective, Reference},
};
use crate::{Best, Objective};
use explain::{
    Attribution, Batch,
    heatmap::{has_mass, heat},
};
use models::{
    Model,
    grad::value_and_grad,
    noise,
    replay::{Recorder, Replay},
    softened_by, softened_roughly,
};
use std::cell::{Cell, OnceCell, RefCell};
use tch::Tensor;

/// One walk.
pub(super) struct Search<'a> {
    pub model: &'a dyn Model,
    pub method: &'a dyn Attribution,
    pub objective: &'a dyn MapObjective,
    pub beta: Beta,
    /// Of the network's nonlinearities, where the sharpness is in their units.
    pub spreads: &'a [f64],
    pub surrogate: Surrogate<'a>,
    pub descent: Descent,
    /// Whether steps draw anew.
    pub fresh: bool,
    pub iterations: u32,
    pub batch: &'a Batch,
    /// What this restart sees.
    pub clean: Reference,
    pub holds_outputs: bool,
    /// One key per image seeds random steps.
    pub keys: &'a [u64],
    pub known: RefCell<Known>,
    /// Whether the start has been asked about, which is no iterate.
    pub started: Cell<bool>,
    /// Who records iterations, if they are to be.
    pub recorder: Option<&'a dyn Recorder>,
    /// The iteration as recorded; none inside: it is refused.
    pub recorded: OnceCell<Option<Replay>>,
    /// Called after every iteration.
    pub tick: &'a dyn Fn(),
}

impl Search<'_> {
    /// What is descended, `[N]`.
    fn loss(&self, heat: &Tensor) -> Tensor {
        self.objective.descended(heat, &self.clean, self.descent)
    }

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
            let (value, g) = value_and_grad(map, |map| self.loss(&heat(map)));
            values.replace(Some(value));
            g
        };
        let beta = self.beta.at(iteration, self.iterations);
        let exact = softened_by(model, beta, self.spreads);
        let rough = |model| softened_roughly(model, beta, self.spreads);
        let differentiable = method.differentiable().expect("`check` asks for it");
        let drawn = self.drawn(at, iteration);
        let (_, g) = match self.surrogate {
            Surrogate::Exact => differentiable.pullback(&exact, &drawn, &cotangent),
            Surrogate::Rough(model) => differentiable.pullback(&rough(model), &drawn, &cotangent),
        };
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

    /// The images `at` with what the method draws for a step from them.
    fn drawn(&self, at: &Tensor, iteration: u32) -> Batch {
        let batch = self.batch.at(at);
        if !self.fresh {
            return batch;
        }
        let draw = noise::key(2, u64::from(iteration), 0);
        Batch { keys: self.keys.iter().map(|&key| noise::key(key, draw, 0)).collect(), ..batch }
    }

    /// The images `at` on the real network, and what is descended there `[N]`; NaN and infinite where
    /// the prediction is not the clean one or there is no map.
    fn see(&self, at: &Tensor) -> (Best, Tensor) {
        let Search { objective, clean, .. } = self;
        let (maps, logits) = self.method.with_logits(self.model, &self.batch.at(at));
        let heat = heat(&maps);
        let (measure, loss) = (objective.measure(&heat, clean), objective.loss(&heat, clean));
        let mut descended = self.loss(&heat);
        if self.holds_outputs && self.beta.grows() {
            descended += objective.output_loss(&logits, clean).expect("`holds_outputs`");
        }
        let same = logits.argmax(1, false).eq_tensor(&clean.prediction);
        // A map that is gone is no other map: nothing can be compared.
        let refused = same.logical_and(&has_mass(&heat)).logical_not();
        let seen = Best {
            images: at.shallow_clone(),
            measure: measure.masked_fill(&refused, f64::NAN),
            loss,
            success: refused.ones_like(),
        };
        (seen, descended.masked_fill(&refused, f64::INFINITY))
    }

    /// Why iterations are not all the same function of their images, if they are not.
    fn differ(&self) -> Option<&'static str> {
        if self.objective.gradient_free() {
            Some("random steps are drawn on the host")
        } else if self.beta.grows() {
            Some("β grows, so every iteration has another surrogate; `--beta 20` is one for all")
        } else {
            self.fresh.then_some("every step has draws of its own")
        }
    }

    /// An iteration at the images `at` as recorded: judged, and the value and gradient of the surrogate;
    /// none where it is not recorded.
    fn replayed(&self, at: &Tensor) -> Option<(Tensor, Tensor)> {
        let recorder = self.recorder?;
        let recorded = self.recorded.get_or_init(|| {
            if let Some(why) = self.differ() {
                recorder.refused(why);
                return None;
            }
            Replay::of(recorder, &[at], &[], &mut |given| {
                let at = &given[0];
                let (Best { measure, loss, success, .. }, _) = self.see(at);
                let (value, g) = self.gradient(at, 0);
                vec![measure, loss, success, value, g]
            })
        });
        let mut found = recorded.as_ref()?.at(&[at]).into_iter();
        let mut next = || found.next().expect("as many as were recorded");
        let [measure, loss, success, value, g] = std::array::from_fn(|_| next());
        self.known.borrow_mut().keep(&Best { images: at.shallow_clone(), measure, loss, success });
        (self.tick)();
        Some((value, g))
    }

    /// Keeps each of the images `at` that is the best so far. Returns what is descended there. One
    /// iteration is over.
    fn judge(&self, at: &Tensor) -> Tensor {
        let (seen, descended) = self.see(at);
        self.known.borrow_mut().keep(&seen);
        (self.tick)();
        descended
    }
}

impl Objective for Search<'_> {
    /// The value is the surrogate's; where that is another one at every iteration, the real network's,
    /// which can be compared.
    fn value_and_grad(&self, x: &Tensor, iteration: u32) -> (Tensor, Tensor) {
        let grows = self.beta.grows();
        if self.started.get()
            && let Some((value, g)) = self.replayed(x)
        {
            return (value.neg(), g.neg());
        }
        let real = match self.started.replace(true) {
            true => Some(self.judge(x)),
            false => grows.then(|| self.see(x).1),
        };
        let (loss, g) = self.gradient(x, iteration);
        let value = real.filter(|_| grows).unwrap_or(loss);
        (value.neg(), g.neg())
    }

    fn value(&self, x: &Tensor) -> Tensor {
        self.judge(x).neg()
    }
}
