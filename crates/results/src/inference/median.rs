//! A median, by order statistics: its interval is exact whatever the values are drawn from.

use super::Evidence;
use statrs::distribution::{Binomial, DiscreteCDF};

/// The median of the values that are not NaN, infinite ones too. The interval goes from the kth
/// smallest to the kth largest, k the largest number for which fewer than k values lie on one side of
/// the median with a chance of 2.5 % at most; so `above` is the chance of so few values at zero or
/// below it. None of fewer than six values, for which no k is so large.
pub fn of_median(values: &[f64]) -> Option<Evidence> {
    let mut sorted: Vec<f64> = values.iter().copied().filter(|v| !v.is_nan()).collect();
    sorted.sort_by(f64::total_cmp);
    let n = sorted.len();
    let halves = Binomial::new(0.5, n as u64).ok()?;
    let k = (0..n as u64).take_while(|&below| halves.cdf(below) <= 0.025).count();
    if k == 0 {
        return None;
    }
    let under = sorted.partition_point(|v| *v <= 0.);
    let over = n - sorted.partition_point(|v| *v < 0.);
    let middle = [sorted[(n - 1) / 2], sorted[n / 2]];
    Some(Evidence {
        estimate: if middle[0] == middle[1] { middle[0] } else { (middle[0] + middle[1]) / 2. },
        low: sorted[k - 1],
        high: sorted[n - k],
        above: halves.cdf(under as u64),
        below: halves.cdf(over as u64),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inference::tests::{Draws, normal};

    #[test]
    fn the_interval_is_that_of_the_tables() {
        // Of ten values the second to the ninth cover with 97.9 %, the third to the eighth with 89.1.
        let ten: Vec<f64> = (1..=10).map(f64::from).collect();
        let found = of_median(&ten).unwrap();
        assert_eq!((found.estimate, found.low, found.high), (5.5, 2., 9.));
        assert!((found.above - 0.5f64.powi(10)).abs() < 1e-12 && found.below == 1.);
        assert_eq!(of_median(&ten[..5]), None);
        let six = of_median(&ten[..6]).unwrap();
        assert_eq!((six.low, six.high), (1., 6.));
        // One of ten at zero or below it: 11 / 1024.
        let moved: Vec<f64> = ten.iter().map(|v| v - 1.5).collect();
        assert!((of_median(&moved).unwrap().above - 11. / 1024.).abs() < 1e-12);
        assert_eq!(of_median(&[f64::NAN; 9]), None);
    }

    #[test]
    fn skewed_values_are_covered_too() {
        let mut draws = Draws(5);
        for n in [16, 64] {
            let covers = |_| {
                let values: Vec<f64> = (0..n).map(|_| (1.5 * normal(&mut draws)).exp()).collect();
                let found = of_median(&values).unwrap();
                found.low <= 1. && 1. <= found.high
            };
            let share = (0..500).map(covers).filter(|covers| *covers).count() as f64 / 500.;
            assert!((0.935..=0.995).contains(&share), "{n}: {share}");
        }
    }
}
