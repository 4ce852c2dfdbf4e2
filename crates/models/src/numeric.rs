//! Mathematics that networks, methods and attacks share: gradients, factorisations that cannot panic,
//! keyed noise, Adam's direction, the check that numbers are finite, work that is replayed and
//! tensors that threads share.

pub mod adam;
pub mod finite;
pub mod grad;
pub mod linalg;
pub mod noise;
pub mod replay;
pub mod shared;
