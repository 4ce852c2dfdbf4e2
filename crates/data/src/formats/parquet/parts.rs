//! Which files hold which part of a set: `data/train-00000-of-00002.parquet`, `default/train/0000.parquet`.

use crate::{
    Split,
    folder::{Entries, TEST, TRAIN, entries},
};
use anyhow::{Result, bail, ensure};
use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};
use tensorfile::words::count;

/// Folders inside folders that are looked into.
const DEPTH: usize = 3;

/// The files of one part.
pub(super) struct Part {
    /// In the order of their names.
    pub files: Vec<PathBuf>,
    /// Whether they are all there is, without parts.
    pub whole: bool,
    pub notes: Vec<String>,
}

/// The files of `split` at `path`, a file or a folder. Errors: there is none; files of several sets.
pub(super) fn part(path: &Path, split: Split) -> Result<Part> {
    let mut files = vec![];
    match path.is_file() {
        true => files.push(path.to_owned()),
        false => collect(path, DEPTH, &mut files)?,
    }
    let told = path.display();
    ensure!(!files.is_empty(), "`{told}` holds no file that ends in .parquet");
    let mut parts: BTreeMap<Option<&str>, Vec<PathBuf>> = BTreeMap::new();
    for file in files {
        parts.entry(named(&file, path)).or_default().push(file);
    }
    let has = |names: &[&'static str]| {
        names.iter().copied().find(|name| parts.contains_key(&Some(*name)))
    };
    let (train, test) = (has(TRAIN), has(TEST));
    let whole = train.is_none() && test.is_none();
    let wanted = match (whole, split) {
        (true, _) => None,
        (false, Split::Train) => train.or(test.filter(|_| path.is_file())),
        (false, Split::Test) => test.or(train.filter(|_| path.is_file())),
    };
    let Some(files) = parts.remove(&wanted).filter(|_| whole || wanted.is_some()) else {
        bail!(
            "`{told}` has no part for {}",
            if split == Split::Train { "training" } else { "testing" }
        )
    };
    one_set(&files, path)?;
    let left: usize = match whole {
        true => 0,
        false => parts
            .iter()
            .filter(|(name, _)| **name != train && **name != test)
            .map(|p| p.1.len())
            .sum(),
    };
    let note = format!("{} of other parts passed over", count(left, "file"));
    Ok(Part {
        files,
        whole: whole || path.is_file(),
        notes: (left > 0).then_some(note).into_iter().collect(),
    })
}

/// Whether a folder that is of no other kind holds Parquet files a folder or two further down.
pub(crate) fn lies_in(folder: &Path) -> bool {
    // Class folders may be many: a look into a few says what they hold.
    let some = |folder: &Path| -> Vec<PathBuf> {
        let inside = folder.read_dir().into_iter().flatten().flatten();
        inside.take(64).map(|entry| entry.path()).collect()
    };
    let below = some(folder).into_iter().flat_map(|path| some(&path));
    let twice = below.flat_map(|path| if path.is_dir() { some(&path) } else { vec![path] });
    twice.take(4096).any(|path| is_one(&path))
}

fn is_one(file: &Path) -> bool {
    file.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("parquet"))
}

fn collect(folder: &Path, depth: usize, files: &mut Vec<PathBuf>) -> Result<()> {
    let Entries { folders, files: found } = entries(folder)?;
    files.extend(found.into_iter().filter(|file| is_one(file)));
    if depth > 0 {
        for (_, folder) in folders {
            collect(&folder, depth - 1, files)?;
        }
    }
    Ok(())
}

/// What the part of a file is called: by a word of its name, or of the folder that it is in below `root`.
fn named(file: &Path, root: &Path) -> Option<&'static str> {
    let word = |name: Option<&std::ffi::OsStr>| {
        let name = name?.to_string_lossy().to_lowercase();
        let mut words = name.split(['-', '_', '.']);
        words.find_map(|word| TRAIN.iter().chain(TEST).copied().find(|known| *known == word))
    };
    let folder = file.parent().filter(|folder| *folder != root && root.is_dir());
    word(file.file_stem()).or_else(|| word(folder?.file_name()))
}

/// Errors: files of one part in several folders, which are several sets.
fn one_set(files: &[PathBuf], path: &Path) -> Result<()> {
    let folders: BTreeSet<&Path> = files.iter().filter_map(|file| file.parent()).collect();
    let names: Vec<String> =
        folders.iter().map(|folder| format!("`{}`", folder.display())).collect();
    ensure!(
        folders.len() < 2,
        "`{}` holds several sets: {}; give one of them",
        path.display(),
        names.join(", ")
    );
    Ok(())
}
