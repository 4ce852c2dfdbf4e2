//! Methods that fit a linear surrogate of the network to its values around the image.

pub(super) mod clime;
pub(super) mod kernelshap;
pub(super) mod least_infidelity;
pub(super) mod lime;
