//! Sums over the pixels of maps.

use tch::{Kind, Tensor};

/// Σ of `[N, …]` over all but the images.
pub(super) fn total(t: &Tensor) -> Tensor {
    t.flatten(1, -1).sum_dim_intlist([1].as_slice(), false, None::<Kind>)
}
