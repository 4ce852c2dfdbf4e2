//! Where the parts of a set of class folders are.

use super::listing::{self, Entries, Passed};
use crate::{Split, names};
use anyhow::{Context, Result, ensure};
use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};
use tensorfile::words::count;

/// What folders of parts are called, in any case; those before are taken first.
pub(crate) const TRAIN: &[&str] = &["train", "training"];
pub(crate) const TEST: &[&str] = &["test", "testing", "val", "valid", "validation"];

/// The table of Tiny ImageNet's `val`: a file of `images` and its class a line, tabs between them.
pub(super) const ANNOTATIONS: &str = "val_annotations.txt";

/// The parts of a set, or its one.
pub(super) struct Layout {
    path: PathBuf,
    train: Option<Part>,
    /// What is tested on, where that is a part.
    pub test: Option<Part>,
    pub passed: Passed,
    pub notes: Vec<String>,
}

/// A part, by how its images are labelled.
#[derive(Clone)]
pub(super) enum Part {
    /// By the folders they are in.
    Folders(PathBuf),
    /// By [`ANNOTATIONS`].
    Annotated(PathBuf),
}

impl Part {
    /// None where nothing labels the images of `folder`.
    fn of(folder: &Path) -> Result<Option<Part>> {
        if folder.join(ANNOTATIONS).is_file() {
            return Ok(Some(Part::Annotated(folder.to_owned())));
        }
        let folders = listing::entries(folder)?.folders;
        let labelled = folders.iter().any(|(name, _)| !name.eq_ignore_ascii_case("images"));
        Ok(labelled.then(|| Part::Folders(folder.to_owned())))
    }

    fn path(&self) -> &Path {
        match self {
            Part::Folders(path) | Part::Annotated(path) => path,
        }
    }

    /// The classes of its images, sorted. Errors: there is none.
    fn classes(&self) -> Result<Vec<String>> {
        let mut classes: Vec<String> = match self {
            Part::Folders(root) => listing::filled(root)?,
            Part::Annotated(root) => {
                let pairs = annotations(&root.join(ANNOTATIONS))?;
                pairs
                    .into_iter()
                    .map(|(_, class)| class)
                    .collect::<BTreeSet<_>>()
                    .into_iter()
                    .collect()
            }
        };
        let path = self.path().display();
        ensure!(!classes.is_empty(), "`{path}` has no folder in it, one per class");
        let numbers: Option<Vec<u64>> = classes.iter().map(|class| class.parse().ok()).collect();
        if numbers.is_some() {
            classes.sort_by_key(|class| class.parse::<u64>().ok());
        }
        Ok(classes)
    }
}

impl Layout {
    /// Looks for parts in `path`. Errors: it is no folder, or cannot be read.
    pub fn of(path: &Path) -> Result<Self> {
        ensure!(path.is_dir(), "`{}` is not a folder with one folder per class", path.display());
        let Entries { folders, files } = listing::entries(path)?;
        let named = |names: &[&str]| -> Vec<&(String, PathBuf)> {
            let of =
                |name: &&str| folders.iter().filter(|(f, _)| f.to_lowercase() == *name).collect();
            names.iter().flat_map(|name| -> Vec<_> { of(name) }).collect()
        };
        let (mut notes, mut passed) = (vec![], Passed::default());
        let mut train = None;
        for (_, folder) in named(TRAIN) {
            train = train.or(Part::of(folder)?);
        }
        let (mut tests, mut bare) = (vec![], vec![]);
        for (name, folder) in named(TEST) {
            match Part::of(folder)? {
                Some(part) => tests.push((name, part)),
                None => bare.push(name),
            }
        }
        if train.is_some() || !tests.is_empty() {
            let names = tests.iter().map(|(name, _)| format!("`{name}`")).collect::<Vec<_>>();
            if let [first, others @ ..] = &names[..]
                && !others.is_empty()
            {
                notes.push(format!("tested on is {first}; {} is left out", others.join(", ")));
            }
            for name in &bare {
                notes.push(format!("`{name}` has no class folders in it and is left out"));
            }
            let parts = usize::from(train.is_some()) + tests.len() + bare.len();
            passed.folders = folders.len() - parts;
            files.iter().for_each(|file| passed.file(file));
        }
        let test = tests.into_iter().next().map(|(_, part)| part);
        Ok(Layout { path: path.to_owned(), train, test, passed, notes })
    }

    /// The part of `split`. Errors: there are parts, but not that one.
    pub fn part(&self, split: Split) -> Result<Part> {
        let (wanted, names) = match split {
            Split::Train => (&self.train, TRAIN),
            Split::Test => (&self.test, TEST),
        };
        let path = self.path.display();
        if let Some(part) = wanted {
            return Ok(part.clone());
        }
        let Some(other) = self.train.as_ref().or(self.test.as_ref()) else {
            let whole = self.path.join(ANNOTATIONS).is_file();
            let path = self.path.clone();
            return Ok(if whole { Part::Annotated(path) } else { Part::Folders(path) });
        };
        let other = other.path().file_name().unwrap_or_default().to_string_lossy();
        let names = names.join("`, `");
        Err(anyhow::anyhow!(
            "`{path}` has `{other}` but none of `{names}` with class folders in it"
        ))
    }

    /// What is said of class folders with nothing in them, which are no classes.
    pub fn empty(&self, part: &Part) -> Result<Option<String>> {
        let Part::Folders(root) = part else { return Ok(None) };
        let filled = listing::filled(root)?;
        let mut all: Vec<String> =
            listing::entries(root)?.folders.into_iter().map(|(name, _)| name).collect();
        all.retain(|name| !filled.contains(name));
        Ok((!all.is_empty()).then(|| {
            let folders = count(all.len(), "empty folder");
            format!("{folders} left out, no class of its own: {}", names::few(&all))
        }))
    }

    /// The classes, those of the training part where there is one. Errors: the other part has one more.
    pub fn classes(&self, part: &Part) -> Result<Vec<String>> {
        let Some(train) = &self.train else { return part.classes() };
        let classes = train.classes()?;
        let theirs = self.test.as_ref().map_or(Ok(vec![]), Part::classes)?;
        if let Some(class) = theirs.iter().find(|class| !classes.contains(class)) {
            let test = self.test.as_ref().expect("it has classes").path().display();
            anyhow::bail!(
                "`{test}` and `{}` do not have the same classes: only the first has `{class}`",
                train.path().display()
            );
        }
        Ok(classes)
    }
}

/// The files and classes of a table like [`ANNOTATIONS`]. Errors: unreadable, a line without a class.
pub(super) fn annotations(table: &Path) -> Result<Vec<(String, String)>> {
    let text = tensorfile::foreign::read_text(table)?;
    let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    lines
        .map(|(i, line)| {
            let mut cells = line.split('\t').map(str::trim);
            let told = || format!("`{}` line {} has no class behind a tab", table.display(), i + 1);
            let (file, class) =
                (cells.next().unwrap_or_default(), cells.next().with_context(told)?);
            Ok((file.to_owned(), class.to_owned()))
        })
        .collect()
}
