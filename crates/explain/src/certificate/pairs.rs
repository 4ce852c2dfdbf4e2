//! Two pixels: whether the one is hotter than the other wherever the image goes within the ball.
//!
//! Let a = P(h_i = 1, h_k = 0) and b = P(h_i = 0, h_k = 1), so p_i − p_k = a − b. Both are means of
//! a function in [0, 1] under N(0, σ²I), so Φ⁻¹ of each is 1/σ-Lipschitz in ℓ2 (Salman et al.
//! 2019), and i stays ahead of k within r if Φ⁻¹(a) − Φ⁻¹(b) > g = 2r/σ. What both have in common
//! does not count, which is why this reaches further than the same for p_i and p_k.

use super::probability::{normal, quantile};

/// The weight λ of a hit of the first pixel alone against one of the second alone in T = λ n₁₀ −
/// n₀₁. Any is valid; it has to be chosen before the samples that are tested are seen.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Slope {
    gap: f64,
    lambda: f64,
}

impl Slope {
    /// For the gap g between pairs about as often apart as `a` and `b`: the slope of the curve
    /// Φ⁻¹(a) − Φ⁻¹(b) = g where it is nearest to them in units of Φ⁻¹, e^(g (Φ⁻¹(a) + Φ⁻¹(b)) /
    /// 2).
    pub fn near(gap: f64, a: f64, b: f64) -> Self {
        let lambda = (gap * (quantile(a) + quantile(b)) / 2.).exp();
        Slope { gap, lambda: lambda.clamp(1e-6, 1e6) }
    }

    /// With a weight of one's own, above 0.
    pub fn new(gap: f64, lambda: f64) -> Self {
        Slope { gap, lambda }
    }

    /// The log of the largest E exp(θ (λ h₁₀ − h₀₁)) over all a, b with a + b ≤ 1 that are not g
    /// apart: on the curve b = Φ(Φ⁻¹(a) − g), which is convex, where its slope is (e^(θλ) − 1) / (1
    /// − e^(−θ)), or at the end of the curve, where a + b = 1.
    fn log_moment(self, theta: f64) -> f64 {
        let Slope { gap, lambda } = self;
        let (up, down) = ((theta * lambda).exp_m1(), -(-theta).exp_m1());
        let end = gap / 2.;
        // Without a gap the curve is a line: either of its ends, which the division by 0 gives.
        let z = ((up / down).ln() / gap + end).min(end);
        (up * normal(z) - down * normal(z - gap)).ln_1p()
    }
}

/// The largest of θ and θλ that is tried is at least this: e⁸ is more than a step has use for.
const THETA: f64 = 8.;
/// Halvings of the interval; the p-value is valid at any θ.
const STEPS: usize = 32;

/// The log of a p-value of "i is not g ahead of k" from `n` samples, of which `alone` are i without
/// k and k without i (Chernoff's bound of T ≥ t, the least over θ): at most 0.
pub fn log_p_value(slope: Slope, [first, second]: [u64; 2], n: u64) -> f64 {
    let t = slope.lambda * first as f64 - second as f64;
    let bound = |theta: f64| n as f64 * slope.log_moment(theta) - theta * t;
    // Convex in θ: the golden section finds the least.
    let golden = (5f64.sqrt() - 1.) / 2.;
    let (mut low, mut high) = (0., THETA / slope.lambda.min(1.));
    let inner = |low: f64, high: f64| (high - golden * (high - low), low + golden * (high - low));
    let (mut left, mut right) = inner(low, high);
    let (mut at_left, mut at_right) = (bound(left), bound(right));
    for _ in 0..STEPS {
        if at_left < at_right {
            (high, right, at_right) = (right, left, at_left);
            left = inner(low, high).0;
            at_left = bound(left);
        } else {
            (low, left, at_left) = (left, right, at_right);
            right = inner(low, high).1;
            at_right = bound(right);
        }
    }
    at_left.min(at_right).min(0.)
}
