//! Attacks on attribution maps: steps down the loss of the softplus surrogate's heat map, as a rule
//! makes them; every iterate is judged on the real network and the best one kept (Ghorbani et al.
//! 2019, Dombrowski et al. 2019, Wang et al. 2020).

use crate::{Ball, MapLoss, Reference, Rule};
use anyhow::{Context, Result, ensure};
use explain::{
    Attribution, Batch,
    heatmap::{has_mass, heat},
};
use models::{Model, grad::value_and_grad, noise, registry, softened};
use std::cell::{Cell, RefCell};
use tch::Tensor;

/// Sharpness of the softplus that stands for each ReLU while attacking.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Beta {
    /// At the first iteration.
    pub start: f64,
    /// What it grows to, by the same factor at every iteration.
    pub end: f64,
}

impl Beta {
    /// The same at every iteration.
    pub fn fixed(beta: f64) -> Self {
        Beta { start: beta, end: beta }
    }

    /// `20`, or `10:100` to grow. Errors: not one or two positive numbers.
    pub fn parse(text: &str) -> Result<Self> {
        let told =
            || format!("`{text}` is neither a number such as `20` nor a growth such as `10:100`");
        let (start, end) = text.split_once(':').unwrap_or((text, text));
        let number = |text| registry::parse_fraction(text).with_context(told);
        let beta = Beta { start: number(start)?, end: number(end)? };
        ensure!(beta.start > 0. && beta.end > 0., "`{text}` is not positive");
        Ok(beta)
    }

    fn at(self, iteration: u32, of: u32) -> f64 {
        self.start * (self.end / self.start).powf(f64::from(iteration) / f64::from(of))
    }
}

/// An attack on the maps of one method on one network.
#[derive(Clone, Copy)]
pub struct MapAttack<'a> {
    /// The real network, by which iterates are judged.
    pub model: &'a dyn Model,
    /// The method whose maps are attacked.
    pub method: &'a dyn Attribution,
    /// What the attacker wants.
    pub loss: &'a dyn MapLoss,
    /// How steps are made.
    pub rule: &'a dyn Rule,
    /// Sharpness of the surrogate's softplus.
    pub beta: Beta,
    /// Steps from each start.
    pub iterations: u32,
    /// Length of a step in the ball's norm, in units of [0, 1] pixels.
    pub step: f64,
    /// Starts: the first is the clean image, the others are random images of the ball.
    pub restarts: u32,
}

/// What an attack found for a batch; no tensor has a graph.
#[derive(Debug)]
pub struct Outcome {
    /// The best accepted iterates, `[N, C, H, W]`; the clean image where there is none.
    pub adversarial: Tensor,
    /// Whether an iterate was accepted, bool `[N]`.
    pub success: Tensor,
    /// Whether there is a map to attack, and one to aim at, bool `[N]`; where not, nothing is
    /// accepted, which says nothing of how robust anything is.
    pub has_map: Tensor,
    /// The attack's own measure at `adversarial`, f64 `[N]`; smaller is stronger, NaN without a map.
    pub measure: Tensor,
    /// Its loss there, `[N]`, by which iterates of equal measure are told apart.
    pub loss: Tensor,
}

impl Outcome {
    fn copy(&self) -> Self {
        let copy = Tensor::shallow_clone;
        Outcome {
            adversarial: copy(&self.adversarial),
            success: copy(&self.success),
            has_map: copy(&self.has_map),
            measure: copy(&self.measure),
            loss: copy(&self.loss),
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
    /// Errors: a method without derivatives where the rule wants them, settings that do not fit the
    /// images, `[C, H, W]`.
    pub fn check(&self, [_, height, width]: [i64; 3]) -> Result<()> {
        ensure!(
            self.method.differentiable().is_some() || !self.rule.follows_gradients(),
            "its maps cannot be differentiated; search with the rule `square` (`attack --rule \
             square`), or attack another method and transfer"
        );
        ensure!(self.iterations > 0, "`iterations` is 0; one is the least");
        ensure!(self.restarts > 0, "`restarts` is 0; one is the least");
        self.loss.check(height, width)
    }

    /// The clean side of `batch`, for every ball; `k` is the size of the top.
    pub fn reference(&self, batch: &Batch, k: i64) -> Reference {
        Reference::new(self.method, self.model, batch, k)
    }

    /// Attacks the images of `batch` inside `ball`. What the method draws for an image is the same
    /// at every iterate. What was found in a smaller ball is where the first walk starts and what
    /// is kept where nothing better is found. `tick` is called after every iteration. There is no
    /// host synchronisation.
    pub fn run(
        &self,
        batch: &Batch,
        clean: &Reference,
        ball: &Ball,
        smaller: Option<&Outcome>,
        tick: &dyn Fn(),
    ) -> Outcome {
        let nothing = || {
            let has_map = clean.can_be_attacked(self.loss);
            let measure = self.loss.measure(&clean.heat, clean);
            Outcome {
                adversarial: batch.x.shallow_clone(),
                success: has_map.zeros_like(),
                measure: measure.masked_fill(&has_map.logical_not(), f64::NAN),
                loss: self.loss.loss(&clean.heat, clean),
                has_map,
            }
        };
        let best = RefCell::new(smaller.map_or_else(nothing, Outcome::copy));
        for restart in 0..self.restarts {
            let search = Search {
                attack: self,
                batch,
                holds_outputs: self.loss.output_loss(&clean.logits, clean).is_some(),
                clean: clean.turned(restart),
                ball,
                keys: batch.keys_of(noise::key(0, u64::from(restart), noise::name_id("restart"))),
                start_loss: match restart {
                    0 => best.borrow().loss.shallow_clone(),
                    _ => best.borrow().loss.full_like(f64::INFINITY),
                },
                best: &best,
                judged: Cell::new(0),
                tick,
            };
            let start = match restart {
                0 => best.borrow().adversarial.shallow_clone(),
                _ => ball.start(&batch.x, &search.keys).to_kind(batch.x.kind()),
            };
            self.rule.walk(&search, start);
        }
        best.into_inner()
    }
}

/// One walk of an attack: what a [`Rule`] may ask.
pub struct Search<'a> {
    attack: &'a MapAttack<'a>,
    batch: &'a Batch,
    clean: Reference,
    holds_outputs: bool,
    /// Where iterates must stay.
    pub ball: &'a Ball,
    /// One key per image seeds the walk's own draws.
    pub keys: Vec<u64>,
    /// The loss at the start, `[N]`; infinite where it is not known.
    pub start_loss: Tensor,
    best: &'a RefCell<Outcome>,
    judged: Cell<u32>,
    tick: &'a dyn Fn(),
}

impl Search<'_> {
    /// The clean images, `[N, C, H, W]`.
    pub fn x(&self) -> &Tensor {
        &self.batch.x
    }

