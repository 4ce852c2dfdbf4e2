//! A mean, by the studentised bootstrap (bootstrap-t; Efron & Tibshirani 1993, 12.5).

use super::{Evidence, student_above};
use registry::seed::splitmix;

/// How often `n` values are drawn anew. Many values need fewer, and cost more.
pub(crate) fn resamples(n: usize) -> usize {
    if n > 500 { 999 } else { 1999 }
}

/// The mean of the finite values. With t = (mean − μ) / s, s the standard error, the t* of resamples
/// stand for the t that could have been: the interval is [mean − q₀.₉₇₅ s, mean − q₀.₀₂₅ s] with the
/// quantiles q of t*, and `above` is the share of t* not below mean / s, beyond the largest t* in
/// proportion to Student's tail. None of fewer than two finite values. Of equal values, which no
/// resample tells from others, both are those of the signs. The same values and seed give the same.
pub fn of_mean(values: &[f64], seed: u64) -> Option<Evidence> {
    let finite: Vec<f64> = values.iter().copied().filter(|v| v.is_finite()).collect();
    let n = finite.len();
    if n < 2 {
        return None;
    }
    let size = n as f64;
    let mean = finite.iter().sum::<f64>() / size;
    let centred: Vec<f64> = finite.iter().map(|v| v - mean).collect();
    let squares: f64 = centred.iter().map(|c| c * c).sum();
    let error = (squares / (size - 1.) / size).sqrt();
    // Rounding alone makes no spread.
    if error <= 1e-12 * mean.abs() {
        return Some(of_signs(mean, n));
    }
    let t = ratios(&centred, seed);
    let (below, above) = (percentile(&t, 0.025), percentile(&t, 0.975));
    let own = mean / error;
    let reached = t.len() - t.partition_point(|t| *t < own);
    let under = t.partition_point(|t| *t <= own);
    Some(Evidence {
        estimate: mean,
        low: mean - above * error,
        high: mean - below * error,
        above: tail(reached, own, t[t.len() - 1], &t, size - 1.),
        below: tail(under, -own, -t[0], &t, size - 1.),
    })
}

/// Of `n` values that are all `mean`.
fn of_signs(mean: f64, n: usize) -> Evidence {
    let all = 0.5f64.powi(n.min(1000) as i32);
    let [above, below] = [mean, -mean].map(|mean| if mean > 0. { all } else { 1. });
    Evidence { estimate: mean, low: mean, high: mean, above, below }
}

/// The t* of all resamples of centred values, sorted; ±∞ where a resample has one value alone, which
/// is not zero.
fn ratios(centred: &[f64], seed: u64) -> Vec<f64> {
    let n = centred.len();
    let size = n as f64;
    let ratio = |r: usize| {
        let start = splitmix(seed ^ splitmix(r as u64));
        let (mut sum, mut squares) = (0., 0.);
        for i in 0..n as u64 {
            let drawn = centred[below(splitmix(start.wrapping_add(i)), n)];
            sum += drawn;
            squares += drawn * drawn;
        }
        let mean = sum / size;
        let spread = (squares - size * mean * mean) / (size - 1.) / size;
        // The difference of two sums is zero only up to their rounding.
        if spread > 1e-14 * squares { mean / spread.sqrt() } else { infinite(mean) }
    };
    let mut all: Vec<f64> = (0..resamples(n)).map(ratio).collect();
    all.sort_by(f64::total_cmp);
    all
}

fn infinite(mean: f64) -> f64 {
    if mean == 0. { 0. } else { mean.signum() * f64::INFINITY }
}

/// A number below `n` from 64 bits that are equally likely.
fn below(bits: u64, n: usize) -> usize {
    ((u128::from(bits) * n as u128) >> 64) as usize
}

/// The share of t* that reach `own`; where none does, that of one more than the furthest has, made
/// smaller as Student's tail is.
fn tail(reached: usize, own: f64, furthest: f64, all: &[f64], freedom: f64) -> f64 {
    let share = (reached + 1) as f64 / (all.len() + 1) as f64;
    if reached > 0 || furthest <= 0. {
        return share;
    }
    share * student_above(own, freedom) / student_above(furthest, freedom)
}

