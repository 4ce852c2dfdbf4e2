//! Shared mass: how much of the attribution lies on the same pixels.

use super::entry::{Similarity, where_both};
use crate::{Better, heatmap::has_mass};
use tch::{Kind, Tensor};

/// In the list of similarities.
pub(super) const ENTRY: Similarity = Similarity {
    name: "shared",
    title: "shared mass",
    about: "sum over pixels of the smaller of the two heat maps, in [0, 1]; 1 unchanged; undefined \
            without mass",
    better: Better::Higher,
    same: 1.,
    axis: (0., 1.),
    place: 5,
    score: |a, b, _| shared_mass(a, b),
};

/// Σ min(a, b) of heat maps that sum to one: `[N, H, W]` twice -> f64 `[N]`.
fn shared_mass(a: &Tensor, b: &Tensor) -> Tensor {
    let smaller = a.minimum(b).flatten(1, -1).to_kind(Kind::Double);
    where_both(has_mass, a, b, &smaller.sum_dim_intlist([1].as_slice(), false, Kind::Double))
}
