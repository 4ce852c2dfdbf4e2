//! `folder:`, a folder of pictures a class.

use super::kind::{Loader, READ, Source, loader};
use crate::{Dataset, Options, folder};
use anyhow::Result;
use serde::Deserialize;
use std::path::Path;

/// In the list of kinds.
pub(super) const ENTRY: Source = Source {
    name: "folder",
    about: "one folder of pictures per class (png, jpeg, bmp, gif, webp, tiff, pnm; grey where the first is), perhaps in \
         train/ and test/, val/, valid/ or validation/; Tiny ImageNet; one larger than `--memory` is read while it \
         is used",
    build: loader::<Folder>,
    has_channels: true,
    ..READ
};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Folder {}

impl Loader for Folder {
    fn load(&self, path: &Path, how: &Options) -> Result<Dataset> {
        folder::load(path, how)
    }
}
