//! Kinds of data, a file each, and the list of them.

mod arff;
mod cifar10;
mod cifar100;
mod csv;
mod folder;
mod kind;
mod mnist;
mod parquet;
mod pictures;
mod shapes;
mod simulated;
mod tensors;

pub use kind::{Loader, Source};

/// Every kind of data, sorted by name.
pub const SOURCES: &[Source] = &[
    arff::ENTRY,
    cifar10::ENTRY,
    cifar100::ENTRY,
    csv::ENTRY,
    folder::ENTRY,
    mnist::ENTRY,
    parquet::ENTRY,
    pictures::ENTRY,
    shapes::ENTRY,
    simulated::ENTRY,
    tensors::ENTRY,
];
