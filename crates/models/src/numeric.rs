//! Mathematics that networks, methods and attacks share: gradients, factorisations that cannot panic,
//! keyed noise, Adam's direction, and the check that numbers are finite.

pub mod adam;
pub mod finite;
pub mod grad;
pub mod linalg;
pub mod noise;
