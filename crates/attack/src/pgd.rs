//! Projected gradient ascent in a ball (Madry et al. 2018) on any objective of images; FGSM
//! (Goodfellow et al. 2015) is its one step of the whole radius without a random start.

use crate::{
    Ball, Loss, Norm,
    prediction::{Adversary, Case, Seen, Watch, attempts},
};
use anyhow::{Result, ensure};
use models::{noise, registry};
use serde::Deserialize;
use tch::{Kind, Tensor};
use toml::Table;

/// What an attack climbs: images `[N, C, H, W]` -> values `[N]` and the gradient of their sum.
pub type Objective<'a> = dyn Fn(&Tensor) -> (Tensor, Tensor) + 'a;

/// Settings of an attack; as a table `{ norm = "linf", eps = "8/255", steps = 7, … }`.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pgd {
    /// Norm of the ball.
    #[serde(default = "linf")]
    pub norm: Norm,
    /// Radius of the ball in units of [0, 1] pixels.
    #[serde(deserialize_with = "registry::fraction")]
    pub eps: f64,
    /// Steps.
    pub steps: u32,
    /// Length of a step in the ball's norm; 2.5 eps / steps where nothing is said.
    #[serde(default, deserialize_with = "some_fraction")]
    pub step_size: Option<f64>,
    /// Start at a random place of the ball instead of its centre.
    #[serde(default = "yes")]
    pub random_start: bool,
    /// Attempts from different starts; the best of each image counts.
    #[serde(default = "one")]
    pub restarts: u32,
    /// Keep the iterate with the largest value, which costs one more pass; else the last.
    #[serde(default)]
    pub best: bool,
}

fn linf() -> Norm {
    Norm::Linf
}

fn yes() -> bool {
    true
}

fn one() -> u32 {
    1
}

fn some_fraction<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Option<f64>, D::Error> {
    registry::fraction(from).map(Some)
}

impl Pgd {
    /// From a table of settings. Errors: unknown keys, values out of range.
    pub fn parse(table: Table) -> Result<Self> {
        let pgd: Pgd = registry::options(table)?;
        pgd.check()?;
        Ok(pgd)
    }

    /// One step of the whole radius from the centre of `ball`.
    pub fn fgsm(ball: &Ball) -> Self {
        let (norm, eps) = (ball.norm, ball.eps);
        let (steps, restarts) = (1, 1);
        Pgd { norm, eps, steps, step_size: Some(eps), random_start: false, restarts, best: false }
    }

    /// Errors: settings out of range.
    pub fn check(&self) -> Result<()> {
        Ball::new(self.norm, self.eps)?;
        let step = self.step_size.is_none_or(|s| s.is_finite() && s > 0.);
        ensure!(step, "`step_size` must be positive");
        ensure!(self.steps > 0, "`steps` is 0; it must be positive");
        ensure!(self.restarts > 0, "`restarts` is 0; it must be positive");
        ensure!(
            self.restarts == 1 || self.random_start,
            "{} restarts without `random_start` are all the same",
            self.restarts
        );
        Ok(())
    }

    /// The same attack in a ball `scale` times as large, with steps as much shorter.
    pub fn scaled(self, scale: f64) -> Self {
        let step_size = self.step_size.map(|s| s * scale);
        Pgd { eps: self.eps * scale, step_size, ..self }
    }

    /// Images inside the ball around `x` where `objective` is large, `[N, C, H, W]`; one key per
    /// image seeds its starts. There is no host synchronisation.
    pub fn climb(&self, objective: &Objective, x: &Tensor, keys: &[u64]) -> Tensor {
        let (mut best, mut value) = self.once(objective, x, keys, 0);
        for restart in 1..self.restarts {
            let (images, values) = self.once(objective, x, keys, restart);
            keep(&mut best, &mut value, &images, &values);
        }
        best
    }

    /// One attempt: images and their values. A lone attempt that keeps its last iterate has no
    /// use for the value there and saves the pass: its values are those one step before.
    fn once(
        &self,
        objective: &Objective,
        x: &Tensor,
        keys: &[u64],
        restart: u32,
    ) -> (Tensor, Tensor) {
        let ball = Ball { norm: self.norm, eps: self.eps };
        let step = self.step_size.unwrap_or(2.5 * self.eps / f64::from(self.steps));
        let mut at = match self.random_start {
            true => ball.start(x, &keyed(keys, restart)),
            false => x.shallow_clone(),
        };
        let (mut value, mut g) = objective(&at);
        let mut best = (at.shallow_clone(), value.shallow_clone());
        for i in 1..=self.steps {
            at = ball.project(x, &(&at + ball.ascent(&g) * step));
            let needed = i < self.steps || self.best || self.restarts > 1;
            if needed {
                (value, g) = objective(&at);
            }
            if self.best {
                keep(&mut best.0, &mut best.1, &at, &value);
            }
        }
        if self.best { best } else { (at, value) }
    }
}

