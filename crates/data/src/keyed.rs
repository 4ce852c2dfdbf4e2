//! Random numbers that depend on their keys alone: not on order, threads or what was drawn before.

use rand::{SeedableRng, rngs::SmallRng};

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
    SmallRng::seed_from_u64(keys.into_iter().fold(mix(purpose as u64), |hash, key| mix(hash ^ key)))
}

/// A bijection that moves every bit (the finaliser of SplitMix64; Steele, Lea & Flood 2014).
fn mix(key: u64) -> u64 {
    let key = key.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let key = (key ^ (key >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let key = (key ^ (key >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    key ^ (key >> 31)
}
