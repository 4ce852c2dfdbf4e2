//! How alike two heat maps are, for whole batches on the device. A value that nothing says is
//! undefined, NaN: of a pair where either has no mass, and what compares orders also where either is
//! constant.

use crate::heatmap::{centre, has_mass, has_order, top};
use anyhow::{Result, ensure};
use registry::Named;
use tch::{Kind, Tensor};

/// A metric of two heat maps.
pub struct Similarity {
    /// The name in tables and files.
    pub name: &'static str,
    /// What it is, its range and units.
    pub about: &'static str,
    /// Its value on equal maps, as far from an attacker's wish as can be.
    pub same: f64,
    /// Two heat maps `[N, H, W]` and k -> f64 `[N]`; NaN where it is undefined.
    pub score: fn(&Tensor, &Tensor, i64) -> Tensor,
}

impl Named for Similarity {
    fn name(&self) -> &'static str {
        self.name
    }
    fn about(&self) -> &'static str {
        self.about
    }
}

/// Every similarity, sorted by name.
pub const SIMILARITIES: &[Similarity] = &[
    Similarity {
        name: "cdl",
        about: "distance of the centres of mass, in pixels; 0 unchanged; undefined without mass",
        same: 0.,
        score: |a, b, _| centre_distance(a, b),
    },
    Similarity {
        name: "cor",
        about: "Spearman rank correlation with average ranks for ties, in [-1, 1]; 1 unchanged; \
                undefined where a map is constant",
        same: 1.,
        score: |a, b, _| spearman(a, b),
    },
    Similarity {
        name: "cosd",
        about: "1 - cosine similarity, in [0, 1] for heat maps; 0 unchanged; undefined without mass",
        same: 0.,
        score: |a, b, _| cosine_distance(a, b),
    },
    Similarity {
        name: "k-in",
        about: "share of the k largest pixels that are the same, in [0, 1]; 1 unchanged; undefined \
                where a map is constant",
        same: 1.,
        score: top_intersection,
    },
];

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

/// `value` where `which` holds of both maps, else NaN.
fn where_both(which: fn(&Tensor) -> Tensor, a: &Tensor, b: &Tensor, value: &Tensor) -> Tensor {
    value.masked_fill(&which(a).logical_and(&which(b)).logical_not(), f64::NAN)
}

/// |top-k(a) ∩ top-k(b)| / k: `[N, H, W]` twice -> f64 `[N]`. A constant map has no top.
pub fn top_intersection(a: &Tensor, b: &Tensor, k: i64) -> Tensor {
    where_both(has_order, a, b, &overlap(&top(a, k), &top(b, k), k))
}

/// |a ∩ b| / k of two bool masks `[N, D]` -> f64 `[N]`.
pub fn overlap(a: &Tensor, b: &Tensor, k: i64) -> Tensor {
    let both = a.logical_and(b).to_kind(Kind::Double);
    both.sum_dim_intlist([1].as_slice(), false, Kind::Double) / k as f64
}

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

/// Distance of the two centres of mass in pixels, f64 `[N]`. Nothing has no centre.
pub fn centre_distance(a: &Tensor, b: &Tensor) -> Tensor {
    let apart = centre(a) - centre(b);
    let distance = apart.square().sum_dim_intlist([1].as_slice(), false, Kind::Double).sqrt();
    where_both(has_mass, a, b, &distance)
}

/// 1 − cos of the angle between the maps, f64 `[N]`. Nothing has no direction.
pub fn cosine_distance(a: &Tensor, b: &Tensor) -> Tensor {
    let flat = |t: &Tensor| t.flatten(1, -1).to_kind(Kind::Double);
    let (p, q) = (flat(a), flat(b));
    let dot = |x: &Tensor, y: &Tensor| (x * y).sum_dim_intlist([1].as_slice(), false, Kind::Double);
    let norms = (dot(&p, &p) * dot(&q, &q)).sqrt().clamp_min(f64::MIN_POSITIVE);
    let distance = (dot(&p, &q) / norms - 1.).neg().clamp_min(0.);
    where_both(has_mass, a, b, &distance)
}
