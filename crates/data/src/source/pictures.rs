//! `pictures:`, files of pictures without classes.

use super::kind::{Loader, READ, Source, loader};
use crate::{Dataset, Options, folder};
use anyhow::Result;
use serde::Deserialize;
use std::path::Path;

/// In the list of kinds.
pub(super) const ENTRY: Source = Source {
    name: "pictures",
    about: "pictures without labels, for `explain`: one file, a folder with files alone, or a pattern in quotes \
            such as `'photos/*.jpg'`; in the order of their names",
    build: loader::<Pictures>,
    has_channels: true,
    takes_patterns: true,
    ..READ
};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Pictures {}

impl Loader for Pictures {
    fn load(&self, path: &Path, how: &Options) -> Result<Dataset> {
        folder::unlabelled(path, how)
    }
}
