//! Learning-rate schedules as pure functions of progress, so that they have no state to save.

use anyhow::{Result, ensure};
use registry::{Entry, described};
use serde::{Deserialize, Serialize};
use toml::Table;

/// The factor on the learning rate, at `at` epochs of `of` epochs.
pub trait Schedule {
    /// In [0, 1]; `at` is fractional and below `of`.
    fn factor(&self, at: f64, of: f64) -> f64;
}

/// Every schedule, sorted by name.
pub const SCHEDULES: &[Entry<dyn Schedule>] = &[CONSTANT, COSINE, CYCLES, ONE_CYCLE, STEP];

/// The schedule that `table` asks for.
pub fn schedule(table: &Table) -> Result<Box<dyn Schedule>> {
    registry::build("schedule", SCHEDULES, table.clone())
}

fn check_warmup(epochs: f64) -> Result<()> {
    ensure!(epochs >= 0. && epochs.is_finite(), "`warmup` is {epochs} epochs; give 0 or more");
    Ok(())
}

/// Linear rise from 0 over the first `warmup` epochs.
fn warm(at: f64, warmup: f64) -> f64 {
    if at < warmup { at / warmup } else { 1. }
}

/// In the list of schedules.
const CONSTANT: Entry<dyn Schedule> = Entry {
    name: "constant",
    about: "the learning rate stays",
    options: described::<Constant>(&[("warmup", "epochs of a linear rise from 0")]),
    build: |t| {
        let constant: Constant = registry::options(t)?;
        check_warmup(constant.warmup)?;
        Ok(Box::new(constant))
    },
};

#[derive(Deserialize, Serialize)]
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

/// In the list of schedules.
const COSINE: Entry<dyn Schedule> = Entry {
    name: "cosine",
    about: "half a cosine down to 0 (Loshchilov & Hutter 2017)",
    options: described::<Cosine>(&[("warmup", "epochs of a linear rise from 0")]),
    build: |t| {
        let cosine: Cosine = registry::options(t)?;
        check_warmup(cosine.warmup)?;
        Ok(Box::new(cosine))
    },
};

#[derive(Deserialize, Serialize)]
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

/// In the list of schedules.
const ONE_CYCLE: Entry<dyn Schedule> = Entry {
    name: "one-cycle",
    about: "linear up, then linear down to 0 (Smith 2018)",
    options: described::<OneCycle>(&[(
        "peak",
        "where the top is, as a share of the run, in (0, 1)",
    )]),
    build: |t| {
        let cycle: OneCycle = registry::options(t)?;
        check_peak(cycle.peak)?;
        Ok(Box::new(cycle))
    },
};

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct OneCycle {
    #[serde(default = "quarter")]
    peak: f64,
}

fn quarter() -> f64 {
    0.25
}

fn check_peak(peak: f64) -> Result<()> {
    ensure!(peak > 0. && peak < 1., "`peak` is {peak}, not in (0, 1)");
    Ok(())
}

/// Up to 1 at `peak`, then down to 0, for `done` in [0, 1].
fn cycle(done: f64, peak: f64) -> f64 {
    if done < peak { done / peak } else { (1. - done) / (1. - peak) }
}

impl Schedule for OneCycle {
    fn factor(&self, at: f64, of: f64) -> f64 {
        cycle(at / of, self.peak)
    }
}

/// In the list of schedules.
const CYCLES: Entry<dyn Schedule> = Entry {
    name: "cycles",
    about: "one-cycle several times over, with warm restarts (Loshchilov & Hutter 2017)",
    options: described::<Cycles>(&[
        ("lengths", "of the cycles, relative to each other"),
        ("heights", "factor at the top of each cycle, in [0, 1]"),
        ("peak", "where the top is, as a share of each cycle, in (0, 1)"),
    ])
    .needing(&[("lengths", "[3, 2]"), ("heights", "[1, 0.5]")]),
    build: |t| {
        let cycles: Cycles = registry::options(t)?;
        cycles.check()?;
        Ok(Box::new(cycles))
    },
};

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Cycles {
    lengths: Vec<f64>,
    heights: Vec<f64>,
    #[serde(default = "quarter")]
    peak: f64,
}

impl Cycles {
    fn check(&self) -> Result<()> {
        let (lengths, heights) = (&self.lengths, &self.heights);
        ensure!(
            !lengths.is_empty() && lengths.len() == heights.len(),
            "{} `lengths`, {} `heights`; give one of each per cycle",
            lengths.len(),
            heights.len()
        );
        ensure!(lengths.iter().all(|l| *l > 0. && l.is_finite()), "`lengths` must be positive");
        ensure!(heights.iter().all(|h| (0. ..=1.).contains(h)), "`heights` must be in [0, 1]");
        check_peak(self.peak)
    }
}

impl Schedule for Cycles {
    fn factor(&self, at: f64, of: f64) -> f64 {
        let total: f64 = self.lengths.iter().sum();
        let mut start = 0.;
        for (length, height) in self.lengths.iter().zip(&self.heights) {
            let length = of * length / total;
            if at < start + length {
                return height * cycle((at - start) / length, self.peak);
            }
            start += length;
        }
        0.
    }
}

/// In the list of schedules.
const STEP: Entry<dyn Schedule> = Entry {
    name: "step",
    about: "times gamma every so many epochs",
    options: described::<Step>(&[
        ("every", "epochs from a drop to the next, above 0"),
        ("gamma", "factor of a drop, in [0, 1]"),
        ("warmup", "epochs of a linear rise from 0"),
    ]),
    build: |t| {
        let step: Step = registry::options(t)?;
        check_warmup(step.warmup)?;
        ensure!(step.every > 0., "`every` is {}; it must be positive", step.every);
        let gamma = step.gamma;
        ensure!((0. ..=1.).contains(&gamma), "`gamma` is {gamma}, not in [0, 1]");
        Ok(Box::new(step))
    },
};

#[derive(Deserialize, Serialize)]
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
