//! Learning-rate schedules as pure functions of progress, so that they have no state to save.

use anyhow::{Result, ensure};
use registry::Entry;
use toml::Table;

mod constant;
mod cosine;
mod cycles;
mod one_cycle;
mod step;

/// The factor on the learning rate, at `at` epochs of `of` epochs.
///
/// ```
/// let table = "name = \"cosine\"\nwarmup = 1".parse()?;
/// let cosine = train::schedule::schedule(&table)?;
/// assert_eq!(cosine.factor(0.5, 10.), 0.5);
/// assert_eq!(cosine.factor(1., 10.), 1.);
/// # Ok::<(), anyhow::Error>(())
/// ```
pub trait Schedule {
    /// In [0, 1]; `at` is fractional and below `of`.
    fn factor(&self, at: f64, of: f64) -> f64;
}

/// Every schedule, sorted by name.
pub const SCHEDULES: &[Entry<dyn Schedule>] =
    &[constant::ENTRY, cosine::ENTRY, cycles::ENTRY, one_cycle::ENTRY, step::ENTRY];

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

/// The default of `peak`.
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
