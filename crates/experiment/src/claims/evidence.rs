//! What the images of a case say of a contrast.

use super::relation::Contrast;
use results::{
    ONE_MAKES_IT, Sample,
    inference::{Evidence, of_matched, of_mean, of_median, of_share},
};

/// With fewer images nothing is decided.
const FEWEST: usize = 8;

/// Which middle of the images is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Middle {
    /// The mean of the differences.
    Mean,
    /// Their median.
    Median,
    /// The mean of the differences of logarithms: the ratio of geometric means.
    Geometric,
}

impl Middle {
    /// From the name of a statistic; none of one that no difference of images has.
    pub fn of(statistic: &str) -> Option<Self> {
        match statistic {
            "mean" => Some(Middle::Mean),
            "median" => Some(Middle::Median),
            "geometric" => Some(Middle::Geometric),
            _ => None,
        }
    }
}

/// Of one value an image and number, `columns`, the evidence that a contrast is above or below zero:
/// images that lack a value are left out. Of shares by their own tests, of medians by order
/// statistics, else by the bootstrap over images: the same seed draws the same images for every
/// contrast. Errors, in words: why nothing can be said.
pub(super) fn evidence(
    contrast: &Contrast,
    columns: &[&[f64]],
    middle: Middle,
    seed: u64,
) -> Result<Evidence, String> {
    let images = columns[contrast.terms[0].0].len();
    if contrast.terms.iter().any(|(i, _)| columns[*i].len() != images) {
        return Err("not of the same images".into());
    }
    let value = |column: usize, image: usize| match columns[column][image] {
        v if middle != Middle::Geometric => v,
        v if v > 0. => v.ln(),
        _ => f64::NAN,
    };
    let sum = |image| {
        let terms = contrast.terms.iter().map(|(i, factor)| factor * value(*i, image));
        terms.sum::<f64>() + contrast.constant
    };
    let differences: Vec<f64> = (0..images).map(sum).filter(|d| !d.is_nan()).collect();
    let finite = differences.iter().filter(|d| d.is_finite()).count();
    if finite < FEWEST {
        return Err(format!("{finite} images, of {FEWEST} at least"));
    }
    let found = match middle {
        Middle::Median => of_median(&differences),
        Middle::Mean if shares(contrast, columns) => of_shares(contrast, &differences),
        _ if Sample::spread_of_one(&differences) > ONE_MAKES_IT => {
            return Err("one image makes the mean; the median may be asked for".into());
        }
        _ => of_mean(&differences, seed),
    };
    found.ok_or_else(|| format!("{finite} images"))
}

/// Whether it is a share beside a limit between 0 and 1, or one share less another.
fn shares(contrast: &Contrast, columns: &[&[f64]]) -> bool {
    let asked = match contrast.terms[..] {
        [(_, factor)] => factor.abs() == 1. && (0.0..=1.0).contains(&contrast.constant.abs()),
        [(_, a), (_, b)] => a.abs() == 1. && a + b == 0. && contrast.constant == 0.,
        _ => false,
    };
    let counted = |v: &f64| v.is_nan() || *v == 0. || *v == 1.;
    asked && contrast.terms.iter().all(|(i, _)| columns[*i].iter().all(counted))
}

fn of_shares(contrast: &Contrast, differences: &[f64]) -> Option<Evidence> {
    let [(_, factor)] = contrast.terms[..] else { return of_matched(differences) };
    let n = differences.len() as f64;
    let share = differences.iter().map(|d| factor * (d - contrast.constant)).sum::<f64>() / n;
    let found = of_share(share, differences.len(), -factor * contrast.constant)?;
    Some(if factor > 0. { found } else { found.flipped() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn apart() -> Contrast {
        Contrast { terms: vec![(1, 1.), (0, -1.)], constant: 0. }
    }

    fn of(columns: [&[f64]; 2], middle: Middle) -> Result<Evidence, String> {
        evidence(&apart(), &columns, middle, 1)
    }

    #[test]
    fn images_are_paired_and_what_is_undefined_is_left_out() {
        let first: Vec<f64> = (0..40).map(|i| f64::from(i * i)).collect();
        let mut second: Vec<f64> = first.iter().map(|v| v + 1.).collect();
        // The second is larger at every image, by much less than images differ.
        for (i, value) in second.iter_mut().enumerate() {
            *value += (i % 3) as f64 / 10.;
        }
        second[7] = f64::NAN;
        let found = of([&first, &second], Middle::Mean).unwrap();
        assert!(found.low > 1. && found.high < 1.2 && found.above < 1e-6, "{found:?}");
        let median = of([&first, &second], Middle::Median).unwrap();
        assert!(median.low >= 1. && median.above < 1e-6);
        let ratio = of([&second, &second], Middle::Geometric).unwrap();
        assert!(ratio.estimate == 0. && ratio.above == 1.);
        assert_eq!(of([&first, &second[1..]], Middle::Mean).unwrap_err(), "not of the same images");
        assert!(of([&first[..5], &second[..5]], Middle::Mean).unwrap_err().contains("5 images"));
    }

    #[test]
    fn one_image_does_not_decide() {
        let first = vec![0.5; 64];
        let mut second: Vec<f64> = (0..64).map(|i| 0.5 + f64::from(i % 5) / 1000.).collect();
        second[0] = 35_059.;
        let told = of([&first, &second], Middle::Mean).unwrap_err();
        assert!(told.contains("one image makes the mean"), "{told}");
        assert!(of([&first, &second], Middle::Median).is_ok());
    }

    #[test]
    fn shares_have_their_own_tests() {
        let all = vec![1.; 24];
        let above = |at: f64| Contrast { terms: vec![(0, 1.)], constant: -at };
        let found = evidence(&above(0.9), &[&all], Middle::Mean, 1).unwrap();
        assert!(found.low < 0. && found.above > 0.025, "24 of 24 may be fewer than 0.9 of all");
        let below = evidence(&above(0.5).flipped(), &[&all], Middle::Mean, 1).unwrap();
        assert!(below.below < 1e-5 && below.above > 0.99 && (below.estimate + 0.5).abs() < 1e-12);
        let none = vec![0.; 24];
        let found = of([&none, &all], Middle::Mean).unwrap();
        assert!(found.estimate == 1. && found.low < 1. && found.above < 1e-6);
    }
}
