//! What tests of several crates share. It is a dependency of tests alone: a crate that it depends on
//! uses it in its integration tests, whose types are those of the crate as others see it, and not in
//! its unit tests, whose types are their own.

pub mod onnx;
pub mod rule;
pub mod snapshot;
