//! What a sample says of what it was drawn from: intervals with 95 % confidence, and how likely a
//! sample that goes so far to one side would be if there were nothing on that side. Values are taken
//! as drawn independently, images at random. Why these: docs/decisions/verdicts.md.

use statrs::distribution::{ContinuousCDF, Normal, StudentsT};

mod many;
mod mean;
mod median;
mod paired;
mod share;

pub use many::{holm, simes};
pub use mean::of_mean;
pub use median::of_median;
pub use paired::{paired, told_apart};
pub use share::{of_matched, of_share};

/// The 97.5th percentile of N(0, 1).
const Z: f64 = 1.959_963_984_540_054;

/// A quantity that was estimated, and what is known of where it is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Evidence {
    /// The estimate.
    pub estimate: f64,
    /// Lower end of the 95 % interval.
    pub low: f64,
    /// Upper end.
    pub high: f64,
    /// At most this likely would so large an estimate be, were the quantity zero or less.
    pub above: f64,
    /// At most this likely would so small an estimate be, were the quantity zero or more.
    pub below: f64,
}

impl Evidence {
    /// Of minus the quantity.
    #[must_use]
    pub fn flipped(self) -> Self {
        let Evidence { estimate, low, high, above, below } = self;
        Evidence { estimate: -estimate, low: -high, high: -low, above: below, below: above }
    }
}

/// The share of Student's distribution with `freedom` degrees of freedom above `t`.
fn student_above(t: f64, freedom: f64) -> f64 {
    StudentsT::new(0., 1., freedom).map_or(f64::NAN, |student| student.sf(t))
}

/// The share of N(0, 1) above `z`.
fn normal_above(z: f64) -> f64 {
    Normal::standard().sf(z)
}

/// How likely Spearman's ρ of two orders of `n` things is `least` or more where one says nothing of
/// the other: counted for up to eight, beyond by Student's distribution of ρ √((n − 2) / (1 − ρ²)).
/// NaN for fewer than three.
pub fn rank_chance(n: usize, least: f64) -> f64 {
    if n < 3 {
        return f64::NAN;
    }
    if n > 8 {
        let rho = least.clamp(-1. + 1e-12, 1. - 1e-12);
        let freedom = n as f64 - 2.;
        return student_above(rho * (freedom / (1. - rho * rho)).sqrt(), freedom);
    }
    let mut order: Vec<usize> = (0..n).collect();
    let size = n as f64;
    let rho = |order: &[usize]| {
        let apart = order.iter().enumerate().map(|(i, &j)| (i as f64 - j as f64).powi(2));
        1. - 6. * apart.sum::<f64>() / (size * (size * size - 1.))
    };
    let (mut reached, mut all) = (0u32, 0u32);
    each_order(&mut order, 0, &mut |order| {
        all += 1;
        reached += u32::from(rho(order) >= least - 1e-9);
    });
    f64::from(reached) / f64::from(all)
}

/// Calls `of` with every order of what is behind `fixed`.
fn each_order(order: &mut Vec<usize>, fixed: usize, of: &mut dyn FnMut(&[usize])) {
    if fixed == order.len() {
        return of(order);
    }
    for next in fixed..order.len() {
        order.swap(fixed, next);
        each_order(order, fixed + 1, of);
        order.swap(fixed, next);
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use registry::seed::splitmix;

    /// Uniform draws from a counter.
    pub(crate) struct Draws(pub u64);

    impl Draws {
        pub(crate) fn uniform(&mut self) -> f64 {
            self.0 = self.0.wrapping_add(1 << 20);
            ((splitmix(self.0) >> 11) as f64 + 0.5) / (1u64 << 53) as f64
        }
    }

    /// Box & Muller.
    pub(crate) fn normal(draws: &mut Draws) -> f64 {
        let (a, b) = (draws.uniform(), draws.uniform());
        (-2. * a.ln()).sqrt() * (std::f64::consts::TAU * b).cos()
    }

    /// With mean 1.
    pub(crate) fn exponential(draws: &mut Draws) -> f64 {
        -draws.uniform().ln()
    }

    #[test]
    fn the_chance_of_a_rank_correlation_is_counted() {
        // Four things: ρ of 1 in one order of 24, of 0.8 or more in four.
        assert!((rank_chance(4, 1.) - 1. / 24.).abs() < 1e-12);
        assert!((rank_chance(4, 0.79) - 4. / 24.).abs() < 1e-12);
        assert!((rank_chance(5, 0.9) - 5. / 120.).abs() < 1e-12);
        assert!(rank_chance(2, 0.5).is_nan());
        // The tables of Spearman's ρ: 0.564 is the critical value of ten for one side of 5 %.
        assert!((rank_chance(10, 0.564) - 0.05).abs() < 0.006);
        assert!(rank_chance(10, 1.) < 1e-6 && rank_chance(8, -1.) == 1.);
    }
}
