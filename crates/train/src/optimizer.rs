//! SGD and AdamW as PyTorch defines them, with a state that can be saved and restored; the
//! bindings' own optimisers hide theirs.

use anyhow::{Result, ensure};
use models::params::flat::{Flat, Gradients};
use registry::Entry;
use std::{collections::BTreeMap, ops::Range};
use tch::Tensor;
use toml::Table;

mod adamw;
mod sgd;

/// Moves weights along their gradients.
///
/// ```
/// use models::{Builder, Init, params::flat::Flat};
/// use tch::{Device, Kind, Tensor};
///
/// let builder = Builder::new(0, Device::Cpu);
/// let w = builder.weight("w", &[1], Init::Const(1.));
/// let flat = Flat::new(&builder.params());
/// let table = "name = \"sgd\"\nlearning_rate = 0.1".parse()?;
/// let mut sgd = train::optimizer::optimizer(&table)?;
/// let loss = (w.square() * 2.).sum(Kind::Float);
/// let gradients = flat.gradients(&Tensor::run_backward(&[loss], &[&w], false, false));
/// sgd.step(&gradients, sgd.learning_rate());
/// assert!((w.double_value(&[0]) - 0.6).abs() < 1e-6);
/// # Ok::<(), anyhow::Error>(())
/// ```
pub trait Optimizer {
    /// The learning rate that schedules scale.
    fn learning_rate(&self) -> f64;
    /// One step at learning rate `lr` for every weight that has a gradient.
    fn step(&mut self, gradients: &Gradients, lr: f64);
    /// Everything a resumed run needs, by name, of weights stored in `flat`.
    fn state(&self, flat: &Flat) -> BTreeMap<String, Tensor>;
    /// Takes a saved state for these weights.
    fn restore(&mut self, flat: &Flat, state: &BTreeMap<String, Tensor>) -> Result<()>;
}

/// Every optimiser, sorted by name.
pub const OPTIMIZERS: &[Entry<dyn Optimizer>] = &[adamw::ENTRY, sgd::ENTRY];

/// The optimiser that `table` asks for.
pub fn optimizer(table: &Table) -> Result<Box<dyn Optimizer>> {
    registry::build("optimizer", OPTIMIZERS, table.clone())
}

fn check_rate(rate: f64) -> Result<()> {
    ensure!(rate > 0. && rate.is_finite(), "`learning_rate` is {rate}; it must be positive");
    Ok(())
}

fn check_share(name: &str, share: f64) -> Result<()> {
    ensure!((0. ..1.).contains(&share), "`{name}`: {share} is not in [0, 1)");
    Ok(())
}

fn check_decay(decay: f64) -> Result<()> {
    ensure!(decay >= 0. && decay.is_finite(), "`weight_decay` is {decay}; it is not negative");
    Ok(())
}

/// A number for every entry of the weights, kept from step to step: 0 until its weight has had a
/// gradient.
#[derive(Debug, Default)]
struct Kept {
    /// Laid out as the weights, `[n]`; none before the first step.
    values: Option<Tensor>,
    /// Which weights have had a gradient.
    seen: Vec<bool>,
}

impl Kept {
    /// The numbers of a run of entries, in place.
    fn run(&mut self, gradients: &Gradients, run: &Range<i64>) -> Tensor {
        self.seen.resize(gradients.given.len(), false);
        self.seen.iter_mut().zip(&gradients.given).for_each(|(seen, given)| *seen |= given);
        let values = self.values.get_or_insert_with(|| gradients.weights.zeros_like());
        narrow(values, run)
    }

    /// By weight, those that have had a gradient.
    fn state(&self, prefix: &str, flat: &Flat) -> Vec<(String, Tensor)> {
        let Some(values) = &self.values else { return vec![] };
        let named = flat.split(values).into_iter().zip(&self.seen).filter(|(_, seen)| **seen);
        named.map(|((name, t), _)| (format!("{prefix}/{name}"), t)).collect()
    }

    /// Takes what [`Kept::state`] gave. Errors: not of these weights.
    fn restore(
        &mut self,
        prefix: &str,
        flat: &Flat,
        state: &BTreeMap<String, Tensor>,
    ) -> Result<()> {
        let values = flat.values().narrow(0, 0, flat.trained()).zeros_like();
        self.seen.clear();
        for (name, mut own) in flat.split(&values) {
            let saved = state.get(&format!("{prefix}/{name}"));
            self.seen.push(saved.is_some());
            if let Some(saved) = saved {
                let size = own.size();
                ensure!(saved.size() == size, "`{prefix}` of `{name}` is not {size:?}");
                own.copy_(saved);
            }
        }
        let saved = state.keys().filter(|name| name.starts_with(&format!("{prefix}/"))).count();
        let taken = self.seen.iter().filter(|seen| **seen).count();
        ensure!(saved == taken, "the state is of another network");
        self.values = (saved > 0).then_some(values);
        Ok(())
    }
}

/// A run of a buffer's entries, in place.
fn narrow(buffer: &Tensor, run: &Range<i64>) -> Tensor {
    buffer.narrow(0, run.start, run.end - run.start)
}
