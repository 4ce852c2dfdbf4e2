//! How far the centre of mass moves.

use super::entry::{Similarity, where_both};
use crate::{
    Better,
    heatmap::{centre, has_mass},
};
use tch::{Kind, Tensor};

/// In the list of similarities.
pub(super) const ENTRY: Similarity = Similarity {
    name: "cdl",
    title: "centre-of-mass shift",
    about: "distance of the centres of mass, in pixels; 0 unchanged; undefined without mass",
    better: Better::Lower,
    axis: (0., 1.),
    place: 3,
    score: |a, b, _| centre_distance(a, b),
};

/// Distance of the two centres of mass in pixels, f64 `[N]`. Nothing has no centre.
pub fn centre_distance(a: &Tensor, b: &Tensor) -> Tensor {
    let apart = centre(a) - centre(b);
    let distance = apart.square().sum_dim_intlist([1].as_slice(), false, Kind::Double).sqrt();
    where_both(has_mass, a, b, &distance)
}
