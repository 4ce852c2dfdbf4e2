//! `mnist:`, the files of MNIST and its like.

use super::kind::{Loader, READ, Source, loader};
use crate::{Dataset, Options, mnist};
use anyhow::Result;
use registry::{Text, described};
use serde::{Deserialize, Serialize};
use std::path::Path;

/// In the list of kinds.
pub(super) const ENTRY: Source = Source {
    name: "mnist",
    about: "a folder with the four idx files, gzipped or not; Fashion-MNIST, KMNIST and EMNIST as well: \
         `mnist:PATH`, or with options `mnist:PATH,set=letters`",
    options: described::<Mnist>(&[(
        "set",
        "one of EMNIST's sets, such as letters; needed where the folder holds several",
    )]),
    build: loader::<Mnist>,
    is_folder_with: |name, is_folder| !is_folder && mnist::is_part(name),
    ..READ
};

#[derive(Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
struct Mnist {
    set: Option<Text>,
}

impl Loader for Mnist {
    fn load(&self, path: &Path, how: &Options) -> Result<Dataset> {
        mnist::load(path, self.set.as_ref().map(|set| set.0.as_str()), how.split)
    }
}
