//! Numbers over images from one value an image.

use ::results::Number;
use explain::metric::statistics::{Interval, bootstrap, wilson};
use tch::{Kind, Tensor};

/// Mean and standard error over the images where `values` `[N]` are defined, not NaN; `success` says
/// where the attack succeeded.
pub fn of_images(values: &Tensor, success: Option<&Tensor>) -> Number {
    let values = values.to_kind(Kind::Double);
    let defined = values.isnan().logical_not();
    let pick = |which: &Tensor| values.masked_select(which);
    let mean = |t: &Tensor| (t.numel() > 0).then(|| t.mean(Kind::Double).double_value(&[]));
    let all = pick(&defined);
    let n = all.numel();
    let stderr = || all.std(true).double_value(&[]) / (n as f64).sqrt();
    Number {
        mean: mean(&all),
        stderr: (n > 1).then(stderr),
        mean_of_successes: success.and_then(|s| mean(&pick(&defined.logical_and(&s.gt(0.))))),
        n: Some(n as u64),
        undefined: (values.numel() - n) as u64,
        ..Number::default()
    }
}

/// How far attacked images are from the clean ones: mean, smallest and largest of
/// [`super::distances`]; none of none.
pub fn change(l2: &Tensor) -> Option<Number> {
    if l2.numel() == 0 {
        return None;
    }
    let [mean, min, max] =
        [l2.mean(Kind::Double), l2.min(), l2.max()].map(|t| Some(t.double_value(&[])));
    Some(Number { mean, min, max, ..Number::default() })
}

/// Of one number an image, NaN where undefined: mean of the finite ones with its interval by
/// bootstrap; the same seed resamples the same images.
pub fn over_images(values: &[f64], seed: u64) -> Number {
    within(values, bootstrap(values, seed))
}

/// Of numbers that are 0 or 1, or undefined: their share with Wilson's interval.
pub fn of_share(values: &[f64]) -> Number {
    let some: Vec<f64> = values.iter().copied().filter(|v| v.is_finite()).collect();
    let share = some.iter().sum::<f64>() / some.len() as f64;
    within(values, wilson(share, some.len()))
}

fn within(values: &[f64], interval: Option<Interval>) -> Number {
    let mut sorted: Vec<f64> = values.iter().copied().filter(|v| !v.is_nan()).collect();
    sorted.sort_by(f64::total_cmp);
    let middle = |i: usize| sorted.get(i).copied().unwrap_or(f64::NAN);
    let n = sorted.len();
    let median = (middle(n.saturating_sub(1) / 2) + middle(n / 2)) / 2.;
    let finite: Vec<f64> = sorted.iter().copied().filter(|v| v.is_finite()).collect();
    let only = finite.first().copied();
    let quartile = |i: usize| only.map(|_| finite[(finite.len() - 1) * i / 4]);
    Number {
        mean: interval.map(|i| i.mean).or(only),
        low: interval.map(|i| i.low),
        high: interval.map(|i| i.high),
        median: Some(median).filter(|m| m.is_finite()),
        min: quartile(0),
        q1: quartile(1),
        q2: quartile(2),
        q3: quartile(3),
        max: quartile(4),
        n: Some(finite.len() as u64),
        undefined: values.iter().filter(|v| v.is_nan()).count() as u64,
        infinite: values.iter().filter(|v| v.is_infinite()).count() as u64,
        ..Number::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ::results::{Keys, Row};

    #[test]
    fn what_is_undefined_is_counted_apart_from_what_is_infinite() {
        let (nan, infinite) = (f64::NAN, f64::INFINITY);
        let of = |values: &[f64]| over_images(values, 0);
        let mixed = of(&[1., nan, 3., infinite, nan, 2.]);
        assert_eq!((mixed.n, mixed.undefined, mixed.infinite), (Some(3), 2, 1));
        assert_eq!((mixed.mean, mixed.median), (Some(2.), Some(2.5)));
        assert_eq!(mixed.low, of(&[1., 3., 2.]).low);
        assert_eq!(mixed.five(), Some([1., 1., 2., 2., 3.]));
        for (values, shown) in [
            (&[1., nan, 1.][..], "1.00 [1.00, 1.00], 1 undefined"),
            (&[0.5, nan, infinite], "0.500, 1 infinite, 1 undefined"),
            (&[nan, nan], "2 undefined"),
            (&[infinite, infinite], "2 infinite"),
            (&[nan, infinite], "1 infinite, 1 undefined"),
            (&[0.25], "0.250"),
            (&[], "undefined"),
        ] {
            assert_eq!(Row::new(&Keys::new(), "k", of(values)).with_interval(), shown);
        }
    }

    #[test]
    fn a_share_of_all_or_none_has_a_width() {
        // Wilson's interval of 8 of 8: 8 / (8 + z²) to 1.
        let all = of_share(&[[1.; 8], [f64::NAN; 8]].concat());
        assert_eq!((all.mean, all.n, all.undefined, all.high), (Some(1.), Some(8), 8, Some(1.)));
        assert!((all.low.unwrap() - 8. / (8. + 3.841_458_8)).abs() < 1e-6);
        let none = of_share(&[0.; 8]);
        let width = 1. - all.low.unwrap();
        assert!(none.low == Some(0.) && (none.high.unwrap() - width).abs() < 1e-9);
        // 3 of 10, by Wilson (1927): 0.1078 to 0.6032.
        let shown = |values: &[f64]| Row::new(&Keys::new(), "k", of_share(values)).with_interval();
        assert_eq!(shown(&[1., 1., 1., 0., 0., 0., 0., 0., 0., 0.]), "0.300 [0.108, 0.603]");
        assert_eq!(shown(&[1.]), "1.00");
    }
}
