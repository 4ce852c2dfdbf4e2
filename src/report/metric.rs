//! One number for a similarity over a whole run.

use crate::results::{Attacked, Number, Sample};

/// The area under `metric` over log2(255 ε); for a run at one radius the mean there. The error of an
/// area that has none of its own is the area under the errors, the most it can be: the images are the
/// same at each ε.
pub(super) fn overall(run: &Attacked, metric: &str) -> Option<Sample> {
    let radii = run.radii();
    let positive = radii.iter().filter(|(eps, _)| *eps > 0. || radii.len() == 1);
    let points: Vec<(f64, &Number)> = positive
        .filter_map(|(eps, label)| Some(((255. * eps).log2(), run.number(label, metric)?)))
        .collect();
    match run.area(metric) {
        Some(area) => {
            let slice = |w: &[(f64, &Number)]| {
                Some((w[1].0 - w[0].0) * (w[0].1.stderr? + w[1].1.stderr?) / 2.)
            };
            let stderr = area.number.stderr.or_else(|| points.windows(2).map(slice).sum());
            let number = Number { mean: area.number.mean, stderr, ..Number::default() };
            Some(Sample { number, values: area.values.clone() })
        }
        None if radii.len() == 1 => {
            let (_, number) = points.first()?;
            let number = Number { mean: number.mean, stderr: number.stderr, ..Number::default() };
            Some(Sample { number, values: run.values(radii[0].1, metric).to_vec() })
        }
        None => None,
    }
}

/// Mean over the radii of the share of successes; none where it is undefined.
pub(super) fn success(run: &Attacked) -> Sample {
    let radii = run.radii();
    let share = |(_, label): &(f64, &str)| run.number(label, "success")?.mean;
    let all: Option<f64> = radii.iter().map(share).sum();
    let mean = all.map(|all| all / radii.len().max(1) as f64);
    let each: Vec<&[f64]> = radii.iter().map(|(_, label)| run.values(label, "success")).collect();
    let images = each.iter().map(|values| values.len()).min().unwrap_or(0);
    let over =
        |image: usize| each.iter().map(|values| values[image]).sum::<f64>() / each.len() as f64;
    Sample { number: Number { mean, ..Number::default() }, values: (0..images).map(over).collect() }
}

/// The area of a metric that is 1 at every radius; 0 for fewer than two radii above 0, which have none.
pub(super) fn full_area(radii: &[(f64, &str)]) -> f64 {
    let mut radii = radii.iter().map(|(eps, _)| eps).filter(|eps| **eps > 0.);
    match (radii.next(), radii.next_back()) {
        (Some(first), Some(last)) => (last / first).log2(),
        _ => 0.,
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{Run, run};
    use super::*;
    use crate::results::Keys;

    fn of(run: &Run) -> (Option<Sample>, f64) {
        let record = run.record();
        let all = Attacked::of(&record, &Keys::new());
        (overall(&all, "k-in"), full_area(&all.radii()))
    }

    #[test]
    fn the_error_of_an_area_is_the_area_of_the_errors() {
        let mut run = run("natural", "gxi");
        run.auc.insert("k-in".into(), Number::exact(1.25).into());
        let errors: Vec<f64> =
            run.eps.iter().map(|at| at.metrics["k-in"].stderr.unwrap()).collect();
        // 2, 4, 8, 16 of 255: one unit between neighbours.
        let area = (errors[0] + errors[3]) / 2.0 + errors[1] + errors[2];
        let (value, full) = of(&run);
        let value = value.unwrap();
        assert_eq!(value.mean, Some(1.25));
        assert!((value.stderr.unwrap() - area).abs() < 1e-12);
        assert!((full - 3.0).abs() < 1e-12);
        let record = run.record();
        assert!(overall(&Attacked::of(&record, &Keys::new()), "unheard-of").is_none());
        // One image has no error, and neither has its area; an undefined mean has no area.
        run.eps[1].metrics.get_mut("k-in").unwrap().stderr = None;
        assert!(of(&run).0.unwrap().stderr.is_none());
        run.auc.insert("k-in".into(), Number::default().into());
        assert!(of(&run).0.unwrap().mean.is_none());
    }

    #[test]
    fn a_radius_of_zero_is_in_no_area() {
        let mut run = run("natural", "gxi");
        run.auc.insert("k-in".into(), Number::exact(1.25).into());
        let (with, area) = of(&run);
        run.eps.insert(
            0,
            crate::results::AtEps { eps: 0., label: "0/255".into(), ..run.eps[0].clone() },
        );
        let (without, full) = of(&run);
        assert_eq!((without.unwrap().stderr, full), (with.unwrap().stderr, area));
    }

    #[test]
    fn one_radius_has_a_mean_and_no_area() {
        let mut run = run("natural", "gxi");
        run.eps.truncate(1);
        run.auc.clear();
        let first = run.eps[0].metrics["k-in"].number;
        let (found, full) = of(&run);
        let found = found.unwrap();
        assert_eq!((found.mean, found.stderr), (first.mean, first.stderr));
        assert_eq!(full, 0.0);
    }
}
