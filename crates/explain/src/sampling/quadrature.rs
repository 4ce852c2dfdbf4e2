//! Quadrature rules on [0, 1]: the points of a path and their weights.

use serde::{Deserialize, Serialize};
use std::f64::consts::PI;

/// Which points of the way are taken.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Rule {
    /// i/n for i = 0 … n − 1.
    Left,
    /// (i + ½)/n.
    Midpoint,
    /// i/n for i = 1 … n (Wang et al. 2020).
    Right,
    /// Both ends, at half the weight, and what lies evenly between.
    Trapezoid,
    /// The nodes at which polynomials of degree 2n − 1 are integrated exactly.
    GaussLegendre,
}

/// Nodes of Gauss and Legendre, at most: each takes as many steps as there are.
pub(crate) const MOST_NODES: u64 = 1000;

impl Rule {
    /// Places in [0, 1] and their weights, which sum to one.
    pub fn nodes(self, n: u64) -> Vec<(f64, f64)> {
        let (count, even) = (n as f64, 1. / n as f64);
        let shifted = |by: f64| (0..n).map(|i| ((i as f64 + by) / count, even)).collect();
        match self {
            Rule::Left => shifted(0.),
            Rule::Midpoint => shifted(0.5),
            Rule::Right => shifted(1.),
            Rule::Trapezoid => {
                let gaps = count - 1.;
                let end = |i: u64| if i == 0 || i == n - 1 { 0.5 } else { 1. };
                (0..n).map(|i| (i as f64 / gaps, end(i) / gaps)).collect()
            }
            Rule::GaussLegendre => (0..n).map(|i| gauss_legendre(n, i)).collect(),
        }
    }
}

/// The `i`-th root of the Legendre polynomial of degree `n` and its weight, moved to [0, 1]:
/// Newton's method from the usual cosine.
fn gauss_legendre(n: u64, i: u64) -> (f64, f64) {
    let count = n as f64;
    let mut t = -(PI * (i as f64 + 0.75) / (count + 0.5)).cos();
    let mut slope = 1.;
    for _ in 0..100 {
        let (mut before, mut value) = (1., t);
        for k in 2..=n {
            let k = k as f64;
            (before, value) = (value, ((2. * k - 1.) * t * value - (k - 1.) * before) / k);
        }
        slope = count * (t * value - before) / (t * t - 1.);
        let step = value / slope;
        t -= step;
        if step.abs() < 1e-15 {
            break;
        }
    }
    ((t + 1.) / 2., 1. / ((1. - t * t) * slope * slope))
}
