//! The test of a pair: against the same in plain loops, and that it is no more often wrong than it
//! says.

use explain::certificate::{
    Slope, log_p_value,
    probability::{normal, quantile},
};

/// P(λ n₁₀ − n₀₁ ≥ t) where the first is hot alone with chance `a` and the second with `b`, by all
/// outcomes.
fn tail(lambda: f64, t: f64, [a, b]: [f64; 2], n: i32) -> f64 {
    let ln_factorial = |k: i32| (1..=k).map(|i| f64::from(i).ln()).sum::<f64>();
    let power = |p: f64, k: i32| if k == 0 { 0. } else { p.ln() * f64::from(k) };
    let mut sum = 0.;
    for first in 0..=n {
        for second in 0..=n - first {
            let rest = n - first - second;
            if lambda * f64::from(first) - f64::from(second) >= t - 1e-9 {
                let ways = [first, second, rest].into_iter().map(ln_factorial).sum::<f64>();
                let chance = power(a, first) + power(b, second) + power(1. - a - b, rest);
                sum += (ln_factorial(n) - ways + chance).exp();
            }
        }
    }
    sum
}

/// Pairs at the edge of what is not g apart.
fn edge(gap: f64) -> Vec<[f64; 2]> {
    let pairs = (1..200).map(|i| f64::from(i) / 200.).map(|a| [a, normal(quantile(a) - gap)]);
    pairs.filter(|[a, b]| a + b <= 1.).collect()
}

#[test]
fn a_p_value_is_no_smaller_than_the_chance_of_what_was_seen() {
    let n = 24;
    for (gap, lambda) in [(0., 1.), (0.4, 0.8), (0.4, 2.), (1.5, 0.3)] {
        let mut least = f64::INFINITY;
        for [first, second] in [[9, 1], [12, 0], [15, 4], [6, 6], [24, 0], [3, 0]] {
            let seen = [first as u64, second as u64];
            let p = log_p_value(Slope::new(gap, lambda), seen, n as u64).exp();
            let t = lambda * f64::from(first) - f64::from(second);
            for pair in edge(gap) {
                let chance = tail(lambda, t, pair, n);
                assert!(chance <= p * (1. + 1e-9), "{gap}, {seen:?}, {pair:?}: {chance} above {p}");
            }
            least = least.min(p);
        }
        assert!(least < 1e-2, "{gap}, {lambda}: nothing is ever certain, {least}");
    }
}

/// min over θ of max over the edge, both on a grid.
#[test]
fn p_values_are_chernoffs() {
    for (gap, lambda, n) in [(0.2, 1., 100.), (0.4, 0.7, 900.), (2., 0.2, 50.)] {
        for seen in [[30u64, 4], [20, 1], [44, 0]] {
            let t = lambda * seen[0] as f64 - seen[1] as f64;
            let moment = |theta: f64, [a, b]: [f64; 2]| {
                1. + a * (theta * lambda).exp_m1() + b * (-theta).exp_m1()
            };
            // Nothing at all is no pair that is apart.
            let pairs: Vec<[f64; 2]> = edge(gap).into_iter().chain([[0., 0.]]).collect();
            let bound = |theta: f64| {
                let most = pairs.iter().map(|&pair| moment(theta, pair)).fold(0., f64::max);
                n * most.ln() - theta * t
            };
            let slow = (0..4000).map(|i| bound(f64::from(i) * 0.002)).fold(0., f64::min);
            let found = log_p_value(Slope::new(gap, lambda), seen, n as u64);
            assert!((found - slow).abs() < 0.02 * slow.abs().max(1.), "{found} and {slow}");
        }
    }
}

#[test]
fn more_apart_is_more_certain() {
    let p = |gap: f64, seen| log_p_value(Slope::near(gap, 0.3, 0.1), seen, 900);
    assert!(p(0.4, [300, 80]) > p(0.4, [320, 80]) && p(0.4, [300, 80]) > p(0.4, [300, 60]));
    assert!(p(0.4, [300, 60]) > p(0.2, [300, 60]), "a wider gap is harder to show");
    assert_eq!(p(0.4, [60, 300]), 0.);
    assert!(p(1e4, [900, 0]) > -1e-6, "no gap that large can be shown");
}
