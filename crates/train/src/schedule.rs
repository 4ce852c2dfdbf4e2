//! Learning-rate schedules as pure functions of progress, so that they have no state to save.

use anyhow::{Result, ensure};
use models::registry::{self, Entry};
use serde::Deserialize;
use toml::Table;

/// The factor on the learning rate, at `at` epochs of `of` epochs.
pub trait Schedule {
    /// In [0, 1]; `at` is fractional and below `of`.
    fn factor(&self, at: f64, of: f64) -> f64;
}

/// Every schedule, sorted by name. All take `warmup` (0): epochs of linear rise from 0.
pub const SCHEDULES: &[Entry<dyn Schedule>] = &[
    Entry {
        name: "constant",
        about: "no change; options: warmup (0 epochs)",
        build: |t| Ok(Box::new(registry::options::<Constant>(t)?)),
    },
    Entry {
        name: "cosine",
        about: "half a cosine down to 0 (Loshchilov & Hutter 2017); options: warmup (0 epochs)",
        build: |t| Ok(Box::new(registry::options::<Cosine>(t)?)),
    },
    Entry {
        name: "one-cycle",
        about: "linear up, then linear down to 0 (Smith 2018); options: peak (0.25 of the run)",
        build: |t| {
            let cycle: OneCycle = registry::options(t)?;
            ensure!(cycle.peak > 0. && cycle.peak < 1., "`peak` is {}, not in (0, 1)", cycle.peak);
            Ok(Box::new(cycle))
        },
    },
    Entry {
        name: "step",
        about: "times gamma (0.1) every `every` epochs (50); options: warmup (0 epochs)",
        build: |t| {
            let step: Step = registry::options(t)?;
            ensure!(step.every > 0., "`every` is {}; it must be positive", step.every);
            Ok(Box::new(step))
        },
    },
];

/// The schedule that `table` asks for.
pub fn schedule(table: &Table) -> Result<Box<dyn Schedule>> {
    registry::build("schedule", SCHEDULES, table.clone())
}

/// Linear rise from 0 over the first `warmup` epochs.
fn warm(at: f64, warmup: f64) -> f64 {
    if at < warmup { at / warmup } else { 1. }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Constant {
    #[serde(default)]
    warmup: f64,
}

impl Schedule for Constant {
    fn factor(&self, at: f64, _of: f64) -> f64 {
        warm(at, self.warmup)
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Cosine {
    #[serde(default)]
    warmup: f64,
}

impl Schedule for Cosine {
    fn factor(&self, at: f64, of: f64) -> f64 {
        let done = ((at - self.warmup) / (of - self.warmup).max(f64::MIN_POSITIVE)).clamp(0., 1.);
        warm(at, self.warmup) * 0.5 * (1. + (std::f64::consts::PI * done).cos())
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OneCycle {
    #[serde(default = "quarter")]
    peak: f64,
}

fn quarter() -> f64 {
    0.25
}

impl Schedule for OneCycle {
    fn factor(&self, at: f64, of: f64) -> f64 {
        let done = at / of;
        if done < self.peak { done / self.peak } else { (1. - done) / (1. - self.peak) }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Step {
    #[serde(default = "fifty")]
    every: f64,
    #[serde(default = "tenth")]
    gamma: f64,
    #[serde(default)]
    warmup: f64,
}

fn fifty() -> f64 {
    50.
}

fn tenth() -> f64 {
    0.1
}

impl Schedule for Step {
    fn factor(&self, at: f64, _of: f64) -> f64 {
        let drops = (at / self.every).floor().min(1e6) as i32;
        warm(at, self.warmup) * self.gamma.powi(drops)
    }
}
