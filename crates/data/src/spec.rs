//! What `--data` may be: `KIND:PATH`, or a path whose kind is recognised by what is in it.

use crate::{Dataset, cifar, folder, mnist, shapes::Shapes, tensors};
use anyhow::{Context, Result, bail, ensure};
use std::path::Path;

/// Which part of a set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Split {
    /// What a network is trained on.
    Train,
    /// What it is measured on.
    Test,
}

/// How a set is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// Which part of it. A single file, or a folder without parts, is read whole for either.
    pub split: Split,
    /// `folder:` only: every image is resized to this height and width, in pixels.
    pub size: Option<i64>,
}

/// Every kind of data and what it reads, sorted by name.
pub const KINDS: &[(&str, &str)] = &[
    ("cifar10", "binary or python batches: their folder, its .tar.gz, or one batch file"),
    ("folder", "one folder of png or jpeg files per class, perhaps in train/ and test/ or val/"),
    ("mnist", "a folder with the four idx files, gzipped or not"),
    (
        "shapes",
        "ten silhouettes drawn from a seed: `shapes` or `shapes:seed=0,train=6000,test=1000`",
    ),
    ("tensors", "a safetensors file with `images` and `labels`, or a folder with train and test"),
];

/// Reads the data `spec` names into memory, on the CPU. Errors name the file and what is wrong.
pub fn load(spec: &str, options: &Options) -> Result<Dataset> {
    let (kind, rest) = kind_of(spec)?;
    let path = Path::new(rest);
    if kind == "shapes" {
        return Ok(Shapes::parse(rest)?.generate(options.split));
    }
    ensure!(path.exists(), "no such file or folder: `{rest}`");
    let split = options.split;
    match kind {
        "cifar10" => cifar::load(path, split),
        "folder" => folder::load(path, options),
        "mnist" => mnist::load(path, split),
        "tensors" => tensors::load(path, split),
        other => unreachable!("`{other}` is not in KINDS"),
    }
}

/// Splits `spec` into its kind, one of [`KINDS`], and the rest.
fn kind_of(spec: &str) -> Result<(&'static str, &str)> {
    let (word, rest) = spec.split_once(':').unwrap_or((spec, ""));
    let known = KINDS.iter().map(|(name, _)| *name).find(|name| *name == word);
    match known {
        Some("shapes") => return Ok(("shapes", rest)),
        Some(kind) => {
            ensure!(!rest.is_empty(), "`{word}` needs a path, as in `{word}:PATH`");
            return Ok((kind, rest));
        }
        None => {}
    }
    let path = Path::new(spec);
    if path.exists() {
        return Ok((recognise(path)?, spec));
    }
    let names = KINDS.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ");
    let is_word = word.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_');
    ensure!(word == spec || !is_word, "unknown kind of data `{word}`; known kinds: {names}");
    bail!("no such file or folder: `{spec}` (nor is it a kind of data; known kinds: {names})")
}

/// The kind of what is at `path`.
fn recognise(path: &Path) -> Result<&'static str> {
    let name = path.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
    let names = KINDS.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ");
    let hint = format!("say which with KIND:PATH; known kinds: {names}");
    if path.is_file() {
        return match name.as_str() {
            name if name.ends_with(".safetensors") => Ok("tensors"),
            name if name.ends_with(".tar.gz") || name.ends_with(".tgz") => Ok("cifar10"),
            name if cifar::is_batch(name) => Ok("cifar10"),
            name if mnist::is_part(name) => {
                bail!("`{}` is one of the four files of MNIST; give their folder", path.display())
            }
            _ => bail!("`{}` is of no kind recognised by its name; {hint}", path.display()),
        };
    }
    let told = || format!("cannot read the folder `{}`", path.display());
    let mut found = None;
    for entry in path.read_dir().with_context(told)? {
        let entry = entry.with_context(told)?;
        let name = entry.file_name().to_string_lossy().to_lowercase();
        match name.as_str() {
            name if cifar::is_batch(name) || cifar::FOLDERS.contains(&name) => {
                return Ok("cifar10");
            }
            name if mnist::is_part(name) => return Ok("mnist"),
            "train.safetensors" | "test.safetensors" => return Ok("tensors"),
            _ if entry.path().is_dir() && !name.starts_with('.') => found = Some("folder"),
            _ => {}
        }
    }
    found.with_context(|| format!("nothing recognised in the folder `{}`; {hint}", path.display()))
}
