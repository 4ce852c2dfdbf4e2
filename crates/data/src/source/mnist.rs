//! `mnist:`, the files of MNIST and its like.

use super::kind::{READ, Source};
use crate::mnist;

/// In the list of kinds.
pub(super) const KIND: Source = Source {
    name: "mnist",
    about: "a folder with the four idx files, gzipped or not; Fashion-MNIST, KMNIST and EMNIST as well, of which \
         `,set=letters` picks one",
    is_folder_with: |name, is_folder| !is_folder && mnist::is_part(name),
    load: |rest, options| mnist::load(rest, options.split),
    ..READ
};
