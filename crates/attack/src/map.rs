//! Attacks on attribution maps: steps down the loss of the softplus surrogate's heat map, as an
//! optimiser makes them; every iterate is judged on the real network and the best one kept (Ghorbani
//! et al. 2019, Dombrowski et al. 2019, Wang et al. 2020).

use crate::{Ball, Best, Optimizer, Walk};
use anyhow::{Result, ensure};
use explain::{Attribution, Batch};
use models::{Model, noise};
use std::cell::{Cell, RefCell};
use tch::Tensor;

mod beta;
mod objective;
mod reference;
mod search;

pub use beta::Beta;
pub use objective::{ATTACKS, map_objective};
pub use reference::{MapObjective, Reference};

use search::Search;

/// An attack on the maps of one method on one network.
///
/// ```
/// use attack::{Ball, Beta, MapAttack, MapObjective, Norm, Reference, Sign};
/// use explain::Batch;
/// use models::{Classifier, Model, Target, zoo, zoo::{Normalisation, Shape}};
/// use tch::{Device, Kind, Tensor};
///
/// /// Mass into the top row.
/// struct TopRow;
///
/// impl MapObjective for TopRow {
///     fn loss(&self, heat: &Tensor, _clean: &Reference) -> Tensor {
///         -heat.select(1, 0).sum_dim_intlist([1i64].as_slice(), false, heat.kind())
///     }
///     fn measure(&self, heat: &Tensor, clean: &Reference) -> Tensor {
///         self.loss(&heat.to_kind(Kind::Double), clean)
///     }
/// }
///
/// # let shape = Shape { image: [1, 8, 8], classes: 2 };
/// # let scale = Normalisation::parse("none", 1)?;
/// # let model = Classifier::new(zoo::arch("cnn")?, shape, scale, 0, Device::Cpu);
/// # let x = Tensor::rand([3, 1, 8, 8], (Kind::Float, Device::Cpu));
/// let target = Target::predicted(&model, &x, Default::default());
/// let (batch, method) = (Batch::new(&x, &target), explain::parse("gxi")?);
/// let attack = MapAttack {
///     model: &model,
///     method: &*method,
///     objective: &TopRow,
///     optimizer: &Sign::default(),
///     beta: Beta::fixed(20.),
///     iterations: 3,
///     step: 1. / 255.,
///     restarts: 1,
/// };
/// attack.check([1, 8, 8])?;
/// let (ball, clean) = (Ball::new(Norm::Linf, 4. / 255.)?, attack.reference(&batch, 8));
/// let found = attack.run(&batch, &clean, &ball, None, &|| ());
/// assert_eq!(found.adversarial.size(), [3, 1, 8, 8]);
/// # Ok::<(), anyhow::Error>(())
/// ```
#[derive(Clone, Copy)]
pub struct MapAttack<'a> {
    /// The real network, by which iterates are judged.
    pub model: &'a dyn Model,
    /// The method whose maps are attacked.
    pub method: &'a dyn Attribution,
    /// What the attacker wants.
    pub objective: &'a dyn MapObjective,
    /// How steps are made.
    pub optimizer: &'a dyn Optimizer,
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
    /// As the tracker keeps it: where nothing was accepted no loss is below that of an equal
    /// measure, which would be no success.
    fn tracked(&self) -> Best {
        Best {
            images: self.adversarial.shallow_clone(),
            measure: self.measure.shallow_clone(),
            loss: self.loss.masked_fill(&self.success.logical_not(), f64::NEG_INFINITY),
            success: self.success.shallow_clone(),
        }
    }

    /// What became of it.
    fn followed_by(&self, best: Best) -> Self {
        Outcome {
            loss: best.loss.where_self(&best.success, &self.loss),
            adversarial: best.images,
            success: best.success,
            measure: best.measure,
            has_map: self.has_map.shallow_clone(),
        }
    }
}

impl MapAttack<'_> {
    /// Errors: a method without derivatives where the rule wants them, settings that do not fit the
    /// images, `[C, H, W]`.
    pub fn check(&self, [_, height, width]: [i64; 3]) -> Result<()> {
        let (blind, steps) = (self.objective.gradient_free(), self.optimizer.uses_gradient());
        ensure!(
            !blind || steps,
            "its steps are random, and this rule makes none: it would search for another goal; use a \
             rule that makes steps, such as `sign`"
        );
        ensure!(
            self.method.differentiable().is_some() || blind || !steps,
            "its maps cannot be differentiated; search with the rule `square` (`attack --rule \
             square`), or attack another method and transfer"
        );
        ensure!(self.iterations > 0, "`iterations` is 0; one is the least");
        ensure!(self.restarts > 0, "`restarts` is 0; one is the least");
        self.objective.check(height, width)
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
        match smaller {
            Some(begun) => self.go_on(begun, batch, clean, ball, tick),
            None => self.go_on(&self.nothing(batch, clean), batch, clean, ball, tick),
        }
    }

    /// Every restart, from what is known already.
    fn go_on(
        &self,
        begun: &Outcome,
        batch: &Batch,
        clean: &Reference,
        ball: &Ball,
        tick: &dyn Fn(),
    ) -> Outcome {
        let mut best = begun.tracked();
        for restart in 0..self.restarts {
            let keys = batch.keys_of(noise::key(0, u64::from(restart), noise::name_id("restart")));
            let (start, start_value) = match restart {
                0 => (begun.adversarial.shallow_clone(), Some(begun.loss.neg())),
                _ => (ball.start(&batch.x, &keys).to_kind(batch.x.kind()), None),
            };
            let (x, ball, steps, step, keys) =
                (&batch.x, *ball, self.iterations, self.step, &keys[..]);
            let walk = Walk { x, ball, start, start_value, steps, step, keys };
            let search = Search {
                model: self.model,
                method: self.method,
                objective: self.objective,
                beta: self.beta,
                iterations: self.iterations,
                batch,
                holds_outputs: self.objective.output_loss(&clean.logits, clean).is_some(),
                clean: clean.rotated(restart),
                keys,
                best: RefCell::new(best),
                started: Cell::new(false),
                tick,
            };
            let _ = self.optimizer.climb(&search, &walk);
            best = search.best.into_inner();
        }
        begun.followed_by(best)
    }

    /// What is known before the first iterate.
    fn nothing(&self, batch: &Batch, clean: &Reference) -> Outcome {
        let has_map = clean.can_be_attacked(self.objective);
        let measure = self.objective.measure(&clean.heat, clean);
        Outcome {
            adversarial: batch.x.shallow_clone(),
            success: has_map.zeros_like(),
            measure: measure.masked_fill(&has_map.logical_not(), f64::NAN),
            loss: self.objective.loss(&clean.heat, clean),
            has_map,
        }
    }
}
