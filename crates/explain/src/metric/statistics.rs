//! What tables say of many numbers: correlations and the mean with its bootstrap interval (Efron
//! 1979). The interval takes images as drawn independently; few or very skewed ones make it too short.

use crate::{heatmap::ROUNDING, similarity};
use models::noise;
use tch::{Kind, Tensor};

const RESAMPLES: u64 = 2000;
/// The 97.5th percentile of N(0, 1).
const Z: f64 = 1.959_963_984_540_054;

/// A mean and where it lies with 95 % confidence.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Interval {
    /// Of the finite values.
    pub mean: f64,
    /// Its lower end.
    pub low: f64,
    /// Its upper end.
    pub high: f64,
}

/// The mean of the finite values and its interval, the 2.5th to the 97.5th percentile of the means of
/// 2,000 resamples; none of fewer than two, which say
/// nothing of what else could have been drawn. The same values and seed give the same interval.
pub fn bootstrap(values: &[f64], seed: u64) -> Option<Interval> {
    let finite: Vec<f64> = values.iter().copied().filter(|v| v.is_finite()).collect();
    if finite.len() < 2 {
        return None;
    }
    let n = finite.len() as u64;
    let resample = |r: u64| {
        let drawn = (0..n).map(|i| finite[(noise::key(seed, r, i) % n) as usize]);
        drawn.sum::<f64>() / n as f64
    };
    let mut means: Vec<f64> = (0..RESAMPLES).map(resample).collect();
    means.sort_by(f64::total_cmp);
    let mean = finite.iter().sum::<f64>() / n as f64;
    Some(Interval { mean, low: percentile(&means, 0.025), high: percentile(&means, 0.975) })
}

/// A share of `n` images and its Wilson score interval (1927), which has a width at 0 and 1 too; none of
/// fewer than two.
pub fn wilson(share: f64, n: usize) -> Option<Interval> {
    if n < 2 {
        return None;
    }
    let (n, z) = (n as f64, Z);
    let centre = (share + z * z / (2. * n)) / (1. + z * z / n);
    let spread = (share * (1. - share) / n + z * z / (4. * n * n)).sqrt() * z / (1. + z * z / n);
    let end = |at: f64| at.clamp(0., 1.);
    Some(Interval { mean: share, low: end(centre - spread), high: end(centre + spread) })
}

/// Of sorted numbers, on the line between the two nearest.
fn percentile(sorted: &[f64], share: f64) -> f64 {
    let at = share * (sorted.len() - 1) as f64;
    let (below, above) = (sorted[at.floor() as usize], sorted[at.ceil() as usize]);
    below + (above - below) * at.fract()
}

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
