//! Classification data: CIFAR-10, MNIST, class folders, tensor files, tables, the procedural
//! `shapes` and `simulated`, each as one tensor that lives on the device and is shuffled and augmented
//! there. Only class folders larger than a given memory stay on the disk and are read as they are used.

mod augment;
mod batches;
mod cifar;
mod dataset;
mod describe;
mod features;
pub mod fetch;
mod folder;
mod images;
mod keyed;
mod mnist;
pub mod names;
mod read;
pub mod shapes;
mod simulated;
mod spec;
mod stream;
mod table;
mod tensors;

pub use augment::{Augment, Move};
pub use batches::{Batch, Last, Shuffle};
pub use dataset::Dataset;
pub use describe::{Channel, Description};
pub use features::Features;
pub use folder::image;
pub use images::Images;
pub use spec::{KINDS, MEMORY, Options, Split, load, open};
pub use stream::Files;
