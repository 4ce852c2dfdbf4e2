//! CIFAR-10 (Krizhevsky 2009) as published: binary or python batches, in their folder, in the
//! `.tar.gz` (read as a stream, nothing unpacked), or one batch file. Files may be shorter than
//! the official 10,000 records.

use crate::{Dataset, Split, read};
use anyhow::{Context, Result, bail, ensure};
use std::{collections::BTreeMap, ffi::OsStr, fs::File, path::Path};
use tch::{Kind, Tensor};

mod python;

/// The folders inside the official archives.
pub(crate) const FOLDERS: [&str; 2] = ["cifar-10-batches-bin", "cifar-10-batches-py"];

const CLASSES: [&str; 10] =
    ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"];
const PIXELS: usize = 3 * 32 * 32;
/// One label byte, then the pixels of the red, the green and the blue plane.
const RECORD: usize = 1 + PIXELS;

/// Files by their bare names, each with its contents.
type Files = BTreeMap<String, Vec<u8>>;
/// Images u8 [N, 3, 32, 32] and labels i64 `[N]`.
type Batch = (Tensor, Tensor);

/// Whether `name` is one of the batches' file names.
pub(crate) fn is_batch(name: &str) -> bool {
    let stem = name.strip_suffix(".bin").unwrap_or(name);
    stem == "test_batch" || (1..=5).any(|i| stem == format!("data_batch_{i}"))
}

/// Reads one split of the set at `path`; a single batch file is read whole for either.
pub(crate) fn load(path: &Path, split: Split) -> Result<Dataset> {
    let batches: Vec<String> = match split {
        Split::Train => (1..=5).map(|i| format!("data_batch_{i}")).collect(),
        Split::Test => vec!["test_batch".into()],
    };
    let wanted = |name: &str| {
        let stem = name.strip_suffix(".bin").unwrap_or(name);
        name.starts_with("batches.meta") || batches.iter().any(|batch| batch == stem)
    };
    if path.is_dir() {
        let inner = FOLDERS.iter().map(|name| path.join(name)).find(|path| path.is_dir());
        let path = inner.as_deref().unwrap_or(path);
        return together(from_folder(path, &wanted)?, &batches, path);
    }
    let start = read::start(path)?;
    if read::is_gz(&start) {
        return together(from_archive(path, &wanted)?, &batches, path);
    }
    let bytes = read::maybe_gz(path)?;
    // A binary batch starts with a label, a pickle never with so small a byte.
    let binary = path.extension() == Some(OsStr::new("bin")) || start[0] <= 9;
    let batch = if binary { records(&bytes) } else { python::records(&bytes) };
    let batch = batch.with_context(|| format!("`{}`", path.display()))?;
    Ok(dataset(vec![batch], default_classes()))
}

/// The set made of the files found at `path`, all of `batches` in this order.
fn together(mut files: Files, batches: &[String], path: &Path) -> Result<Dataset> {
    let binary = files.keys().any(|name| name.ends_with(".bin"));
    let suffix = if binary { ".bin" } else { "" };
    let names: Vec<String> = batches.iter().map(|name| format!("{name}{suffix}")).collect();
    let missing = names.iter().filter(|name| !files.contains_key(*name));
    let missing = missing.map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
    let place = path.display();
    let hint = "to read a single batch, give its own file";
    ensure!(missing.is_empty(), "`{place}` has no {missing}; {hint}");
    let mut parts = vec![];
    for name in names {
        let bytes = files.remove(&name).expect("none is missing");
        let part = if binary { records(&bytes) } else { python::records(&bytes) };
        parts.push(part.with_context(|| format!("`{}`", path.join(&name).display()))?);
    }
    Ok(dataset(parts, classes(&files, path)?))
}

fn dataset(parts: Vec<Batch>, classes: Vec<String>) -> Dataset {
    let (images, labels): (Vec<_>, Vec<_>) = parts.into_iter().unzip();
    let (images, labels) = (Tensor::cat(&images, 0), Tensor::cat(&labels, 0));
    Dataset::new("cifar10", images, labels, classes)
}

/// The wanted files of a folder.
fn from_folder(path: &Path, wanted: &dyn Fn(&str) -> bool) -> Result<Files> {
    let mut files = Files::new();
    let told = || format!("cannot read the folder `{}`", path.display());
    for entry in path.read_dir().with_context(told)? {
        let entry = entry.with_context(told)?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if wanted(&name) {
            let told = || format!("cannot read `{}`", entry.path().display());
            let file = File::open(entry.path()).with_context(told)?;
            files.insert(name, read::all(file).with_context(told)?);
        }
    }
    Ok(files)
}

/// The wanted files of a `.tar.gz`.
fn from_archive(path: &Path, wanted: &dyn Fn(&str) -> bool) -> Result<Files> {
    let mut files = Files::new();
    let told = || format!("`{}` is not a whole .tar.gz file", path.display());
    for entry in read::tar_gz(path)?.entries().with_context(told)? {
        let entry = entry.with_context(told)?;
        let place = entry.path().with_context(told)?.into_owned();
        let name = place.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if entry.header().entry_type().is_file() && wanted(&name) {
            files.insert(name, read::all(entry).with_context(told)?);
        }
    }
    Ok(files)
}

/// Reads binary records.
fn records(bytes: &[u8]) -> Result<Batch> {
    let length = bytes.len();
    ensure!(
        length > 0 && length.is_multiple_of(RECORD),
        "{length} bytes long, but a CIFAR-10 batch has a multiple of {RECORD} (the nearest is {})",
        ((length + RECORD / 2) / RECORD).max(1) * RECORD
    );
    let labels: Vec<i64> = bytes.iter().step_by(RECORD).map(|&label| label.into()).collect();
    check_labels(&labels)?;
    let n = labels.len() as i64;
    let records = Tensor::from_data_size(bytes, &[n, RECORD as i64], Kind::Uint8);
    let images = records.narrow(1, 1, PIXELS as i64).reshape([n, 3, 32, 32]);
    Ok((images, Tensor::from_slice(&labels)))
}

fn check_labels(labels: &[i64]) -> Result<()> {
    let bad = labels.iter().position(|label| !(0..10).contains(label));
    let Some(i) = bad else { return Ok(()) };
    bail!("record {i} (counted from 0) has the label {}; CIFAR-10 has 0 to 9", labels[i])
}

fn default_classes() -> Vec<String> {
    CLASSES.map(str::to_owned).to_vec()
}

/// The class names that came with the batches; the official ones where none did.
fn classes(files: &Files, path: &Path) -> Result<Vec<String>> {
    let told = |name: &str| format!("`{}`", path.join(name).display());
    let classes = if let Some(bytes) = files.get("batches.meta.txt") {
        let text = String::from_utf8_lossy(bytes);
        text.lines().map(|line| line.trim().to_owned()).filter(|line| !line.is_empty()).collect()
    } else if let Some(bytes) = files.get("batches.meta") {
        python::classes(bytes).with_context(|| told("batches.meta"))?
    } else {
        default_classes()
    };
    let count = classes.len();
    ensure!(count == 10, "{} names {count} classes instead of 10", told("batches.meta"));
    Ok(classes)
}