/// A key per image for attempt number `restart`.
fn keyed(keys: &[u64], restart: u32) -> Vec<u64> {
    keys.iter().map(|&key| noise::key(key, u64::from(restart), 0)).collect()
}

/// Takes the images whose value is larger than the best so far.
fn keep(best: &mut Tensor, value: &mut Tensor, images: &Tensor, values: &Tensor) {
    let better = values.greater_tensor(value);
    *best = images.where_self(&better.view([-1, 1, 1, 1]), best);
    *value = values.where_self(&better, value);
}

/// One step of the cross-entropy.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Fgsm {}

impl Adversary for Fgsm {
    fn attack(&self, case: &Case) -> Tensor {
        attempts(case, 1, |_, case| {
            let loss = |logits: &Tensor| Loss::Ce.away(logits, &case.y);
            let watch = Watch::new(case, &loss);
            let climbed = Pgd::fgsm(&case.ball).climb(&|x| watch.look(x), &case.x, &case.keys);
            watch.glance(&climbed);
            watch.seen()
        })
    }

    fn check(&self, classes: i64) -> Result<()> {
        Loss::Ce.check_away(classes)
    }
}

/// Settings of `pgd`; the ball comes with the images.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Projected {
    steps: u32,
    #[serde(deserialize_with = "some_fraction")]
    step_size: Option<f64>,
    restarts: u32,
    random_start: bool,
    loss: Loss,
    targeted: bool,
    target: Option<i64>,
}

impl Default for Projected {
    fn default() -> Self {
        Projected {
            steps: 20,
            step_size: None,
            restarts: 1,
            random_start: true,
            loss: Loss::Ce,
            targeted: false,
            target: None,
        }
    }
}

impl Projected {
    pub(crate) fn parse(table: Table) -> Result<Self> {
        let options: Projected = registry::options(table)?;
        options.within(&Ball { norm: Norm::Linf, eps: 1. }).check()?;
        let known = options.target.is_none_or(|class| class >= 0);
        ensure!(known, "`target` is negative; classes count from 0");
        Ok(options)
    }

    fn within(&self, ball: &Ball) -> Pgd {
        Pgd {
            norm: ball.norm,
            eps: ball.eps,
            steps: self.steps,
            step_size: self.step_size,
            random_start: self.random_start,
            restarts: self.restarts,
            best: false,
        }
    }

    fn is_targeted(&self) -> bool {
        self.targeted || self.target.is_some()
    }

    /// The classes aimed at, i64 `[N]`: the one asked for, or a random one that is not the label.
    fn aims(&self, case: &Case, attempt: u32) -> Tensor {
        if let Some(class) = self.target {
            return case.y.full_like(class);
        }
        let classes = case.classes();
        let u = noise::uniform(&case.keyed("target", attempt), &[1], case.x.device());
        let other = (u.squeeze_dim(1) * (classes - 1)).floor().to_kind(Kind::Int64);
        &other + other.greater_equal_tensor(&case.y).to_kind(Kind::Int64)
    }

    fn once(&self, case: &Case, attempt: u32) -> Seen {
        let aims = self.is_targeted().then(|| self.aims(case, attempt));
        let loss = |logits: &Tensor| match &aims {
            Some(target) => self.loss.towards(logits, &case.y, target),
            None => self.loss.away(logits, &case.y),
        };
        let watch = Watch::new(case, &loss);
        let pgd = Pgd { restarts: 1, ..self.within(&case.ball) };
        let keys = case.keyed("pgd", attempt);
        watch.glance(&pgd.climb(&|x| watch.look(x), &case.x, &keys));
        let mut seen = watch.seen();
        if let Some(target) = &aims {
            // towards its own class there is nothing to win: such an image stays as it is
            let own = target.eq_tensor(&case.y).view([-1, 1, 1, 1]);
            seen.images = case.x.where_self(&own, &seen.images);
        }
        seen
    }
}

impl Adversary for Projected {
    fn attack(&self, case: &Case) -> Tensor {
        attempts(case, self.restarts, |attempt, case| self.once(case, attempt))
    }

    fn check(&self, classes: i64) -> Result<()> {
        let last = classes - 1;
        if let Some(class) = self.target {
            ensure!(class <= last, "`target` is {class}; the network's classes are 0 to {last}");
        }
        match self.is_targeted() {
            true => self.loss.check_towards(classes),
            false => self.loss.check_away(classes),
        }
    }
}
