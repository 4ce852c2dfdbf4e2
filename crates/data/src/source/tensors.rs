//! `tensors:`, safetensors files of images and labels.

use super::kind::{READ, Source};
use crate::{features, tensors};

/// In the list of kinds.
pub(super) const KIND: Source = Source {
    name: "tensors",
    about: "a safetensors file with `images` and `labels`, or a folder with train and test; of a file that an \
         attack wrote, `tensors:FILE,images=adversarial` takes the attacked images",
    is_file: |name| name.ends_with(".safetensors"),
    is_folder_with: |name, is_folder| {
        !is_folder && ["train.safetensors", "test.safetensors"].contains(&name)
    },
    load: |rest, options| {
        features::fitted(tensors::load(rest, options.split)?, options.features.as_ref())
    },
    ..READ
};
