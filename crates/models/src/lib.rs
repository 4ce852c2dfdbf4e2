//! Networks written against [`Ops`], their parameters and checkpoints, gradients and keyed noise.
//! Prints nothing; reads only checkpoints.

pub mod activation;
pub mod affine;
pub mod checkpoint;
mod footprint;
pub mod graph;
pub mod jvp;
mod model;
pub mod network;
pub mod numeric;
pub mod ops;
pub mod params;
pub mod sync_norm;
pub mod toy;
pub mod zoo;

pub use activation::Activation;
pub use affine::{Affine, Conv, Norm};
pub use footprint::Footprint;
pub use grad::{Score, Target};
pub use model::Model;
pub use network::{Average, Classifier, Smoothing, Source, StandIn};
pub use numeric::{adam, finite, grad, linalg, noise, replay, shared::SharedTensor};
pub use ops::{
    BatchStatistics, Fused, HeldStatistics, Ops, Plain, Pool, SHARPNESS, Training, grown, softened,
    softened_by, softened_roughly, spreads,
};
pub use params::{Builder, Init, Params, Precision, Role};
pub use sync_norm::{Shared, SyncTraining};
pub use tensorfile::upload;
