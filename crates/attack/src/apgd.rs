//! Auto-PGD (Croce & Hein 2020, algorithm 1): gradient ascent with momentum whose step halves, per
//! image, where progress stalls. As in AutoAttack's code the intervals between checkpoints are
//! whole steps and a run starts on the ball's boundary.

use crate::{
    Ball, Loss, Norm,
    loss::without,
    pgd::Objective,
    prediction::{Adversary, Case, Seen, Watch, attempts},
};
use anyhow::{Result, ensure};
use models::noise;
use serde::Deserialize;
use tch::{Kind, Tensor};
use toml::Table;

/// Share of the old direction that is replaced in a step.
const ALPHA: f64 = 0.75;
/// An interval in which no more than this share of the steps rises is a stall.
const RHO: f64 = 0.75;

/// Climbs `objective` from the images `start` inside `ball` around `x` (`[N, C, H, W]`): the images
/// with the largest value and that value `[N]`. Costs `steps` + 1 calls; no host synchronisation.
pub fn climb(
    objective: &Objective,
    x: &Tensor,
    start: &Tensor,
    ball: &Ball,
    steps: u32,
) -> (Tensor, Tensor) {
    let mut run = Run::new(objective(start), start, ball);
    let share = |part: f64| ((part * f64::from(steps)) as u32).max(1);
    let (mut interval, shortest, shorter) = (share(0.22), share(0.06), share(0.03));
    let mut since = 0;
    for i in 0..steps {
        run.step(objective, x, ball, if i == 0 { 1. } else { ALPHA });
        since += 1;
        if since == interval {
            run.check(interval);
            interval = interval.saturating_sub(shorter).max(shortest);
            since = 0;
        }
    }
    (run.best.at, run.best.value)
}

/// A random image on the boundary of the ball around each of `x`, cut to [0, 1].
pub fn start(x: &Tensor, ball: &Ball, keys: &[u64]) -> Tensor {
    let (shape, device) = (&x.size()[1..], x.device());
    let direction = match ball.norm {
        Norm::Linf => noise::uniform(keys, shape, device) * 2. - 1.,
        Norm::L2 => noise::normal(keys, shape, device),
    };
    ball.boundary(x, &direction)
}

/// Images, their values `[N]` and gradients.
struct Point {
    at: Tensor,
    value: Tensor,
    g: Tensor,
}

impl Point {
    fn copy(&self) -> Self {
        let copy = Tensor::shallow_clone;
        Point { at: copy(&self.at), value: copy(&self.value), g: copy(&self.g) }
    }
}

/// A climb under way; everything is per image.
struct Run {
    now: Point,
    before: Tensor, // the images one step ago
    best: Point,
    step: Tensor,          // [N, 1, 1, 1]
    rises: Tensor,         // steps up since the last checkpoint, [N]
    best_before: Tensor,   // best value at the last checkpoint, [N]
    halved_before: Tensor, // whether the step was halved there, bool [N]
}

impl Run {
    fn new((value, g): (Tensor, Tensor), start: &Tensor, ball: &Ball) -> Self {
        let now = Point { at: start.shallow_clone(), value, g };
        Run {
            best: now.copy(),
            before: start.shallow_clone(),
            step: now.value.ones_like().view([-1, 1, 1, 1]) * (2. * ball.eps),
            rises: now.value.zeros_like(),
            best_before: now.value.shallow_clone(),
            halved_before: now.value.ones_like().to_kind(Kind::Bool),
            now,
        }
    }

    fn step(&mut self, objective: &Objective, x: &Tensor, ball: &Ball, alpha: f64) {
        let at = &self.now.at;
        let ahead = ball.project(x, &(at + ball.ascent(&self.now.g) * &self.step));
        let momentum = (at - &self.before) * (1. - alpha);
        let next = ball.project(x, &(at + (ahead - at) * alpha + momentum));
        let (value, g) = objective(&next);
        self.rises += value.greater_tensor(&self.now.value);
        self.before = std::mem::replace(&mut self.now, Point { at: next, value, g }).at;
        let better = self.now.value.greater_tensor(&self.best.value);
        let spread = better.view([-1, 1, 1, 1]);
        self.best.at = self.now.at.where_self(&spread, &self.best.at);
        self.best.g = self.now.g.where_self(&spread, &self.best.g);
        self.best.value = self.now.value.where_self(&better, &self.best.value);
    }

