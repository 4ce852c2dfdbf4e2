//! What idx files are called, and what their classes are.

use super::{file_names, first_file};
use anyhow::{Context, Result, bail};
use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

/// The pictures of Fashion-MNIST and Kuzushiji-MNIST, as torchvision calls them.
const FASHION: [&str; 10] = [
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
];
const KUZUSHIJI: [&str; 10] = ["o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo"];

/// Which files: those of EMNIST's `set`, or MNIST's.
#[derive(Clone, Copy)]
pub(super) struct Part<'a> {
    pub set: Option<&'a str>,
    pub train: bool,
}

impl Part<'_> {
    /// Every name the file of `content` with these dimensions goes by.
    fn names(&self, content: &str, dimensions: usize) -> [String; 4] {
        let part = match (self.train, self.set) {
            (true, None) => "train".into(),
            (false, None) => "t10k".into(),
            (true, Some(set)) => format!("emnist-{set}-train"),
            (false, Some(set)) => format!("emnist-{set}-test"),
        };
        let name = |sign| format!("{part}-{content}{sign}idx{dimensions}-ubyte");
        [name("-"), name("."), name("-") + ".gz", name(".") + ".gz"]
    }

    /// The file in `folder`. Errors: it is not there.
    pub fn find(&self, folder: &Path, content: &str, dimensions: usize) -> Result<PathBuf> {
        let names = self.names(content, dimensions);
        first_file(folder, &names)
            .with_context(|| format!("no `{}` (or `.gz`) in `{}`", names[0], folder.display()))
    }
}

/// The set that a file name belongs to: some name of EMNIST's, or none for MNIST's. None outside: no such name.
fn set_of(name: &str) -> Option<Option<String>> {
    let name = name.strip_suffix(".gz").unwrap_or(name);
    let set = name.strip_prefix("emnist-").and_then(|rest| rest.split('-').next());
    let is_one = [true, false].into_iter().any(|train| {
        let part = Part { set, train };
        [("images", 3), ("labels", 1)]
            .into_iter()
            .any(|(content, n)| part.names(content, n).contains(&name.to_owned()))
    });
    is_one.then(|| set.map(str::to_owned))
}

/// Whether `name` is one of the sets' file names.
pub(crate) fn is_part(name: &str) -> bool {
    set_of(name).is_some()
}

/// The sets whose files are in `folder`.
pub(super) fn sets(folder: &Path) -> Result<BTreeSet<Option<String>>> {
    Ok(file_names(folder)?.iter().filter_map(|name| set_of(name)).collect())
}

/// The folder of the files: `path`, or what torchvision and EMNIST's archive put inside.
pub(super) fn folder(path: &Path) -> Result<PathBuf> {
    if !sets(path)?.is_empty() {
        return Ok(path.to_owned());
    }
    let inside = ["raw", "MNIST/raw", "gzip"].map(|name| path.join(name));
    Ok(inside.into_iter().find(|path| path.is_dir()).unwrap_or(path.to_owned()))
}

/// Name and classes of the set that the folder's name, or that of one around it, speaks of.
pub(super) fn said_by(folder: &Path) -> Option<(String, Vec<String>)> {
    let folder = folder.canonicalize().unwrap_or(folder.to_owned());
    let around = folder.ancestors().take(3).filter_map(|path| path.file_name());
    around.map(|name| name.to_string_lossy().to_lowercase()).find_map(|name| {
        let owned = |classes: [&str; 10]| classes.map(str::to_owned).to_vec();
        match name.as_str() {
            name if name.contains("fashion") => Some(("fashion-mnist".into(), owned(FASHION))),
            name if name.contains("kmnist") || name.contains("kuzushiji") => {
                Some(("kmnist".into(), owned(KUZUSHIJI)))
            }
            "mnist" => Some(("mnist".into(), digits(10))),
            _ => None,
        }
    })
}

/// Name and classes of EMNIST's `set`, as its mapping beside the files says; none without one. Errors: a line
/// that is no label with the codes of its letters.
pub(super) fn mapped(folder: &Path, set: &str) -> Result<Option<(String, Vec<String>)>> {
    let path = folder.join(format!("emnist-{set}-mapping.txt"));
    if !path.is_file() {
        return Ok(None);
    }
    let text = tensorfile::foreign::read_text(&path)?;
    // Labels that are not used, such as 0 of the letters, are called so by torchvision.
    let mut classes: Vec<String> = vec![];
    for (i, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let numbers: Option<Vec<u8>> =
            line.split_whitespace().map(|word| word.parse().ok()).collect();
        // Of a capital and a small letter that are one class the small one is its name.
        let Some([label, .., code]) = numbers.as_deref() else {
            bail!("`{}` line {} is no label with the codes of its letters", path.display(), i + 1);
        };
        let label = usize::from(*label);
        classes.resize(classes.len().max(label + 1), "N/A".into());
        classes[label] = char::from(*code).into();
    }
    Ok((!classes.is_empty()).then(|| (format!("emnist-{set}"), classes)))
}

/// Name and classes where nothing says what the classes are.
pub(super) fn unknown(set: Option<&str>, labels: &[u8]) -> (String, Vec<String>) {
    match set {
        None => ("mnist".into(), digits(10)),
        Some(set) => {
            let most = labels.iter().max().map_or(0, |&label| usize::from(label));
            (format!("emnist-{set}"), digits(most + 1))
        }
    }
}

fn digits(count: usize) -> Vec<String> {
    (0..count).map(|digit| digit.to_string()).collect()
}
