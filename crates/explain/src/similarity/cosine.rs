//! Cosine distance of the maps as vectors.

use super::entry::{Similarity, where_both};
use crate::{Better, heatmap::has_mass};
use tch::{Kind, Tensor};

/// In the list of similarities.
pub(super) const ENTRY: Similarity = Similarity {
    name: "cosd",
    title: "cosine distance",
    about: "1 - cosine similarity, in [0, 1] for heat maps; 0 unchanged; undefined without mass",
    better: Better::Lower,
    axis: (0., 0.2),
    place: 4,
    score: |a, b, _| cosine_distance(a, b),
};

/// 1 − cos of the angle between the maps, f64 `[N]`. Nothing has no direction.
pub fn cosine_distance(a: &Tensor, b: &Tensor) -> Tensor {
    let flat = |t: &Tensor| t.flatten(1, -1).to_kind(Kind::Double);
    let (p, q) = (flat(a), flat(b));
    let dot = |x: &Tensor, y: &Tensor| (x * y).sum_dim_intlist([1].as_slice(), false, Kind::Double);
    let norms = (dot(&p, &p) * dot(&q, &q)).sqrt().clamp_min(f64::MIN_POSITIVE);
    let distance = (dot(&p, &q) / norms - 1.).neg().clamp_min(0.);
    where_both(has_mass, a, b, &distance)
}
