//! What methods and metrics share: passes over images and samples, made smaller when memory is
//! exhausted, averages of gradients, and linear surrogates.

pub(crate) mod chunks;
pub(crate) mod gradient_average;
pub mod limit;
pub(crate) mod limited;
pub(crate) mod normal_equations;
pub mod oom;
pub mod surrogate;
