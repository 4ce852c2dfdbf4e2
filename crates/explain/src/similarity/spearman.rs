//! Spearman's rank correlation: whether pixels keep their order.

use super::entry::{Similarity, where_both};
use crate::{Better, heatmap::has_order};
use tch::{Kind, Tensor};

/// In the list of similarities.
pub(super) const ENTRY: Similarity = Similarity {
    name: "cor",
    title: "Spearman",
    about: "Spearman rank correlation with average ranks for ties, in [-1, 1]; 1 unchanged; 0 no \
            relation; undefined where a map is constant",
    better: Better::Higher,
    axis: (0., 1.),
    place: 2,
    score: |a, b, _| spearman(a, b),
};

/// Spearman's ρ: Pearson's correlation of average ranks, f64 `[N]`. A constant map has no order.
pub fn spearman(a: &Tensor, b: &Tensor) -> Tensor {
    let (p, q) = (centred(&ranks(a)), centred(&ranks(b)));
    let dot = |x: &Tensor, y: &Tensor| (x * y).sum_dim_intlist([1].as_slice(), false, Kind::Double);
    let norms = (dot(&p, &p) * dot(&q, &q)).sqrt().clamp_min(f64::MIN_POSITIVE);
    where_both(has_order, a, b, &(dot(&p, &q) / norms))
}

/// Ranks from 1, ties sharing their average: `[N, H, W]` -> f64 `[N, H·W]`.
pub fn ranks(map: &Tensor) -> Tensor {
    let flat = map.flatten(1, -1).contiguous();
    let (sorted, _) = flat.sort(1, false);
    let place = |right: bool| {
        let side = if right { "right" } else { "left" };
        flat.searchsorted(&sorted, false, right, side, None::<Tensor>).to_kind(Kind::Double)
    };
    (place(false) + place(true) + 1.) / 2.
}

fn centred(x: &Tensor) -> Tensor {
    x - x.mean_dim([1].as_slice(), true, Kind::Double)
}
