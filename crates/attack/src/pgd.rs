//! Projected gradient ascent in a ball (Madry et al. 2018) on any objective of images; FGSM
//! (Goodfellow et al. 2015) is its one step of the whole radius without a random start.

use crate::{
    Ball, Best, Norm, Optimizer, Sign, Step, Walk,
    function::{Function, Untracked, maximise},
    optim::named,
};
use anyhow::{Result, bail, ensure};
use models::noise;
use serde::Deserialize;
use tch::Tensor;
use toml::{Table, Value};

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

/// What other libraries call its settings.
pub(crate) const ALIASES: &[(&str, &str)] = &[("alpha", "step_size")];

fn linf() -> Norm {
    Norm::Linf
}

fn yes() -> bool {
    true
}

fn one() -> u32 {
    1
}

pub(crate) fn some_fraction<'de, D: serde::Deserializer<'de>>(
    from: D,
) -> Result<Option<f64>, D::Error> {
    registry::fraction(from).map(Some)
}

impl Pgd {
    /// From a table of settings. Errors: unknown keys, values out of range.
    pub fn parse(table: Table) -> Result<Self> {
        let pgd: Pgd = registry::options(registry::own_keys(table, ALIASES)?)?;
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

    /// Images inside the ball around `x` where `function` is large, `[N, C, H, W]`; one key per
    /// image seeds its starts. There is no host synchronisation.
    pub fn climb(&self, function: &Function, x: &Tensor, keys: &[u64]) -> Tensor {
        self.climb_by(&Sign::default(), function, x, keys)
    }

    /// The same by another optimiser than [`Sign`]. A lone attempt that keeps its last iterate has
    /// no use for the value there and saves the pass.
    pub fn climb_by(
        &self,
        optimizer: &dyn Optimizer,
        function: &Function,
        x: &Tensor,
        keys: &[u64],
    ) -> Tensor {
        let keys = |restart| restarted(keys, restart);
        if self.restarts == 1 && !self.best {
            return optimizer.climb(&Untracked(function), &self.walk(x, &keys(0)));
        }
        let once = |restart| {
            let keys = keys(restart);
            let walk = self.walk(x, &keys);
            if self.best {
                return maximise(optimizer, function, &walk);
            }
            let last = optimizer.climb(&Untracked(function), &walk);
            Best::by_value(&last, &function(&last).0)
        };
        let mut best = once(0);
        (1..self.restarts).for_each(|restart| best.keep(&once(restart)));
        best.images
    }

    /// One attempt's walk around `x`; one key per image seeds its start.
    pub(crate) fn walk<'a>(&self, x: &'a Tensor, keys: &'a [u64]) -> Walk<'a> {
        let ball = Ball { norm: self.norm, eps: self.eps };
        let start = if self.random_start { ball.start(x, keys) } else { x.shallow_clone() };
        let step = self.step_size.unwrap_or(2.5 * self.eps / f64::from(self.steps));
        let step = Step::Same(step);
        Walk { x, ball, start, start_value: None, steps: self.steps, step, keys }
    }
}

/// A key per image for attempt number `restart`.
pub(crate) fn restarted(keys: &[u64], restart: u32) -> Vec<u64> {
    keys.iter().map(|&key| noise::key(key, u64::from(restart), 0)).collect()
}

/// Settings of [`Pgd`] and, under `rule`, who makes its steps: `NAME` or `NAME:key=value`, else
/// [`Sign`]. Errors: as of [`Pgd::parse`]; a rule without gradients, which each value brings here.
pub fn ascent(mut table: Table) -> Result<(Pgd, Box<dyn Optimizer>)> {
    let optimizer = match table.remove("rule") {
        Some(Value::String(text)) => named(&text)?,
        Some(other) => bail!("`rule` is {other}, not a string such as `adam`"),
        None => Box::new(Sign::default()),
    };
    ensure!(optimizer.uses_gradient(), "`rule` must follow gradients, such as `adam` or `sign`");
    Ok((Pgd::parse(table)?, optimizer))
}