/// Of sorted numbers, on the line between the two nearest.
fn percentile(sorted: &[f64], share: f64) -> f64 {
    let at = share * (sorted.len() - 1) as f64;
    let (below, above) = (sorted[at.floor() as usize], sorted[at.ceil() as usize]);
    if below == above { below } else { below + (above - below) * at.fract() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inference::tests::{Draws, exponential, normal};

    /// The share of 400 samples whose interval covers `truth`.
    fn covered(n: usize, truth: f64, draw: fn(&mut Draws) -> f64) -> f64 {
        let mut draws = Draws(n as u64);
        let covers = |seed: u64| {
            let values: Vec<f64> = (0..n).map(|_| draw(&mut draws)).collect();
            let found = of_mean(&values, seed).unwrap();
            found.low <= truth && truth <= found.high
        };
        (0..400).map(covers).filter(|covers| *covers).count() as f64 / 400.
    }

    #[test]
    fn intervals_cover_the_mean_from_sixteen_values_on() {
        for n in [16, 32, 64] {
            let found = [covered(n, 0., normal), covered(n, 1., exponential)];
            assert!(found.iter().all(|share| *share >= 0.93), "{n}: {found:?}");
            assert!(found.iter().all(|share| *share <= 0.985), "{n}: {found:?}");
        }
    }

    #[test]
    fn noise_is_called_something_as_often_as_it_may_be() {
        let mut draws = Draws(7);
        let found: Vec<Evidence> = (0..600)
            .map(|seed| {
                let values: Vec<f64> = (0..20).map(|_| exponential(&mut draws) - 1.).collect();
                of_mean(&values, seed).unwrap()
            })
            .collect();
        let share = |of: fn(&Evidence) -> f64| {
            found.iter().filter(|e| of(e) <= 0.025).count() as f64 / found.len() as f64
        };
        assert!(share(|e| e.above) <= 0.04 && share(|e| e.below) <= 0.04);
        assert!(found.iter().all(|e| e.above > 0.025 || e.low > 0.));
        assert!(found.iter().all(|e| e.below > 0.025 || e.high < 0.));
    }

    #[test]
    fn the_same_seed_gives_the_same_and_a_shift_shifts() {
        let mut draws = Draws(3);
        let values: Vec<f64> = (0..30).map(|_| normal(&mut draws)).collect();
        let found = of_mean(&values, 1).unwrap();
        assert_eq!(of_mean(&values, 1), Some(found));
        assert_ne!(of_mean(&values, 2), Some(found));
        let shifted: Vec<f64> = values.iter().map(|v| v + 10.).collect();
        let moved = of_mean(&shifted, 1).unwrap();
        assert!((moved.low - found.low - 10.).abs() < 1e-9);
        assert!(moved.above < 1e-12 && moved.below > 0.99);
        let flipped = of_mean(&values.iter().map(|v| -v).collect::<Vec<_>>(), 1).unwrap();
        assert!((flipped.low + found.high).abs() < 1e-9, "{flipped:?} {found:?}");
        assert!((flipped.above - found.below).abs() < 1e-9);
    }

    #[test]
    fn what_is_not_finite_is_left_out_and_what_is_equal_has_no_width() {
        let found = of_mean(&[1., f64::INFINITY, 3., f64::NAN, 2., 2.5], 0).unwrap();
        assert_eq!(found.estimate, 2.125);
        assert!(found.low < 2.125 && found.high > 2.125);
        assert_eq!([of_mean(&[4.], 0), of_mean(&[4., f64::NAN], 0), of_mean(&[], 0)], [None; 3]);
        let two = of_mean(&[4., 4.], 0).unwrap();
        assert_eq!((two.low, two.high, two.above, two.below), (4., 4., 0.25, 1.));
        let none = of_mean(&[0.; 9], 0).unwrap();
        assert_eq!((none.above, none.below), (1., 1.));
    }
}
