//! Attacks on attribution maps: steps down the loss of the softplus surrogate's heat map, as an
//! optimiser makes them; every iterate is judged on the real network and the best one kept (Ghorbani
//! et al. 2019, Dombrowski et al. 2019, Wang et al. 2020).

use crate::{AutoPgd, Ball, Best, Norm, Optimizer, Sign, Step, Walk};
use anyhow::{Result, ensure};
use explain::{Attribution, Batch};
use models::{Model, noise, replay::Recorder};
use std::cell::{Cell, OnceCell, RefCell};
use tch::Tensor;

mod beta;
mod ensemble;
mod objective;
mod reference;
mod search;

pub use beta::Beta;
pub use ensemble::{Ensemble, Strength};
pub use objective::{ATTACKS, map_objective};
pub use reference::{Descent, MapObjective, Reference};

use search::Search;

/// An attack on the maps of one method on one network.
///
/// ```
/// use attack::{AutoPgd, Ball, Beta, Descent, MapAttack, MapObjective, Norm, Reference, Step, Surrogate};
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
///     optimizer: &AutoPgd {},
///     beta: Beta::USUAL,
///     spreads: &models::spreads(&model, [x.shallow_clone()]),
///     surrogate: Surrogate::Exact,
///     descent: Descent::Near,
///     iterations: 3,
///     step: Step::Falling(4. / 255.),
///     restarts: 1,
///     fresh: false,
///     recorder: None,
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
    /// Of the network ([`models::spreads`]), where the sharpness is relative.
    pub spreads: &'a [f64],
    /// Whose softened form is descended.
    pub surrogate: Surrogate<'a>,
    /// Which of the objective's losses is descended.
    pub descent: Descent,
    /// Steps from each start.
    pub iterations: u32,
    /// How long they are; not every optimiser uses it.
    pub step: Step,
    /// Starts: the first is what is known, at first the clean image, the others are random images of
    /// the ball.
    pub restarts: u32,
    /// Whether the method draws anew for every step, which descends the expectation over its draws;
    /// iterates are judged by the same draws in any case.
    pub fresh: bool,
    /// Who records iterations, if they are to be replayed where they are all alike.
    pub recorder: Option<&'a dyn Recorder>,
}

/// The network whose softened form is descended. Iterates are judged on the real one in any case.
#[derive(Clone, Copy)]
pub enum Surrogate<'a> {
    /// The real network, its derivatives as exact as its type.
    Exact,
    /// This one, such as the same weights in bf16, by the cheapest formulas: steps follow directions.
    Rough(&'a dyn Model),
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
    /// The measure of the best so far before the first iteration and after each, f64
    /// `[N, 1 + iterations]`: whether more of them would help.
    pub trace: Tensor,
}

impl Outcome {
    fn copy(&self) -> Self {
        Outcome {
            adversarial: self.adversarial.shallow_clone(),
            success: self.success.shallow_clone(),
            has_map: self.has_map.shallow_clone(),
            measure: self.measure.shallow_clone(),
            loss: self.loss.shallow_clone(),
            trace: self.trace.shallow_clone(),
        }
    }

    /// What became of it.
    fn followed_by(&self, Known { best, trace }: Known) -> Self {
        Outcome {
            loss: best.loss.where_self(&best.success, &self.loss),
            adversarial: best.images,
            success: best.success,
            measure: best.measure,
            has_map: self.has_map.shallow_clone(),
            trace: Tensor::stack(&trace, 1),
        }
    }
}

/// The best of every walk so far.
struct Known {
    best: Best,
    /// Its measure `[N]` before the first iteration and after each.
    trace: Vec<Tensor>,
}

impl Known {
    /// As the tracker keeps it: where nothing was accepted no loss is below that of an equal
    /// measure, which would be no success.
    fn of(begun: &Outcome) -> Self {
        let best = Best {
            images: begun.adversarial.shallow_clone(),
            measure: begun.measure.shallow_clone(),
            loss: begun.loss.masked_fill(&begun.success.logical_not(), f64::NEG_INFINITY),
            success: begun.success.shallow_clone(),
        };
        Known { trace: vec![best.measure.shallow_clone()], best }
    }

    /// Keeps what is better of one iteration's images.
    fn keep(&mut self, seen: &Best) {
        self.best.keep(seen);
        self.trace.push(self.best.measure.shallow_clone());
    }
}

/// Where a walk begins: at what is known, or at a random image of the ball. Its number tells its
/// draws and directions from those of others.
#[derive(Clone, Copy)]
struct Start {
    number: u32,
    random: bool,
}

