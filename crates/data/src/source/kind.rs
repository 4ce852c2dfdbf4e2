//! What a kind of data says of itself.

use crate::{Dataset, Options};
use anyhow::{Result, ensure};
use registry::{Described, Named, Setting};
use std::path::Path;

/// A kind of data: `NAME:PATH` or, where it is drawn from a seed, `NAME:key=value`.
pub struct Source {
    /// What stands before the colon.
    pub name: &'static str,
    /// What it reads.
    pub about: &'static str,
    /// Settings of a set that is drawn.
    pub options: Described,
    /// It is drawn from a seed and has no path.
    pub(crate) is_drawn: bool,
    /// One of its columns is the label.
    pub(crate) is_table: bool,
    /// Its pictures may be read as grey or as colour.
    pub(crate) has_channels: bool,
    /// Whether a file is of this kind, by its name in lower case.
    pub(crate) is_file: fn(&str) -> bool,
    /// Whether a folder is, by the name in lower case of something in it, and whether that is a folder.
    pub(crate) is_folder_with: fn(&str, bool) -> bool,
    /// Reads what stands behind the colon.
    pub(crate) load: fn(&str, &Options) -> Result<Dataset>,
}

/// What most kinds are: read from a path that has to be named with its kind.
pub(super) const READ: Source = Source {
    name: "",
    about: "",
    options: Described::NONE,
    is_drawn: false,
    is_table: false,
    has_channels: false,
    is_file: |_| false,
    is_folder_with: |_, _| false,
    load: |_, _| unreachable!("every kind says how it is read"),
};

impl Named for Source {
    fn name(&self) -> &'static str {
        self.name
    }
    fn about(&self) -> &'static str {
        self.about
    }
    fn options(&self) -> Vec<Setting> {
        self.options.settings()
    }
}

/// The path `text`. Errors: nothing is there.
pub(super) fn existing(text: &str) -> Result<&Path> {
    let path = Path::new(text);
    ensure!(path.exists(), "no such file or folder: `{text}`");
    Ok(path)
}
