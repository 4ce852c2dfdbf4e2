//! `cifar10:`, the files of CIFAR-10.

use super::kind::{Loader, READ, Source, loader};
use crate::{Dataset, Options, cifar};
use anyhow::Result;
use serde::Deserialize;
use std::path::Path;

/// In the list of kinds.
pub(super) const ENTRY: Source = Source {
    name: "cifar10",
    about: "binary or python batches: their folder, its .tar.gz, or one batch file",
    build: loader::<Cifar10>,
    is_file: |name| cifar::TEN.is_file(name),
    is_folder_with: |name, is_folder| cifar::TEN.is_inside(name, is_folder),
    ..READ
};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Cifar10 {}

impl Loader for Cifar10 {
    fn load(&self, path: &Path, how: &Options) -> Result<Dataset> {
        cifar::load(path, &cifar::TEN, how.split)
    }
}
