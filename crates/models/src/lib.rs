//! Networks written against [`Ops`], their parameters and checkpoints, gradients, keyed noise, and
//! the registry that every family of gradproof is made from. Prints nothing; reads only checkpoints.

pub mod adam;
pub mod affine;
pub mod checkpoint;
pub mod finite;
mod footprint;
pub mod grad;
pub mod linalg;
pub mod network;
pub mod noise;
pub mod ops;
pub mod params;
pub mod registry;
pub mod tangent;
pub mod tape;
pub mod toy;
mod usable;
pub mod zoo;

pub use affine::{Affine, Conv};
pub use footprint::Footprint;
pub use grad::{Score, Target};
pub use network::{Classifier, Model, softened};
pub use ops::{Activation, BatchStatistics, Fused, Ops, Plain, Pool, Training};
pub use params::{Builder, Init, Params, Precision};
pub use tape::{Shared, Tape};
