//! What is asked in place of a network: the same weights with softplus for ReLU (Dombrowski et al. 2019;
//! Wang et al. 2020, 3.1), or the mean of its outputs over noise (Tan & Tian 2023, Theorem 4.3;
//! Yeh et al. 2019, A.3).

use crate::{Activation, Ops, noise, ops::softening};
use anyhow::{Result, ensure};
use serde::{Deserialize, Serialize};
use tch::{Kind, Tensor};
use toml::Table;

/// Neither leaves the network as it is; both are the mean of the softplus network.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct StandIn {
    /// Sharpness of the softplus in place of every max(·, 0); above 0.
    pub softplus: Option<f64>,
    /// Noise that outputs are averaged over.
    pub smoothing: Option<Smoothing>,
}

/// f_σ(x) = E f(x + σz), z ~ N(0, I), over draws that are the same for every image.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Smoothing {
    /// σ, in [0, 1] pixels, 0 or more.
    #[serde(deserialize_with = "registry::fraction")]
    pub sigma: f64,
    /// Draws, 1 or more.
    pub samples: u64,
    /// What is averaged.
    pub average: Average,
    /// Of the draws.
    pub seed: u64,
}

/// What of a network is averaged over noise.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Average {
    /// The logits.
    #[default]
    Logits,
    /// The probabilities; logits are their logarithms.
    Probabilities,
}

impl Default for Smoothing {
    fn default() -> Self {
        Smoothing { sigma: 0.1, samples: 16, average: Average::Logits, seed: 0 }
    }
}

impl Smoothing {
    /// From options such as `sigma=0.1,samples=16`. Errors: others, or numbers out of range.
    pub fn parse(text: &str) -> Result<Self> {
        let mut table: Table = registry::parse(&format!("smoothed:{text}"))?;
        table.remove("name");
        let smoothing: Smoothing = registry::options(table)?;
        let Smoothing { sigma, samples, .. } = smoothing;
        ensure!(sigma >= 0. && sigma.is_finite(), "`sigma` is {sigma}; it must not be negative");
        ensure!(samples > 0, "`samples` is 0; it must be positive");
        Ok(smoothing)
    }

    /// Copy number `sample` of the images.
    fn copy(&self, x: &Tensor, sample: u64) -> Tensor {
        let key = noise::key(noise::name_id("smoothed-model"), self.seed, sample);
        x + noise::normal(&[key], &x.size()[1..], x.device()).to_kind(x.kind()) * self.sigma
    }

    fn mean(&self, x: &Tensor, pass: impl Fn(&Tensor) -> Tensor) -> Tensor {
        let all = (0..self.samples).map(|sample| pass(&self.copy(x, sample)));
        match self.average {
            Average::Logits => {
                let sum = all.reduce(|sum, one| sum + one).expect("one draw at least");
                sum / self.samples as f64
            }
            Average::Probabilities => {
                let logs: Vec<Tensor> = all.map(|t| t.log_softmax(1, None::<Kind>)).collect();
                let sum = Tensor::stack(&logs, 0).logsumexp([0i64].as_slice(), false);
                sum - (self.samples as f64).ln()
            }
        }
    }
}

impl StandIn {
    /// Passes of the network for one image.
    pub fn copies(&self) -> u64 {
        self.smoothing.as_ref().map_or(1, |smoothing| smoothing.samples)
    }

    /// The nonlinearity that stands for `activation`.
    pub(super) fn activation(&self, activation: Activation) -> Activation {
        self.softplus.map_or(activation.clone(), |beta| activation.softened(beta))
    }

    /// What `pass` gives in place of the network.
    pub(super) fn pass(
        &self,
        x: &Tensor,
        ops: &dyn Ops,
        pass: impl Fn(&Tensor, &dyn Ops) -> Tensor,
    ) -> Tensor {
        let one = |x: &Tensor| match self.softplus {
            Some(beta) => pass(x, &softening(ops, beta)),
            None => pass(x, ops),
        };
        match &self.smoothing {
            Some(smoothing) => smoothing.mean(x, one),
            None => one(x),
        }
    }
}
