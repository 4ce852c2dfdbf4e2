//! What tables say of many numbers: correlations and the mean with its bootstrap interval (Efron
//! 1979). The interval takes images as drawn independently; few or very skewed ones make it too short.

use crate::similarity;
use models::noise;
use tch::{Kind, Tensor};

const RESAMPLES: u64 = 2000;

/// A mean and where it lies with 95 % confidence.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Interval {
    /// Of the finite values.
    pub mean: f64,
    /// The 2.5th percentile of the means of 2,000 resamples.
    pub low: f64,
    /// The 97.5th.
    pub high: f64,
}

/// The mean of the finite values and its percentile interval; none if no value is finite. The same
/// values and seed give the same interval.
pub fn bootstrap(values: &[f64], seed: u64) -> Option<Interval> {
    let finite: Vec<f64> = values.iter().copied().filter(|v| v.is_finite()).collect();
    if finite.is_empty() {
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

/// Of sorted numbers, on the line between the two nearest.
fn percentile(sorted: &[f64], share: f64) -> f64 {
    let at = share * (sorted.len() - 1) as f64;
    let (below, above) = (sorted[at.floor() as usize], sorted[at.ceil() as usize]);
    below + (above - below) * at.fract()
}

/// Pearson's correlation of two lists of one length, finite numbers. Two constant ones are alike (1);
/// a constant one against another, or nothing at all, says nothing (0).
pub fn pearson(a: &[f64], b: &[f64]) -> f64 {
    plain(a, b, correlation)
}

/// Spearman's ρ: Pearson's correlation of average ranks. Infinite numbers have ranks like others.
pub fn spearman(a: &[f64], b: &[f64]) -> f64 {
    plain(a, b, rank_correlation)
}

fn plain(a: &[f64], b: &[f64], of: fn(&Tensor, &Tensor, &Tensor) -> Tensor) -> f64 {
    assert_eq!(a.len(), b.len(), "lists of one length");
    if a.is_empty() {
        return 0.;
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
    // A mean that is rounded would leave something of a constant.
    let constant = |t: &Tensor| {
        let most = t.masked_fill(&out, f64::NEG_INFINITY).amax([1].as_slice(), true);
        most.eq_tensor(&t.masked_fill(&out, f64::INFINITY).amin([1].as_slice(), true))
    };
    let (p, q) = (constant(a), constant(b));
    let (a, b) = (centred(a), centred(b));
    // The root of a square is exact, so a list goes with itself by exactly 1.
    let norms = (sum(&a.square()) * sum(&b.square())).sqrt();
    let cosine = (sum(&(&a * &b)) / norms.clamp_min(f64::MIN_POSITIVE)).clamp(-1., 1.);
    let cosine = cosine.masked_fill(&p.logical_or(&q), 0.);
    cosine.masked_fill(&p.logical_and(&q), 1.).squeeze_dim(1)
}

/// Spearman's ρ of each row of `[N, G]` where `kept` (finite there), f64 `[N]`.
pub(crate) fn rank_correlation(a: &Tensor, b: &Tensor, kept: &Tensor) -> Tensor {
    // What is left out ranks last, so that the ranks of the others are as if it were not there.
    let ranks = |t: &Tensor| similarity::ranks(&t.masked_fill(&kept.logical_not(), f64::INFINITY));
    correlation(&ranks(a), &ranks(b), kept)
}
