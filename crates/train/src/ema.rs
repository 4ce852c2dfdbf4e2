//! A moving average of all tensors of a network (Polyak averaging).

use anyhow::{Result, ensure};
use models::{Params, params::flat::Flat};
use std::collections::BTreeMap;
use tch::Tensor;

/// The average so far.
#[derive(Debug)]
pub struct Ema {
    decay: f64,
    /// Of what training moves, by name: views of one buffer laid out as the network's own.
    moving: BTreeMap<String, Tensor>,
    buffer: Tensor,
    /// What is only stored: masks hold -inf, of which there is no average.
    fixed: BTreeMap<String, Tensor>,
}

impl Ema {
    /// Starts at the values of `params`, which are stored in `flat`.
    pub fn new(decay: f64, params: &Params, flat: &Flat) -> Self {
        let buffer = flat.values().copy();
        let moving: BTreeMap<String, Tensor> = flat.split(&buffer).into_iter().collect();
        let mut fixed = params.tensors();
        fixed.retain(|name, _| !moving.contains_key(name));
        Ema { decay, moving, buffer, fixed }
    }

    /// average ← decay · average + (1 − decay) · now.
    pub fn update(&mut self, flat: &Flat) {
        let _ = tch::no_grad(|| self.buffer.lerp_(flat.values(), 1. - self.decay));
    }

    /// The average, by tensor name; sharing memory.
    pub fn average(&self) -> BTreeMap<String, Tensor> {
        let all = self.moving.iter().chain(&self.fixed);
        all.map(|(name, t)| (name.clone(), t.shallow_clone())).collect()
    }

    /// Takes a saved average. Errors: not of this network.
    pub fn restore(&mut self, average: &BTreeMap<String, Tensor>) -> Result<()> {
        for (name, own) in &mut self.moving {
            let same = average.get(name).filter(|t| t.size() == own.size());
            ensure!(same.is_some(), "the average has no `{name}` of {:?}", own.size());
            own.copy_(&average[name]);
        }
        Ok(())
    }
}
