//! What no change of an image within an ℓ2 ball can do to its smoothed map: bounds that hold
//! whatever the attacker tries, from samples, with probability at least 1 − α (docs/certify.md has
//! the proofs).
//!
//! Of a method's heat map h_i says whether pixel i is among the hottest; the smoothed map is
//! p_i(x) = E h_i(x + σz), z ~ N(0, I), not cut to [0, 1] (Levine et al. 2019, Anani et al. 2025).

mod overlap;
mod pairs;
mod pixels;
pub mod probability;
mod sampling;

pub use overlap::{certified, overlap, within_reach};
pub use pairs::{Slope, log_p_value};
pub use pixels::{State, states};
pub use sampling::{Counts, Smoothing, counts, hits, most, noisy};

use probability::{lower_bound, quantile};

/// The ℓ2 radius within which the class that the smoothed network prefers stays the same (Cohen et
/// al. 2019, Theorem 1), from how often `count` of `n` noisy images had it; 0 where it is not
/// certain that it is preferred. True with probability at least 1 − α for a class chosen by other
/// samples.
pub fn prediction_radius(count: u64, n: u64, sigma: f64, alpha: f64) -> f64 {
    (sigma * quantile(lower_bound(count, n, alpha))).max(0.)
}
