//! What an optimiser climbs.

use tch::Tensor;

/// A value per image, as large as can be. Whoever is behind it is shown every iterate and may keep
/// the best ones ([`crate::Best`]); nothing here waits for the device.
pub trait Objective {
    /// Images `[N, C, H, W]` in iteration number `iteration`, from 0 -> their values `[N]` and the
    /// gradient of the sum of these.
    fn value_and_grad(&self, x: &Tensor, iteration: u32) -> (Tensor, Tensor);

    /// Images `[N, C, H, W]` -> their values `[N]`.
    fn value(&self, x: &Tensor) -> Tensor;

    /// Is shown the last iterate of an optimiser that does not need its value.
    fn last(&self, x: &Tensor) {
        let _ = self.value(x);
    }
}
