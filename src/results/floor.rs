//! How far maps of the same image are apart where nothing but the method's draws differs: what an
//! attack has to go beyond to have moved anything.

use super::of_images;
use ::results::{Better, Keys, Number, Sample, Table};
use tch::Tensor;

/// The ending of the name of a floor, and of whether a number lies below it.
pub const FLOOR: &str = "-floor";
/// See [`FLOOR`].
pub const BELOW: &str = "-below-floor";

/// Standard errors of the mean difference by which a number has to lie beyond its floor.
const APART: f64 = 2.;

/// Of one similarity.
pub struct Floor {
    /// Of the clean maps under two sets of draws.
    pub number: Sample,
    /// Whether the attacked maps are further from the clean ones; none where nothing is defined.
    pub below: Option<bool>,
}

impl Floor {
    /// Per image, `[N]`, NaN where undefined: `values` of clean and attacked maps, `floors` of clean
    /// maps, both under two sets of draws. `better` says which way maps are alike.
    pub fn of(better: Better, values: &Tensor, floors: &Tensor) -> Self {
        let gap = if better == Better::Lower { values - floors } else { floors - values };
        let gap = of_images(&gap, None);
        let clear = |mean: f64| mean > 0. && mean > APART * gap.stderr.unwrap_or(0.);
        Floor { number: of_images(floors, None), below: gap.mean.map(clear) }
    }

    /// Adds the rows of similarity `name` at what `of` names.
    pub fn push(&self, rows: &mut Table, of: &Keys, name: &str) {
        rows.push(of, &format!("{name}{FLOOR}"), self.number.clone());
        let below = self.below.map(|below| f64::from(u8::from(below)));
        rows.push(of, &format!("{name}{BELOW}"), Number { mean: below, ..Number::default() });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_lies_below_is_beyond_noise() {
        let below = |better, values: &[f64], floors: &[f64]| {
            Floor::of(better, &Tensor::from_slice(values), &Tensor::from_slice(floors)).below
        };
        let floors = [0.4, 0.2, 0.3, 0.3];
        assert_eq!(below(Better::Higher, &[0.1, 0., 0.05, 0.1], &floors), Some(true));
        assert_eq!(below(Better::Lower, &[0.1, 0., 0.05, 0.1], &floors), Some(false));
        assert_eq!(below(Better::Higher, &[0.1, 0.5, 0.2, 0.3], &floors), Some(false));
        assert_eq!(below(Better::Higher, &floors, &floors), Some(false), "nothing moved");
        assert_eq!(below(Better::Higher, &[0.9; 4], &[1.; 4]), Some(true), "no draws, no noise");
        assert_eq!(below(Better::Higher, &[f64::NAN; 4], &floors), None);
    }
}
