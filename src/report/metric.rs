//! One number for a similarity over a whole run.

use crate::results::{AtEps, AttackResult};

/// A number over a whole run, NaN where it is undefined, with its standard error.
#[derive(Clone, Copy, Debug)]
pub(super) struct Value {
    pub(super) mean: f64,
    pub(super) stderr: Option<f64>,
}

/// The area under `metric` over log2(255 ε); for a run at one radius the mean there. The error of an
/// area is the area under the errors, the most it can be: the images are the same at each ε.
pub(super) fn overall(result: &AttackResult, metric: &str) -> Option<Value> {
    let points: Vec<(f64, Value)> = result
        .eps
        .iter()
        .filter(|at| at.eps > 0. || result.eps.len() == 1)
        .filter_map(|at| {
            let summary = at.metrics.get(metric)?;
            let mean = summary.mean.unwrap_or(f64::NAN);
            let value = Value { mean, stderr: summary.stderr };
            Some(((255.0 * at.eps).log2(), value))
        })
        .collect();
    match result.auc.get(metric) {
        Some(mean) => {
            let slice = |w: &[(f64, Value)]| {
                Some((w[1].0 - w[0].0) * (w[0].1.stderr? + w[1].1.stderr?) / 2.0)
            };
            let stderr = points.windows(2).map(slice).sum();
            Some(Value { mean: mean.unwrap_or(f64::NAN), stderr })
        }
        None if result.eps.len() == 1 => points.first().map(|(_, value)| *value),
        None => None,
    }
}

/// The area of a metric that is 1 at every radius; 0 for fewer than two radii above 0, which have none.
pub(super) fn full_area(eps: &[AtEps]) -> f64 {
    let mut radii = eps.iter().map(|at| at.eps).filter(|eps| *eps > 0.);
    match (radii.next(), radii.next_back()) {
        (Some(first), Some(last)) => (last / first).log2(),
        _ => 0.,
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::result;
    use super::*;

    #[test]
    fn the_error_of_an_area_is_the_area_of_the_errors() {
        let mut run = result("natural", "gxi");
        run.auc.insert("k-in".into(), Some(1.25));
        let errors: Vec<f64> =
            run.eps.iter().map(|at| at.metrics["k-in"].stderr.unwrap()).collect();
        // 2, 4, 8, 16 of 255: one unit between neighbours.
        let area = (errors[0] + errors[3]) / 2.0 + errors[1] + errors[2];
        let value = overall(&run, "k-in").unwrap();
        assert_eq!(value.mean, 1.25);
        assert!((value.stderr.unwrap() - area).abs() < 1e-12);
        assert!((full_area(&run.eps) - 3.0).abs() < 1e-12);
        assert!(overall(&run, "unheard-of").is_none());
        // One image has no error, and neither has its area; an undefined mean has no area.
        run.eps[1].metrics.get_mut("k-in").unwrap().stderr = None;
        run.auc.insert("cor".into(), None);
        assert!(overall(&run, "k-in").unwrap().stderr.is_none());
        assert!(overall(&run, "cor").unwrap().mean.is_nan());
    }

    #[test]
    fn a_radius_of_zero_is_in_no_area() {
        let mut run = result("natural", "gxi");
        run.auc.insert("k-in".into(), Some(1.25));
        let (with, area) = (overall(&run, "k-in").unwrap(), full_area(&run.eps));
        run.eps.insert(0, AtEps { eps: 0., ..run.eps[0].clone() });
        assert_eq!(overall(&run, "k-in").unwrap().stderr, with.stderr);
        assert_eq!(full_area(&run.eps), area);
    }

    #[test]
    fn one_radius_has_a_mean_and_no_area() {
        let mut run = result("natural", "gxi");
        run.eps.truncate(1);
        run.auc.clear();
        let first = run.eps[0].metrics["cor"];
        let found = overall(&run, "cor").unwrap();
        assert_eq!((Some(found.mean), found.stderr), (first.mean, first.stderr));
        assert_eq!(full_area(&run.eps), 0.0);
    }
}
