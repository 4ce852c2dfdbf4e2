//! The normal distribution, and tails of the binomial one with the bounds of Clopper & Pearson
//! (1934). Tails are sums of positive terms, so small ones keep all their digits.

use libm::{erfc, lgamma};
use std::f64::consts::{FRAC_1_SQRT_2, TAU};

/// Φ, the distribution function of N(0, 1).
pub fn normal(z: f64) -> f64 {
    erfc(-z * FRAC_1_SQRT_2) / 2.
}

/// Φ⁻¹; −∞ at 0 and ∞ at 1.
pub fn quantile(p: f64) -> f64 {
    if p > 0.5 {
        return -quantile(1. - p);
    }
    if p <= 0. {
        return f64::NEG_INFINITY;
    }
    // Φ(z) ≤ e^(−z²/2) / 2 for z ≤ 0, so this start is no larger than the root; log Φ is concave,
    // so Newton's steps come nearer from that side and never pass it.
    let mut z = -(-2. * (2. * p).ln()).max(0.).sqrt();
    for _ in 0..50 {
        let at = normal(z);
        let step = (p / at).ln() * at * TAU.sqrt() * (z * z / 2.).exp();
        z += step;
        if step.abs() <= 1e-15 * z.abs().max(1e-3) {
            break;
        }
    }
    z
}

/// P(X ≥ k) for X ~ Bin(n, p).
pub fn at_least(k: u64, n: u64, p: f64) -> f64 {
    match k {
        0 => 1.,
        _ if k > n => 0.,
        // The smaller of the two tails is summed.
        _ if (k as f64) > n as f64 * p => upper_tail(k, n, p),
        _ => 1. - upper_tail(n - k + 1, n, 1. - p),
    }
}

/// Σ P(X = i) from i = k on, for k above the mean: terms fall faster than a geometric series.
fn upper_tail(k: u64, n: u64, p: f64) -> f64 {
    if p <= 0. {
        return 0.;
    }
    let (mut term, odds) = (mass(k, n, p), p / (1. - p));
    let mut total = term;
    for i in k..n {
        term *= (n - i) as f64 / (i + 1) as f64 * odds;
        total += term;
        if term <= total * 1e-17 {
            break;
        }
    }
    total.min(1.)
}

/// P(X = k).
fn mass(k: u64, n: u64, p: f64) -> f64 {
    let [k, n] = [k as f64, n as f64];
    let choose = lgamma(n + 1.) - lgamma(k + 1.) - lgamma(n - k + 1.);
    let power = |base_ln: f64, times: f64| if times == 0. { 0. } else { base_ln * times };
    (choose + power(p.ln(), k) + power((-p).ln_1p(), n - k)).exp()
}

/// The lower bound of p of level `alpha` where `count` of `n` were hits: the largest p for which so
/// many have a probability of at most `alpha`.
pub fn lower_bound(count: u64, n: u64, alpha: f64) -> f64 {
    if count == 0 {
        return 0.;
    }
    let (mut low, mut high) = (0., 1.);
    loop {
        let middle = (low + high) / 2.;
        if middle <= low || middle >= high {
            return low;
        }
        if at_least(count, n, middle) <= alpha { low = middle } else { high = middle }
    }
}

/// The upper bound of p of level `alpha`.
pub fn upper_bound(count: u64, n: u64, alpha: f64) -> f64 {
    1. - lower_bound(n - count, n, alpha)
}
