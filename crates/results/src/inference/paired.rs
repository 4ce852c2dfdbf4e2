//! Two numbers of the same images.

use super::{Evidence, holm, of_matched, of_mean};
use crate::{Better, ONE_MAKES_IT, Row, Sample};

/// With fewer images nothing is told apart.
const FEWEST: usize = 8;
/// How often numbers that are equal may be told apart.
const LEVEL: f64 = 0.05;

/// How far the mean of `a` is above that of `b`, from one value an image of both, in the same order;
/// images that lack one are left out. Shares by their own test, else by the bootstrap. None: not of
/// as many images, fewer than eight of them, or one image makes the difference.
pub fn paired(a: &[f64], b: &[f64]) -> Option<Evidence> {
    if a.len() != b.len() {
        return None;
    }
    let differences: Vec<f64> =
        a.iter().zip(b).map(|(a, b)| a - b).filter(|d| d.is_finite()).collect();
    if differences.len() < FEWEST {
        return None;
    }
    let counted = |v: &f64| v.is_nan() || *v == 0. || *v == 1.;
    if a.iter().chain(b).all(counted) {
        return of_matched(&differences);
    }
    if Sample::spread_of_one(&differences) > ONE_MAKES_IT {
        return None;
    }
    of_mean(&differences, 0)
}

/// Which of several numbers of the same images are told apart: `better[i][j]` where the `i`th is better
/// than the `j`th by a paired test, Holm's correction over all pairs at 5 %. What kept no values is
/// told from nothing.
pub fn told_apart(rows: &[&Row], way: Better) -> Vec<Vec<bool>> {
    let mut found = vec![vec![false; rows.len()]; rows.len()];
    let pairs: Vec<(usize, usize, Evidence)> = (0..rows.len())
        .flat_map(|i| (0..i).map(move |j| (i, j)))
        .filter_map(|(i, j)| Some((i, j, paired(&rows[i].values, &rows[j].values)?)))
        .collect();
    let chances: Vec<f64> = pairs.iter().map(|(_, _, e)| 2. * e.above.min(e.below)).collect();
    for ((i, j, evidence), chance) in pairs.iter().zip(holm(&chances)) {
        if chance > LEVEL || way == Better::Neither {
            continue;
        }
        let larger = evidence.above < evidence.below;
        match larger == (way == Better::Higher) {
            true => found[*i][*j] = true,
            false => found[*j][*i] = true,
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Keys;
    use crate::inference::tests::{Draws, normal};

    fn rows(shifts: &[f64], spread: f64) -> Vec<Row> {
        let mut draws = Draws(9);
        let images: Vec<f64> = (0..40).map(|_| normal(&mut draws)).collect();
        let row = |shift: &f64| {
            let values = images.iter().map(|v| v + shift + spread * normal(&mut draws)).collect();
            Row::new(&Keys::new(), "k", Sample::over_images(values, 0))
        };
        shifts.iter().map(row).collect()
    }

    #[test]
    fn what_differs_image_by_image_is_told_apart_although_intervals_overlap() {
        let rows = rows(&[0., 0.2, 0.201], 0.05);
        let overlap = rows[0].number.high.unwrap() > rows[1].number.low.unwrap();
        assert!(overlap, "{:?} {:?}", rows[0].number, rows[1].number);
        let all: Vec<&Row> = rows.iter().collect();
        let higher = told_apart(&all, Better::Higher);
        assert_eq!(higher[1], [true, false, false]);
        assert_eq!(higher[2], [true, false, false]);
        assert_eq!(higher[0], [false; 3]);
        assert_eq!(told_apart(&all, Better::Lower)[0], [false, true, true]);
        assert_eq!(told_apart(&all, Better::Neither), vec![vec![false; 3]; 3]);
    }

    #[test]
    fn noise_and_what_kept_no_values_is_not_told_apart() {
        let mut rows = rows(&[0., 0., 0.], 1.);
        rows[2].values.clear();
        let all: Vec<&Row> = rows.iter().collect();
        assert_eq!(told_apart(&all, Better::Higher), vec![vec![false; 3]; 3]);
        assert_eq!(paired(&[1.; 9], &[0.; 8]), None);
        assert_eq!(paired(&[1.; 7], &[0.; 7]), None);
        // All of twenty against none, and a single image that makes the mean.
        assert!(paired(&[1.; 20], &[0.; 20]).unwrap().above < 1e-6);
        let mut one: Vec<f64> = (0..64).map(|i| f64::from(i % 5) / 1000.).collect();
        one[0] = 35_059.;
        assert_eq!(paired(&one, &[0.25; 64]), None);
    }
}
