//! `tensors:`, safetensors files of images and labels.

use super::kind::{Loader, READ, Source, loader};
use crate::{Dataset, Options, dataset::fitted, tensors};
use anyhow::Result;
use registry::{Text, described};
use serde::{Deserialize, Serialize};
use std::path::Path;

/// In the list of kinds.
pub(super) const ENTRY: Source = Source {
    name: "tensors",
    about: "a safetensors file with `images` and `labels`, or a folder with train and test: `tensors:PATH`, or of \
         a file that an attack wrote `tensors:FILE,images=adversarial`",
    options: described::<Tensors>(&[("images", "name of the tensor that is taken as the images")]),
    build: loader::<Tensors>,
    is_file: |name| name.ends_with(".safetensors"),
    is_folder_with: |name, is_folder| {
        !is_folder && ["train.safetensors", "test.safetensors"].contains(&name)
    },
    ..READ
};

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
struct Tensors {
    images: Text,
}

impl Default for Tensors {
    fn default() -> Self {
        Tensors { images: Text("images".into()) }
    }
}

impl Loader for Tensors {
    fn load(&self, path: &Path, how: &Options) -> Result<Dataset> {
        let set = tensors::load(path, how.split, &self.images.0)?;
        fitted::fitted(set, how.features.as_ref())
    }
}