/// What walks go over.
struct Ground<'a> {
    begun: &'a Outcome,
    batch: &'a Batch,
    clean: &'a Reference,
    ball: &'a Ball,
    tick: &'a dyn Fn(),
}

impl<'a> MapAttack<'a> {
    /// One walk of 50 iterations from what is known, by Auto-PGD; random steps where the objective
    /// has no aim. docs/decisions/map-attacks.md says how its settings were chosen.
    pub fn fast(
        model: &'a dyn Model,
        method: &'a dyn Attribution,
        objective: &'a dyn MapObjective,
        spreads: &'a [f64],
        ball: &Ball,
    ) -> Self {
        let by_signs = objective.gradient_free();
        MapAttack {
            model,
            method,
            objective,
            optimizer: if by_signs { &Sign::CLAMPED } else { &AutoPgd {} },
            beta: Beta::USUAL,
            spreads,
            surrogate: Surrogate::Exact,
            descent: Descent::Near,
            iterations: 50,
            step: Step::Falling(ball.eps),
            restarts: 1,
            fresh: false,
            recorder: None,
        }
    }

    /// The same as published: signs, the paper's loss, β = 20 and steps of 0.5/255 or, in ℓ2, of 2.5 ε
    /// over the number of iterations.
    pub fn published(self, ball: &Ball) -> Self {
        let step = match ball.norm {
            Norm::Linf => 0.5 / 255.,
            Norm::L2 => 2.5 * ball.eps / f64::from(self.iterations),
        };
        MapAttack {
            optimizer: &Sign::CLAMPED,
            beta: Beta::fixed(20.),
            descent: Descent::Published,
            step: Step::Same(step),
            ..self
        }
    }
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
    /// at every iterate, but for steps of `fresh` draws. What was found in a smaller ball is where
    /// the first walk starts and what is kept where nothing better is found. `tick` is called after
    /// every iteration. There is no host synchronisation.
    pub fn run(
        &self,
        batch: &Batch,
        clean: &Reference,
        ball: &Ball,
        smaller: Option<&Outcome>,
        tick: &dyn Fn(),
    ) -> Outcome {
        let on = Ground { begun: &self.begun(batch, clean, smaller), batch, clean, ball, tick };
        let walks = (0..self.restarts).map(|number| Start { number, random: number > 0 });
        on.begun.followed_by(
            walks.fold(Known::of(on.begun), |known, start| self.walk(&on, start, known)),
        )
    }

    /// What a smaller ball's attack found, or nothing yet.
    fn begun(&self, batch: &Batch, clean: &Reference, smaller: Option<&Outcome>) -> Outcome {
        smaller.map_or_else(|| self.nothing(batch, clean), Outcome::copy)
    }

    /// One walk, beside what is known already.
    fn walk(&self, on: &Ground, start: Start, known: Known) -> Known {
        let Ground { begun, batch, clean, ball, tick } = *on;
        let draw = noise::key(0, u64::from(start.number), noise::name_id("restart"));
        let keys = &batch.keys_of(draw)[..];
        let search = Search {
            model: self.model,
            method: self.method,
            objective: self.objective,
            beta: self.beta,
            spreads: if self.beta.relative { self.spreads } else { &[] },
            surrogate: self.surrogate,
            descent: self.descent,
            fresh: self.fresh,
            iterations: self.iterations,
            batch,
            holds_outputs: self.objective.output_loss(&clean.logits, clean).is_some(),
            clean: clean.rotated(start.number),
            keys,
            known: RefCell::new(known),
            started: Cell::new(false),
            recorder: self.recorder,
            recorded: OnceCell::new(),
            tick,
        };
        let (start, start_value) = match start.random {
            true => (ball.start(&batch.x, keys).to_kind(batch.x.kind()), None),
            false => (begun.adversarial.shallow_clone(), Some(begun.loss.neg())),
        };
        let (x, ball, steps, step) = (&batch.x, *ball, self.iterations, self.step);
        let walk = Walk { x, ball, start, start_value, steps, step, keys };
        let _ = self.optimizer.climb(&search, &walk);
        search.known.into_inner()
    }

    /// What is known before the first iterate.
    fn nothing(&self, batch: &Batch, clean: &Reference) -> Outcome {
        let has_map = clean.can_be_attacked(self.objective);
        let measure = self.objective.measure(&clean.heat, clean);
        let measure = measure.masked_fill(&has_map.logical_not(), f64::NAN);
        Outcome {
            adversarial: batch.x.shallow_clone(),
            success: has_map.zeros_like(),
            measure: measure.shallow_clone(),
            loss: self.objective.loss(&clean.heat, clean),
            trace: measure.unsqueeze(1),
            has_map,
        }
    }
}
