//! Readers of files, and the two procedural data sets: one file, or one folder, a format.

pub(crate) mod cifar;
pub(crate) mod folder;
pub(crate) mod mnist;
pub(crate) mod parquet;
pub(crate) mod picture;
pub(crate) mod read;
pub mod shapes;
pub(crate) mod simulated;
pub(crate) mod table;
pub(crate) mod tensors;
