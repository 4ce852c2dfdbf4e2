//! What methods share: passes over blocks of images and samples, averages of gradients, linear
//! surrogates, and the retry when memory is exhausted.

pub(crate) mod gradient_average;
pub(crate) mod normal_equations;
pub mod oom;
pub mod surrogate;
