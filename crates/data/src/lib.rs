//! Classification data: image files of several formats, tables, procedural sets, each as one tensor
//! that lives on the device and is shuffled and augmented there. Only class folders larger than a
//! given memory stay on the disk and are read as they are used.

mod dataset;
mod features;
pub mod fetch;
mod formats;
mod home;
pub mod imagenet;
pub mod names;
mod options;
mod source;
mod spec;

// Paths without the folders: `crate::folder`, `crate::stream`.
use dataset::{augment, batches, describe, holdout, images, keyed, stream};
use formats::{cifar, folder, mnist, picture, read, simulated, table, tensors};

pub use augment::{Augment, Move};
pub use batches::{Batch, Last, Shuffle};
pub use dataset::Dataset;
pub use describe::{Channel, Description};
pub use features::Features;
pub use folder::image;
pub use formats::shapes;
pub use holdout::Holdout;
pub use home::home;
pub use images::Images;
pub use options::{MEMORY, Options, Split};
pub use picture::Preprocess;
pub use source::{Loader, SOURCES, Source};
pub use spec::{load, open, place, same_place};
pub use stream::Files;
