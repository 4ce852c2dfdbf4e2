//! What a kind of data says of itself.

use crate::{Dataset, Options};
use anyhow::Result;
use registry::{Described, Named, Setting};
use serde::de::DeserializeOwned;
use std::path::Path;
use toml::Table;

/// Reads one kind of data; its fields are the options behind the path.
///
/// ```
/// use data::{SOURCES, Split};
/// use std::path::Path;
///
/// let shapes = registry::find("kind of data", SOURCES, "shapes")?;
/// let loader = (shapes.build)("train = 6\ntest = 4".parse()?)?;
/// assert_eq!(loader.load(Path::new(""), &Split::Test.into())?.len(), 4);
/// # Ok::<(), anyhow::Error>(())
/// ```
pub trait Loader {
    /// What `how` asks for of the data at `path`, on the CPU. The path exists or is a pattern, where the
    /// kind takes those; of a set that is drawn it is empty. Errors name the file and what is wrong.
    fn load(&self, path: &Path, how: &Options) -> Result<Dataset>;
}

/// A kind of data: `NAME:PATH,key=value` or, where it is drawn from a seed, `NAME:key=value`.
pub struct Source {
    /// What stands before the colon.
    pub name: &'static str,
    /// What it reads.
    pub about: &'static str,
    /// What may stand behind the path.
    pub options: Described,
    /// Its loader with these options.
    pub build: fn(Table) -> Result<Box<dyn Loader>>,
    /// It is drawn from a seed and has no path.
    pub(crate) is_drawn: bool,
    /// One of its columns is the label, which can be named.
    pub(crate) has_label_column: bool,
    /// Its pictures may be read as grey or as colour.
    pub(crate) has_channels: bool,
    /// Its path may have `*`, `?` and `[…]` in it.
    pub(crate) takes_patterns: bool,
    /// Whether a file is of this kind, by its name in lower case.
    pub(crate) is_file: fn(&str) -> bool,
    /// Whether a folder is, by the name in lower case of something in it, and whether that is a folder.
    pub(crate) is_folder_with: fn(&str, bool) -> bool,
}

/// What most kinds are: read from a path that has to be named with its kind.
pub(super) const READ: Source = Source {
    name: "",
    about: "",
    options: Described::NONE,
    build: |_| unreachable!("every kind says how it is read"),
    is_drawn: false,
    has_label_column: false,
    has_channels: false,
    takes_patterns: false,
    is_file: |_| false,
    is_folder_with: |_, _| false,
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

/// The loader whose options `table` has, where there is nothing else to check.
pub(super) fn loader<L>(table: Table) -> Result<Box<dyn Loader>>
where
    L: Loader + DeserializeOwned + 'static,
{
    Ok(Box::new(registry::options::<L>(table)?))
}
