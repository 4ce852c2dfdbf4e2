//! A moving average of all tensors of a network (Polyak averaging).

use models::Params;
use std::collections::BTreeMap;
use tch::Tensor;

/// The average so far, by tensor name.
#[derive(Debug)]
pub struct Ema {
    decay: f64,
    average: BTreeMap<String, Tensor>,
}

impl Ema {
    /// Starts at the values of `params`.
    pub fn new(decay: f64, params: &Params) -> Self {
        let average = params.tensors().into_iter().map(|(name, t)| (name, t.copy())).collect();
        Ema { decay, average }
    }

    /// average ← decay · average + (1 − decay) · now.
    pub fn update(&mut self, params: &Params) {
        tch::no_grad(|| {
            for (name, now) in params.tensors() {
                let average = self.average.get_mut(&name).expect("the same network");
                // Masks hold -inf, of which there is no average.
                *average = average.lerp(&now, 1. - self.decay).where_self(&now.isfinite(), &now);
            }
        });
    }

    /// The average, by tensor name.
    pub fn average(&self) -> &BTreeMap<String, Tensor> {
        &self.average
    }

    /// Takes a saved average.
    pub fn restore(&mut self, average: BTreeMap<String, Tensor>) {
        self.average = average;
    }
}
