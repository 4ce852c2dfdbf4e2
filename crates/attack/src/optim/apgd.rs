//! Auto-PGD (Croce & Hein 2020, algorithm 1): gradient ascent with momentum whose step halves, per
//! image, where progress stalls. As in AutoAttack's code the intervals between checkpoints are
//! whole steps.

use super::walk::{Optimizer, Walk};
use crate::Objective;
use registry::{Entry, described};
use serde::{Deserialize, Serialize};
use tch::{Kind, Tensor};

/// In the list of optimisers.
pub(super) const ENTRY: Entry<dyn Optimizer> = Entry {
    name: "apgd",
    about: "Auto-PGD: momentum and steps that halve, per image, where the surrogate's loss stalls \
            (Croce & Hein 2020); --step is not used",
    options: described::<AutoPgd>(&[]),
    build: |t| Ok(Box::new(registry::options::<AutoPgd>(t)?)),
};

/// Share of the old direction that is replaced in a step.
const ALPHA: f64 = 0.75;
/// An interval in which no more than this share of the steps rises is a stall.
const RHO: f64 = 0.75;

/// Auto-PGD; ends at the images with the largest value.
#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct AutoPgd {}

impl Optimizer for AutoPgd {
    /// Asks for `walk.steps` + 1 gradients.
    fn climb(&self, objective: &dyn Objective, walk: &Walk) -> Tensor {
        let mut run = Run::new(objective, walk);
        let share = |part: f64| ((part * f64::from(walk.steps)) as u32).max(1);
        let (mut interval, shortest, shorter) = (share(0.22), share(0.06), share(0.03));
        let mut since = 0;
        for i in 0..walk.steps {
            run.step(i);
            since += 1;
            if since == interval {
                run.check(interval);
                interval = interval.saturating_sub(shorter).max(shortest);
                since = 0;
            }
        }
        run.best.at
    }
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
struct Run<'a> {
    objective: &'a dyn Objective,
    walk: &'a Walk<'a>,
    now: Point,
    before: Tensor, // the images one step ago
    best: Point,
    step: Tensor,          // [N, 1, 1, 1]
    rises: Tensor,         // steps up since the last checkpoint, [N]
    best_before: Tensor,   // best value at the last checkpoint, [N]
    halved_before: Tensor, // whether the step was halved there, bool [N]
}

impl<'a> Run<'a> {
    fn new(objective: &'a dyn Objective, walk: &'a Walk) -> Self {
        let (value, g) = objective.value_and_grad(&walk.start, 0);
        let now = Point { at: walk.start.shallow_clone(), value, g };
        Run {
            objective,
            walk,
            best: now.copy(),
            before: walk.start.shallow_clone(),
            step: now.value.ones_like().view([-1, 1, 1, 1]) * (2. * walk.ball.eps),
            rises: now.value.zeros_like(),
            best_before: now.value.shallow_clone(),
            halved_before: now.value.ones_like().to_kind(Kind::Bool),
            now,
        }
    }

    /// Step number `i`, the first without momentum.
    fn step(&mut self, i: u32) {
        let Walk { x, ball, .. } = self.walk;
        let (at, alpha) = (&self.now.at, if i == 0 { 1. } else { ALPHA });
        let ahead = ball.project(x, &(at + ball.ascent(&self.now.g) * &self.step));
        let momentum = (at - &self.before) * (1. - alpha);
        let next = ball.project(x, &(at + (ahead - at) * alpha + momentum));
        let (value, g) = self.objective.value_and_grad(&next, i);
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
