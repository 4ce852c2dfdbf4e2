//! Shares of images: a share and a number (Wilson 1927), two shares of the same images (Agresti & Min
//! 2005). Unlike resamples, both know that all of few images are not all of all.

use super::{Evidence, Z, normal_above};

/// How far a share of `n` images is above `limit`, by the score test, whose interval is Wilson's; a
/// share has a width at 0 and 1 too. None of fewer than two images.
pub fn of_share(share: f64, n: usize, limit: f64) -> Option<Evidence> {
    if n < 2 {
        return None;
    }
    let (n, z) = (n as f64, Z);
    let centre = (share + z * z / (2. * n)) / (1. + z * z / n);
    let spread = (share * (1. - share) / n + z * z / (4. * n * n)).sqrt() * z / (1. + z * z / n);
    let end = |at: f64| at.clamp(0., 1.) - limit;
    let error = (limit * (1. - limit) / n).sqrt();
    // A limit that no share can be beyond is on one side of all of them.
    let score = if error > 0. { (share - limit) / error } else { f64::NAN };
    let [above, below] = [score, -score].map(normal_above);
    let [above, below] = [above, below].map(|p| if p.is_nan() { 1. } else { p });
    let (low, high) = (end(centre - spread), end(centre + spread));
    Some(Evidence { estimate: share - limit, low, high, above, below })
}

/// Of the differences −1, 0, 1 of two shares of the same images: Wald's interval after half an image
/// more in each of the four cells. None of fewer than two images.
pub fn of_matched(differences: &[f64]) -> Option<Evidence> {
    if differences.len() < 2 {
        return None;
    }
    let count = |of: f64| differences.iter().filter(|d| **d == of).count() as f64;
    let (more, fewer, n) = (count(1.) + 0.5, count(-1.) + 0.5, differences.len() as f64 + 2.);
    let apart = (more - fewer) / n;
    let error = ((more + fewer - n * apart * apart) / n / n).sqrt();
    let [above, below] = [apart, -apart].map(|apart| normal_above(apart / error));
    Some(Evidence {
        estimate: differences.iter().sum::<f64>() / differences.len() as f64,
        low: (apart - Z * error).max(-1.),
        high: (apart + Z * error).min(1.),
        above,
        below,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inference::tests::Draws;

    #[test]
    fn a_share_of_all_or_none_has_a_width() {
        // Wilson's interval of 8 of 8: 8 / (8 + z²) to 1.
        let all = of_share(1., 8, 0.).unwrap();
        assert!((all.low - 8. / (8. + Z * Z)).abs() < 1e-9 && all.high == 1.);
        let none = of_share(0., 8, 0.).unwrap();
        assert!(none.low == 0. && (none.high - 1. + all.low).abs() < 1e-9);
        // 3 of 10, by Wilson (1927): 0.1078 to 0.6032.
        let three = of_share(0.3, 10, 0.).unwrap();
        assert!((three.low - 0.1078).abs() < 1e-4 && (three.high - 0.6032).abs() < 1e-4);
        assert_eq!(of_share(1., 1, 0.), None);
        // 24 of 24 do not show more than 0.9, 60 of 60 do.
        let [few, many] = [24, 60].map(|n| of_share(1., n, 0.9).unwrap());
        assert!(few.low < 0. && few.above > 0.025 && many.low > 0. && many.above < 0.025);
    }

    #[test]
    fn matched_shares_are_those_of_agresti_and_min() {
        // 12 images gained, 3 lost, of 50: (12.5 − 3.5) / 52 ± 1.96 √((16 − 81 / 52) / 52²).
        let differences = [vec![1.; 12], vec![-1.; 3], vec![0.; 35]].concat();
        let found = of_matched(&differences).unwrap();
        let error = (16f64 - 81. / 52.).sqrt() / 52.;
        assert!((found.estimate - 0.18).abs() < 1e-12);
        assert!((found.low - 9. / 52. + Z * error).abs() < 1e-12);
        assert!(found.above < 0.025 && found.low > 0.);
        let none = of_matched(&[0.; 30]).unwrap();
        assert!(none.low < 0. && none.high > 0. && (none.above - 0.5).abs() < 1e-9);
    }

    #[test]
    fn matched_shares_that_are_equal_are_seldom_called_different() {
        let mut draws = Draws(11);
        let called = |_| {
            let differences: Vec<f64> = (0..24)
                .map(|_| match draws.uniform() {
                    u if u < 0.1 => 1.,
                    u if u < 0.2 => -1.,
                    _ => 0.,
                })
                .collect();
            let found = of_matched(&differences).unwrap();
            found.above <= 0.025 || found.below <= 0.025
        };
        let share = (0..1000).map(called).filter(|called| *called).count() as f64 / 1000.;
        assert!(share <= 0.06, "{share}");
    }
}