    /// The real network and its predictions.
    pub(crate) fn victim(&self) -> (&dyn Model, &Tensor) {
        (self.attack.model, &self.clean.prediction)
    }

    /// Steps of the walk.
    pub fn iterations(&self) -> u32 {
        self.attack.iterations
    }

    /// Length of a step.
    pub fn step(&self) -> f64 {
        self.attack.step
    }

    /// The loss `[N]` at the images `at` and its gradient `[N, C, H, W]`: of the surrogate's heat
    /// maps, with the sharpness of the iteration under way, and of the real network's outputs.
    pub fn gradient(&self, at: &Tensor) -> (Tensor, Tensor) {
        let MapAttack { model, method, loss, beta, iterations, .. } = *self.attack;
        if loss.is_blind() {
            let draw = noise::key(1, u64::from(self.judged.get()), 0);
            let keys: Vec<u64> = self.keys.iter().map(|&key| noise::key(key, draw, 0)).collect();
            let signs = noise::sign(&keys, &at.size()[1..], at.device()).to_kind(at.kind());
            return (self.clean.heat.select(1, 0).select(1, 0).zeros_like(), signs);
        }
        let values = RefCell::new(None);
        let cotangent = |map: &Tensor| {
            let (value, g) = value_and_grad(map, |map| loss.loss(&heat(map), &self.clean));
            values.replace(Some(value));
            g
        };
        let surrogate = softened(model, beta.at(self.judged.get(), iterations));
        let differentiable = method.differentiable().expect("`check` asks for it");
        let (_, g) = differentiable.pullback(&surrogate, &self.batch.at(at), &cotangent);
        let value = values.into_inner().expect("every pullback asks for its cotangent");
        if !self.holds_outputs {
            return (value, g);
        }
        let (cost, back) = value_and_grad(at, |x| {
            let cost = loss.output_loss(&model.logits(x), &self.clean);
            cost.expect("its clean outputs cost something")
        });
        (value + cost, g + back)
    }

    /// Keeps each of the images `at` whose prediction is the clean one, which has a map, and which is
    /// the best so far on the real network. Returns the loss there `[N]`, infinite where the
    /// prediction is another or there is no map. One iteration is over.
    pub fn judge(&self, at: &Tensor) -> Tensor {
        let MapAttack { model, method, loss, .. } = *self.attack;
        let (maps, logits) = method.with_logits(model, &self.batch.at(at));
        let heat = heat(&maps);
        let (measure, value) = (loss.measure(&heat, &self.clean), loss.loss(&heat, &self.clean));
        let kept = logits.argmax(1, false).eq_tensor(&self.clean.prediction);
        // A map that is gone is no other map: nothing can be compared.
        let kept = kept.logical_and(&has_mass(&heat));
        let mut best = self.best.borrow_mut();
        let equal = measure.eq_tensor(&best.measure).logical_and(&value.less_tensor(&best.loss));
        let better = measure.less_tensor(&best.measure);
        // An equal measure is no success where there was none before.
        let accepted = better.logical_or(&equal.logical_and(&best.success)).logical_and(&kept);
        *best = Outcome {
            adversarial: choose(&accepted, at, &best.adversarial),
            measure: choose(&accepted, &measure, &best.measure),
            loss: choose(&accepted, &value, &best.loss),
            success: best.success.logical_or(&accepted),
            has_map: best.has_map.shallow_clone(),
        };
        self.judged.set(self.judged.get() + 1);
        (self.tick)();
        value.where_self(&kept, &value.full_like(f64::INFINITY))
    }
}
