//! `cifar10:`, the files of CIFAR-10.

use super::kind::{READ, Source, existing};
use crate::cifar;

/// In the list of kinds.
pub(super) const KIND: Source = Source {
    name: "cifar10",
    about: "binary or python batches: their folder, its .tar.gz, or one batch file",
    is_file: |name| cifar::TEN.is_file(name),
    is_folder_with: |name, is_folder| cifar::TEN.is_inside(name, is_folder),
    load: |rest, options| cifar::load(existing(rest)?, &cifar::TEN, options.split),
    ..READ
};
