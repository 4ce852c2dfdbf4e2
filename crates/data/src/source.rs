//! Kinds of data, a file each, and the list of them.

mod arff;
mod cifar10;
mod cifar100;
mod csv;
mod folder;
mod kind;
mod mnist;
mod shapes;
mod simulated;
mod tensors;

pub use kind::Source;

/// Every kind of data, sorted by name.
pub const SOURCES: &[Source] = &[
    arff::KIND,
    cifar10::KIND,
    cifar100::KIND,
    csv::KIND,
    folder::KIND,
    mnist::KIND,
    shapes::KIND,
    simulated::KIND,
    tensors::KIND,
];
