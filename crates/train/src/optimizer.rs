//! SGD and AdamW as PyTorch defines them, with a state that can be saved and restored; the
//! bindings' own optimisers hide theirs.

use anyhow::{Result, ensure};
use registry::Entry;
use std::collections::BTreeMap;
use tch::{Kind, Tensor};
use toml::Table;

mod adamw;
mod sgd;

/// One weight, by name.
pub type Named = (String, Tensor);

/// Moves weights along their gradients.
///
/// ```
/// use tch::{Device, Kind, Tensor};
///
/// let table = "name = \"sgd\"\nlearning_rate = 0.1".parse()?;
/// let mut sgd = train::optimizer::optimizer(&table)?;
/// let w = Tensor::ones([1], (Kind::Float, Device::Cpu)).set_requires_grad(true);
/// (w.square() * 2.).sum(Kind::Float).backward();
/// sgd.step(&[("w".into(), w.shallow_clone())], sgd.learning_rate());
/// assert!((w.double_value(&[0]) - 0.6).abs() < 1e-6);
/// # Ok::<(), anyhow::Error>(())
/// ```
pub trait Optimizer {
    /// The learning rate that schedules scale.
    fn learning_rate(&self) -> f64;
    /// One step at learning rate `lr` for every weight that has a gradient; gradients are cleared.
    fn step(&mut self, weights: &[Named], lr: f64);
    /// Everything a resumed run needs, by name.
    fn state(&self) -> BTreeMap<String, Tensor>;
    /// Takes a saved state for these weights.
    fn restore(&mut self, state: &BTreeMap<String, Tensor>) -> Result<()>;
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

/// Scales all gradients so that their joint ℓ2 norm is at most `most`; no host synchronisation.
pub fn clip_gradients(weights: &[Named], most: f64) {
    let grads: Vec<Tensor> =
        weights.iter().map(|(_, w)| w.grad()).filter(Tensor::defined).collect();
    let squares: Vec<Tensor> = grads.iter().map(|g| g.square().sum(Kind::Float)).collect();
    if squares.is_empty() {
        return;
    }
    let norm = Tensor::stack(&squares, 0).sum(Kind::Float).sqrt();
    let scale = ((norm + 1e-6).reciprocal() * most).clamp_max(1.);
    for mut g in grads {
        let _ = g.g_mul_(&scale);
    }
}

fn prefixed<'a>(
    prefix: &'a str,
    of: &'a BTreeMap<String, Tensor>,
) -> impl Iterator<Item = (String, Tensor)> + 'a {
    of.iter().map(move |(name, t)| (format!("{prefix}/{name}"), t.shallow_clone()))
}

fn unprefixed(prefix: &str, of: &BTreeMap<String, Tensor>) -> BTreeMap<String, Tensor> {
    let part = |name: &String| name.strip_prefix(prefix)?.strip_prefix('/').map(str::to_owned);
    of.iter().filter_map(|(name, t)| Some((part(name)?, t.shallow_clone()))).collect()
}
