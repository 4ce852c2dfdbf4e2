//! Classification data: CIFAR-10, MNIST, class folders, tensor files, tables, the procedural
//! `shapes` and `simulated`, each as one tensor that lives on the device and is shuffled and augmented
//! there. Every set is held in memory whole.

mod augment;
mod batches;
mod cifar;
mod dataset;
mod describe;
pub mod fetch;
mod folder;
mod keyed;
mod mnist;
mod read;
pub mod shapes;
mod simulated;
mod spec;
mod table;
mod tensors;

pub use augment::{Augment, Move};
pub use batches::{Last, Shuffle};
pub use dataset::{Dataset, Features};
pub use describe::{Channel, Description};
pub use folder::image;
pub use spec::{KINDS, Options, Split, load};
