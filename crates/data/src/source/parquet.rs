//! `parquet:`, pictures in the rows of Parquet files, as Hugging Face has them.

use super::kind::{Loader, READ, Source, loader};
use crate::{Dataset, Options, formats::parquet};
use anyhow::Result;
use serde::Deserialize;
use std::path::Path;

/// In the list of kinds.
pub(super) const ENTRY: Source = Source {
    name: "parquet",
    about: "a Parquet file or a folder of them, as Hugging Face stores datasets: a column of encoded pictures, and \
            one of classes, whose names are in the file; parts by the files' names (train-…, test-…, validation-…)",
    build: loader::<Parquet>,
    has_channels: true,
    has_label_column: true,
    is_file: |name| name.ends_with(".parquet"),
    is_folder_with: |name, is_folder| !is_folder && name.ends_with(".parquet"),
    ..READ
};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Parquet {}

impl Loader for Parquet {
    fn load(&self, path: &Path, how: &Options) -> Result<Dataset> {
        parquet::load(path, how)
    }
}
