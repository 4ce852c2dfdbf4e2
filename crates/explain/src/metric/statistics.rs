//! Correlations of two lists of numbers.

use crate::{heatmap::ROUNDING, similarity};
use tch::{Kind, Tensor};

/// Pearson's correlation of two lists of one length; NaN, undefined, where either is constant up to
/// rounding in f32, holds fewer than two numbers, or one that is not finite.
pub fn pearson(a: &[f64], b: &[f64]) -> f64 {
    plain(a, b, correlation)
}

/// Spearman's ρ: Pearson's correlation of average ranks, undefined where that is; but infinite numbers
/// have ranks like others.
pub fn spearman(a: &[f64], b: &[f64]) -> f64 {
    plain(a, b, rank_correlation)
}

fn plain(a: &[f64], b: &[f64], of: fn(&Tensor, &Tensor, &Tensor) -> Tensor) -> f64 {
    assert_eq!(a.len(), b.len(), "lists of one length");
    if a.is_empty() {
        return f64::NAN;
    }
    let row = |values: &[f64]| Tensor::from_slice(values).unsqueeze(0);
    let all = row(a).ones_like().to_kind(Kind::Bool);
    of(&row(a), &row(b), &all).double_value(&[0])
}

/// Pearson's correlation of each row of `[N, G]` where `kept`, f64 `[N]`; see [`pearson`].
pub(crate) fn correlation(a: &Tensor, b: &Tensor, kept: &Tensor) -> Tensor {
    let sum = |t: &Tensor| t.sum_dim_intlist([1].as_slice(), true, Kind::Double);
    let out = kept.logical_not();
    let centred = |t: &Tensor| {
        let mean = sum(&t.masked_fill(&out, 0.)) / sum(kept).clamp_min(1.);
        (t - mean).masked_fill(&out, 0.)
    };
    let none = says_nothing(a, kept).logical_or(&says_nothing(b, kept));
    let (a, b) = (centred(a), centred(b));
    // The root of a square is exact, so a list goes with itself by exactly 1.
    let norms = (sum(&a.square()) * sum(&b.square())).sqrt();
    let cosine = (sum(&(&a * &b)) / norms).clamp(-1., 1.);
    cosine.squeeze_dim(1).masked_fill(&none, f64::NAN)
}

/// Whether the kept numbers of each row of `[N, G]` have no order: none, equal up to rounding, or one
/// of them NaN; bool `[N]`.
fn says_nothing(t: &Tensor, kept: &Tensor) -> Tensor {
    let out = kept.logical_not();
    let most = t.masked_fill(&out, f64::NEG_INFINITY).amax([1].as_slice(), false);
    let least = t.masked_fill(&out, f64::INFINITY).amin([1].as_slice(), false);
    let size = most.abs().maximum(&least.abs());
    least.ge_tensor(&(&most - size * ROUNDING)).logical_or(&most.isnan())
}

/// Spearman's ρ of each row of `[N, G]` where `kept`, f64 `[N]`; see [`spearman`].
pub(crate) fn rank_correlation(a: &Tensor, b: &Tensor, kept: &Tensor) -> Tensor {
    // What is left out ranks last, so that the ranks of the others are as if it were not there.
    let ranks = |t: &Tensor| similarity::ranks(&t.masked_fill(&kept.logical_not(), f64::INFINITY));
    let none = says_nothing(a, kept).logical_or(&says_nothing(b, kept));
    correlation(&ranks(a), &ranks(b), kept).masked_fill(&none, f64::NAN)
}
