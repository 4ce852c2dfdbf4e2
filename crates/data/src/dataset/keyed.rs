//! Random numbers that depend on their keys alone: not on order, threads or what was drawn before.

use rand::{SeedableRng, rngs::SmallRng};
use registry::seed::splitmix;

/// What a stream of random numbers is for, so that no two purposes share one.
#[derive(Clone, Copy)]
pub(crate) enum Purpose {
    /// The order of an epoch.
    Order = 1,
    /// The crop and flip of one image.
    Augment = 2,
    /// One image of `shapes`.
    Shapes = 3,
    /// Which rows of a table are for training.
    Split = 4,
    /// One point of `simulated`.
    Simulated = 5,
    /// Which images of data without parts are for testing.
    Holdout = 6,
}

/// The generator of `purpose` for these keys (seed, epoch, index, …).
pub(crate) fn generator(purpose: Purpose, keys: [u64; 3]) -> SmallRng {
    SmallRng::seed_from_u64(
        keys.into_iter().fold(splitmix(purpose as u64), |hash, key| splitmix(hash ^ key)),
    )
}
