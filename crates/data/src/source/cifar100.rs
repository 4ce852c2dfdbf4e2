//! `cifar100:`, the files of CIFAR-100.

use super::kind::{Loader, READ, Source, loader};
use crate::{Dataset, Options, cifar};
use anyhow::Result;
use registry::described;
use serde::{Deserialize, Serialize};
use std::path::Path;

/// In the list of kinds.
pub(super) const ENTRY: Source = Source {
    name: "cifar100",
    about: "the same of CIFAR-100: `cifar100:PATH`, or with options `cifar100:PATH,labels=coarse`",
    options: described::<Cifar100>(&[("labels", "fine: 100 classes; coarse: 20 groups of them")]),
    build: loader::<Cifar100>,
    is_file: |name| cifar::FINE.is_file(name),
    is_folder_with: |name, is_folder| cifar::FINE.is_inside(name, is_folder),
    ..READ
};

#[derive(Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
struct Cifar100 {
    labels: Labels,
}

#[derive(Default, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
enum Labels {
    #[default]
    Fine,
    Coarse,
}

impl Loader for Cifar100 {
    fn load(&self, path: &Path, how: &Options) -> Result<Dataset> {
        let format = match self.labels {
            Labels::Fine => &cifar::FINE,
            Labels::Coarse => &cifar::COARSE,
        };
        cifar::load(path, format, how.split)
    }
}
