//! SGD and AdamW as PyTorch defines them, with a state that can be saved and restored; the
//! bindings' own optimisers hide theirs.

use anyhow::{Context, Result, ensure};
use models::{
    adam::{Adam, Moments},
    registry::{self, Entry},
};
use serde::Deserialize;
use std::collections::BTreeMap;
use tch::{Kind, Tensor};
use toml::Table;

/// One weight, by name.
pub type Named = (String, Tensor);

/// Moves weights along their gradients.
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
pub const OPTIMIZERS: &[Entry<dyn Optimizer>] = &[
    Entry {
        name: "adamw",
        about: "Loshchilov & Hutter 2019; options: learning_rate, betas ([0.9, 0.999]), eps (1e-8), \
                weight_decay (0.01, decoupled)",
        build: |t| {
            let adamw: AdamW = registry::options(t)?;
            check_rate(adamw.learning_rate)?;
            adamw.betas.iter().try_for_each(|&beta| check_share("betas", beta))?;
            check_decay(adamw.weight_decay)?;
            ensure!(adamw.eps > 0., "`eps` is {}; it must be positive", adamw.eps);
            Ok(Box::new(adamw))
        },
    },
    Entry {
        name: "sgd",
        about: "options: learning_rate, momentum (0.9), nesterov (false), weight_decay (0)",
        build: |t| {
            let sgd: Sgd = registry::options(t)?;
            check_rate(sgd.learning_rate)?;
            check_share("momentum", sgd.momentum)?;
            check_decay(sgd.weight_decay)?;
            Ok(Box::new(sgd))
        },
    },
];

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

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Sgd {
    learning_rate: f64,
    #[serde(default = "default_momentum")]
    momentum: f64,
    #[serde(default)]
    nesterov: bool,
    #[serde(default)]
    weight_decay: f64,
    #[serde(skip)]
    velocity: BTreeMap<String, Tensor>,
}

fn default_momentum() -> f64 {
    0.9
}

impl Optimizer for Sgd {
    fn learning_rate(&self) -> f64 {
        self.learning_rate
    }

    fn step(&mut self, weights: &[Named], lr: f64) {
        tch::no_grad(|| {
            for (name, w) in weights {
                let mut w = w.shallow_clone();
                let grad = w.grad();
                if !grad.defined() {
                    continue;
                }
                let g = &grad + &w * self.weight_decay;
                // PyTorch starts the velocity at the first gradient.
                let v = match self.velocity.get(name) {
                    Some(v) => v * self.momentum + &g,
                    None => g.shallow_clone(),
                };
                let direction =
                    if self.nesterov { g + &v * self.momentum } else { v.shallow_clone() };
                let _ = w.g_sub_(&(direction * lr));
                w.zero_grad();
                self.velocity.insert(name.clone(), v);
            }
        });
    }

    fn state(&self) -> BTreeMap<String, Tensor> {
        prefixed("velocity", &self.velocity).collect()
    }

    fn restore(&mut self, state: &BTreeMap<String, Tensor>) -> Result<()> {
        self.velocity = unprefixed("velocity", state);
        ensure!(self.velocity.len() == state.len(), "the state is of another optimiser");
        Ok(())
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct AdamW {
    learning_rate: f64,
    #[serde(default = "default_betas")]
    betas: [f64; 2],
    #[serde(default = "default_eps")]
    eps: f64,
    #[serde(default = "default_decay")]
    weight_decay: f64,
    #[serde(skip)]
    steps: i64,
    #[serde(skip)]
    first: BTreeMap<String, Tensor>,
    #[serde(skip)]
    second: BTreeMap<String, Tensor>,
}

fn default_betas() -> [f64; 2] {
    [0.9, 0.999]
}

fn default_eps() -> f64 {
    1e-8
}

fn default_decay() -> f64 {
    0.01
}

impl Optimizer for AdamW {
    fn learning_rate(&self) -> f64 {
        self.learning_rate
    }

    fn step(&mut self, weights: &[Named], lr: f64) {
        self.steps += 1;
        let adam = Adam { betas: self.betas, eps: self.eps };
        tch::no_grad(|| {
            for (name, w) in weights {
                let mut w = w.shallow_clone();
                let g = w.grad();
                if !g.defined() {
                    continue;
                }
                let before = |of: &BTreeMap<String, Tensor>| {
                    of.get(name).map_or_else(|| w.zeros_like(), Tensor::shallow_clone)
                };
                let mut moments =
                    Moments { first: before(&self.first), second: before(&self.second) };
                let direction = adam.direction(&mut moments, &g, self.steps);
                let move_by = direction + &w * self.weight_decay;
                let _ = w.g_sub_(&(move_by * lr));
                w.zero_grad();
                self.first.insert(name.clone(), moments.first);
                self.second.insert(name.clone(), moments.second);
            }
        });
    }

    fn state(&self) -> BTreeMap<String, Tensor> {
        let steps = ("steps".to_owned(), Tensor::from_slice(&[self.steps]));
        let moments = prefixed("first", &self.first).chain(prefixed("second", &self.second));
        moments.chain([steps]).collect()
    }

    fn restore(&mut self, state: &BTreeMap<String, Tensor>) -> Result<()> {
        let steps = state.get("steps").context("the state is of another optimiser")?;
        self.steps = i64::try_from(steps).context("`steps` is not one number")?;
        self.first = unprefixed("first", state);
        self.second = unprefixed("second", state);
        Ok(())
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
