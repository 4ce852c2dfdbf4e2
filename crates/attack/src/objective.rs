//! What an attacker of maps wants: a smooth loss to descend on the surrogate's heat maps, and the
//! measure by which iterates are judged on the real network.

use anyhow::{Result, ensure};
use explain::{heat::top, similarity::overlap};
use models::registry::{self, Entry};
use serde::Deserialize;
use tch::{Kind, Tensor};
use toml::Table;

/// The clean images' heat maps and what follows from them, computed once.
#[derive(Debug)]
pub struct Reference {
    /// Heat maps of the real network, `[N, H, W]`.
    pub heat: Tensor,
    /// Which pixels are among its k largest, bool `[N, H·W]`.
    pub top: Tensor,
    /// How many those are.
    pub k: i64,
}

impl Reference {
    /// Of clean heat maps `[N, H, W]`; 1 ≤ k ≤ H·W.
    pub fn new(heat: Tensor, k: i64) -> Self {
        let top = top(&heat, k);
        Reference { heat, top, k }
    }
}

/// A goal of an attack on maps.
pub trait MapLoss {
    /// Heat maps of the surrogate `[N, H, W]` -> `[N]`, differentiable, to be made small.
    fn loss(&self, heat: &Tensor, clean: &Reference) -> Tensor;

    /// Heat maps of the real network `[N, H, W]` -> f64 `[N]`; smaller is a stronger attack.
    fn measure(&self, heat: &Tensor, clean: &Reference) -> Tensor;
}

/// Every attack on maps, sorted by name.
pub const ATTACKS: &[Entry<dyn MapLoss>] = &[Entry {
    name: "topk",
    about: "moves mass off the clean map's k largest pixels (Ghorbani et al. 2019); judged by k-in; \
            no options beside --k",
    build: |t| Ok(Box::new(registry::options::<TopK>(t)?)),
}];

/// The attack that `table` (`name` and options) asks for.
pub fn map_loss(table: Table) -> Result<Box<dyn MapLoss>> {
    registry::build("attack", ATTACKS, table)
}

/// The k that is used where none is given: 20 for CIFAR's size, 80 up to 64×64, 1,000 above.
pub fn default_k(height: i64, width: i64) -> i64 {
    match height * width {
        0..=1024 => 20.min(height * width),
        1025..=4096 => 80,
        _ => 1000,
    }
}

/// Errors: k that is not 1 to H·W.
pub fn check_k(k: i64, height: i64, width: i64) -> Result<()> {
    let pixels = height * width;
    ensure!((1..=pixels).contains(&k), "`k` is {k}; the maps have 1 to {pixels} pixels");
    Ok(())
}

/// Σ of the heat on the clean map's k largest pixels.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct TopK {}

impl MapLoss for TopK {
    fn loss(&self, heat: &Tensor, clean: &Reference) -> Tensor {
        let on_top = heat.flatten(1, -1) * clean.top.to_kind(heat.kind());
        on_top.sum_dim_intlist([1].as_slice(), false, None::<Kind>)
    }

    fn measure(&self, heat: &Tensor, clean: &Reference) -> Tensor {
        overlap(&clean.top, &top(heat, clean.k), clean.k)
    }
}
