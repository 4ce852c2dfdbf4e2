//! Top-k intersection (Ghorbani et al. 2019): how many of the most important pixels stay so.

use super::entry::{Similarity, where_both};
use crate::{
    Better,
    heatmap::{has_order, top},
};
use anyhow::{Result, ensure};
use tch::{Kind, Tensor};

/// In the list of similarities.
pub(super) const ENTRY: Similarity = Similarity {
    name: "k-in",
    title: "top-k intersection",
    about: "share of the k most important pixels that are the same, in [0, 1]; 1 unchanged; undefined \
            where a map is constant",
    better: Better::Higher,
    axis: (0., 1.),
    place: 1,
    score: top_intersection,
};

/// |top-k(a) ∩ top-k(b)| / k: `[N, H, W]` twice -> f64 `[N]`. A constant map has no top.
pub fn top_intersection(a: &Tensor, b: &Tensor, k: i64) -> Tensor {
    where_both(has_order, a, b, &overlap(&top(a, k), &top(b, k), k))
}

/// |a ∩ b| / k of two bool masks `[N, D]` -> f64 `[N]`.
pub fn overlap(a: &Tensor, b: &Tensor, k: i64) -> Tensor {
    let both = a.logical_and(b).to_kind(Kind::Double);
    both.sum_dim_intlist([1].as_slice(), false, Kind::Double) / k as f64
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