    /// Halves the step where few of the `interval` last steps rose (condition 1), or where neither
    /// the step nor the best value has changed since the last checkpoint (condition 2), and goes
    /// back to the best images there.
    fn check(&mut self, interval: u32) {
        let few = self.rises.le(RHO * f64::from(interval));
        let stuck = self.best_before.greater_equal_tensor(&self.best.value);
        let halve = few.logical_or(&stuck.logical_and(&self.halved_before.logical_not()));
        let spread = halve.view([-1, 1, 1, 1]);
        self.step = (&self.step * 0.5).where_self(&spread, &self.step);
        self.now.at = self.best.at.where_self(&spread, &self.now.at);
        self.now.g = self.best.g.where_self(&spread, &self.now.g);
        self.rises = self.rises.zeros_like();
        self.best_before = self.best.value.shallow_clone();
        self.halved_before = halve;
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Options {
    steps: u32,
    restarts: u32,
}

impl Default for Options {
    fn default() -> Self {
        Options { steps: 100, restarts: 1 }
    }
}

impl Options {
    fn parse(table: Table) -> Result<Self> {
        let options: Options = models::registry::options(table)?;
        ensure!(options.steps > 0, "`steps` is 0; it must be positive");
        ensure!(options.restarts > 0, "`restarts` is 0; it must be positive");
        Ok(options)
    }
}

/// APGD away from the labels, on one loss.
pub(crate) struct Away {
    options: Options,
    loss: Loss,
}

impl Away {
    pub(crate) fn build(table: Table, loss: Loss) -> Result<Box<dyn Adversary>> {
        Ok(Box::new(Away { options: Options::parse(table)?, loss }))
    }
}

impl Adversary for Away {
    fn attack(&self, case: &Case) -> Tensor {
        let name = match self.loss {
            Loss::Ce => "apgd-ce",
            Loss::Dlr => "apgd-dlr",
        };
        attempts(case, self.options.restarts, |restart, case| {
            let loss = |logits: &Tensor| self.loss.away(logits, &case.y);
            once(case, &loss, self.options.steps, &case.keyed(name, restart))
        })
    }

    fn check(&self, classes: i64) -> Result<()> {
        self.loss.check_away(classes)
    }
}

/// APGD on the targeted DLR loss, towards each of the strongest other classes in turn.
pub(crate) struct Towards(Options);

/// As many classes are tried, from the strongest down.
const TARGETS: i64 = 9;

impl Towards {
    pub(crate) fn build(table: Table) -> Result<Box<dyn Adversary>> {
        Ok(Box::new(Towards(Options::parse(table)?)))
    }
}

impl Adversary for Towards {
    fn attack(&self, case: &Case) -> Tensor {
        let targets = TARGETS.min(case.classes() - 1) as u32;
        attempts(case, targets * self.0.restarts, |attempt, case| {
            let rank = i64::from(attempt / self.0.restarts);
            let logits = tch::no_grad(|| case.model.logits(&case.x));
            let order = without(&logits, &case.y).argsort(1, true);
            let target = order.select(1, rank);
            let loss = |logits: &Tensor| Loss::Dlr.towards(logits, &case.y, &target);
            once(case, &loss, self.0.steps, &case.keyed("apgd-t", attempt))
        })
    }

    fn check(&self, classes: i64) -> Result<()> {
        Loss::Dlr.check_towards(classes)
    }
}

fn once(case: &Case, loss: &dyn Fn(&Tensor) -> Tensor, steps: u32, keys: &[u64]) -> Seen {
    let watch = Watch::new(case, loss);
    let start = start(&case.x, &case.ball, keys);
    let _ = climb(&|x| watch.look(x), &case.x, &start, &case.ball, steps);
    watch.seen()
}
