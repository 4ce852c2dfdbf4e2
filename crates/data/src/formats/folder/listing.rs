//! What is in a folder: sorted, without what archivers and desktops leave there, with a count of what is passed
//! over.

use crate::picture;
use anyhow::{Context, Result, ensure};
use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};
use tensorfile::words::count;

/// Folders by their names, and files, sorted.
pub(crate) struct Entries {
    pub folders: Vec<(String, PathBuf)>,
    pub files: Vec<PathBuf>,
}

/// What the folder holds, links followed. Errors: it cannot be read.
pub(crate) fn entries(folder: &Path) -> Result<Entries> {
    let told = || format!("cannot read the folder `{}`", folder.display());
    let mut found = Entries { folders: vec![], files: vec![] };
    for entry in folder.read_dir().with_context(told)? {
        let entry = entry.with_context(told)?;
        let (name, path) = (entry.file_name().to_string_lossy().into_owned(), entry.path());
        match (is_junk(&name), path.is_dir()) {
            (true, _) => {}
            (false, true) => found.folders.push((name, path)),
            (false, false) => found.files.push(path),
        }
    }
    found.folders.sort();
    found.files.sort();
    Ok(found)
}

/// The folders inside that hold anything, by name.
pub(super) fn filled(folder: &Path) -> Result<Vec<String>> {
    let mut found = vec![];
    for (name, path) in entries(folder)?.folders {
        let told = || format!("cannot read the folder `{}`", path.display());
        let mut inside = path.read_dir().with_context(told)?.flatten();
        let some = inside.any(|entry| !is_junk(&entry.file_name().to_string_lossy()));
        found.extend(some.then_some(name));
    }
    Ok(found)
}

/// Whether `name` is nobody's data: hidden files, `._x` of macOS and checkpoints of notebooks among them.
pub(crate) fn is_junk(name: &str) -> bool {
    let known = ["__macosx", "thumbs.db", "desktop.ini"];
    name.starts_with('.') || known.contains(&name.to_lowercase().as_str())
}

/// The pictures of the class `folder`, directly in it and in a folder `images` inside. Errors: there is none.
pub(super) fn pictures(folder: &Path, passed: &mut Passed) -> Result<Vec<PathBuf>> {
    let mut own = Passed::default();
    let mut found = vec![];
    let Entries { folders, files } = entries(folder)?;
    let (images, others): (Vec<_>, Vec<_>) =
        folders.into_iter().partition(|(name, _)| name.eq_ignore_ascii_case("images"));
    own.folders = others.len();
    let mut files = vec![files];
    for (_, inner) in images {
        let inner = entries(&inner)?;
        own.folders += inner.folders.len();
        files.push(inner.files);
    }
    for file in files.into_iter().flatten() {
        match picture::is_named_so(&file) {
            true => found.push(file),
            false => own.file(&file),
        }
    }
    let names = others.iter().take(4).map(|(name, _)| name.as_str()).collect::<Vec<_>>();
    let hint = match names.is_empty() {
        true => own.sentence().map(|sentence| format!("; {sentence}")),
        false => Some(format!(
            "; it has folders ({}): a class holds its images itself, as in `CLASS/IMAGE` or \
             `train/CLASS/IMAGE`; where these are the classes give `{}` as the data, else move the \
             images up",
            names.join(", "),
            folder.display()
        )),
    };
    ensure!(
        !found.is_empty(),
        "`{}` has no image in it (read are {}){}",
        folder.display(),
        picture::FORMATS,
        hint.unwrap_or_default()
    );
    passed.add(own);
    Ok(found)
}

/// What was in a set's folders and is not read.
#[derive(Default)]
pub(super) struct Passed {
    /// Files by the endings of their names.
    endings: BTreeMap<String, usize>,
    /// Folders.
    pub folders: usize,
}

impl Passed {
    /// One file more.
    pub fn file(&mut self, file: &Path) {
        *self.endings.entry(picture::ending(file)).or_default() += 1;
    }

    /// All files of `folder` that are not in `used`.
    pub fn rest(&mut self, folder: &Path, used: &[PathBuf]) -> Result<()> {
        let used: BTreeSet<&PathBuf> = used.iter().collect();
        let rest = entries(folder)?.files;
        rest.iter().filter(|file| !used.contains(file)).for_each(|file| self.file(file));
        Ok(())
    }

    fn add(&mut self, other: Passed) {
        self.folders += other.folders;
        for (ending, count) in other.endings {
            *self.endings.entry(ending).or_default() += count;
        }
    }

    /// `3 files passed over: 2 .txt, 1 .heic`, the most frequent first; none where nothing was.
    pub fn sentence(&self) -> Option<String> {
        let all: usize = self.endings.values().sum();
        let mut endings: Vec<(&String, usize)> =
            self.endings.iter().map(|(e, &n)| (e, n)).collect();
        endings.sort_by_key(|&(_, n)| std::cmp::Reverse(n));
        let each = endings.into_iter().map(|(ending, n)| match ending.as_str() {
            "" => format!("{n} without an ending"),
            ending => format!("{n} .{ending}"),
        });
        let each = each.collect::<Vec<_>>().join(", ");
        match (all, self.folders) {
            (0, 0) => None,
            (0, n) => Some(format!("{} passed over", count(n, "folder"))),
            (n, 0) => Some(format!("{} passed over: {each}", count(n, "file"))),
            (n, m) => {
                Some(format!("{} and {} passed over: {each}", count(n, "file"), count(m, "folder")))
            }
        }
    }
}
