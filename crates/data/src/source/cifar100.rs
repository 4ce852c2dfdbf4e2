//! `cifar100:`, the files of CIFAR-100.

use super::kind::{READ, Source, existing};
use crate::{Dataset, Options, cifar};
use anyhow::{Result, bail};

/// In the list of kinds.
pub(super) const KIND: Source = Source {
    name: "cifar100",
    about: "the same of CIFAR-100; with `,labels=coarse` its 20 groups of classes",
    is_file: |name| cifar::FINE.is_file(name),
    is_folder_with: |name, is_folder| cifar::FINE.is_inside(name, is_folder),
    load,
    ..READ
};

/// Reads `rest`, a path and perhaps `,labels=coarse`.
fn load(rest: &str, options: &Options) -> Result<Dataset> {
    let (path, labels) = rest.rsplit_once(",labels=").unwrap_or((rest, "fine"));
    let path = existing(path)?;
    let format = match labels {
        "fine" => &cifar::FINE,
        "coarse" => &cifar::COARSE,
        other => bail!("`labels={other}` of `cifar100` is neither fine nor coarse"),
    };
    cifar::load(path, format, options.split)
}
