//! CIFAR-10 and CIFAR-100 (Krizhevsky 2009) as published: binary or python batches, in their folder, in the
//! `.tar.gz` (read as a stream, nothing unpacked), or one batch file. Files may be shorter than
//! the official ones.

use crate::{Dataset, Split, read};
use anyhow::{Context, Result, bail, ensure};
use std::{
    collections::{BTreeMap, BTreeSet},
    ffi::OsStr,
    fs::File,
    path::Path,
};
use tch::{Kind, Tensor};

mod format;
mod python;

pub(crate) use format::{COARSE, FINE, Format, TEN};

use format::stem;

const PIXELS: usize = 3 * 32 * 32;

/// What is in a folder or an archive.
#[derive(Default)]
struct Files {
    /// The contents of the wanted files, by their bare names.
    wanted: BTreeMap<String, Vec<u8>>,
    /// The names of all.
    names: BTreeSet<String>,
}

/// Images u8 [N, 3, 32, 32] and labels i64 `[N]`.
type Batch = (Tensor, Tensor);

/// Reads one split of the set at `path`; a single batch file is read whole for either.
pub(crate) fn load(path: &Path, format: &Format, split: Split) -> Result<Dataset> {
    let batches = match split {
        Split::Train => format.train,
        Split::Test => &[format.test],
    };
    let is_meta = |name: &str| name == format.text || name == format.meta.0;
    let wanted = |name: &str| is_meta(name) || batches.contains(&stem(name));
    if path.is_dir() {
        let inner = format.folders.iter().map(|name| path.join(name)).find(|path| path.is_dir());
        let path = inner.as_deref().unwrap_or(path);
        return together(from_folder(path, &wanted)?, format, split, path);
    }
    let start = read::start(path)?;
    if read::is_gz(&start) {
        return together(from_archive(path, &wanted)?, format, split, path);
    }
    let bytes = read::maybe_gz(path)?;
    // A binary batch starts with a label, a pickle never with so small a byte.
    let binary = path.extension() == Some(OsStr::new("bin")) || start[0] < 20;
    let batch = if binary { records(&bytes, format) } else { python::records(&bytes, format) };
    let batch = batch.with_context(|| format!("`{}`", path.display()))?;
    // Names that stand beside it belong to it.
    let folder = path.parent().unwrap_or(Path::new("."));
    let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    let beside = from_folder(folder, &is_meta)?;
    let set = dataset(vec![batch], classes(&beside, format, folder)?, format);
    Ok(Dataset { whole: true, ..set })
}

/// The set made of the files found at `path`, all batches of `split` in their order.
fn together(mut files: Files, format: &Format, split: Split, path: &Path) -> Result<Dataset> {
    let binary = files.wanted.keys().any(|name| name.ends_with(".bin"));
    let suffix = if binary { ".bin" } else { "" };
    let batches = if split == Split::Train { format.train } else { &[format.test] };
    let names: Vec<String> = batches.iter().map(|name| format!("{name}{suffix}")).collect();
    let missing = names.iter().filter(|name| !files.wanted.contains_key(*name));
    let missing = missing.map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
    let place = path.display();
    let other = [&TEN, &FINE].into_iter().find(|other| {
        other.title != format.title && files.names.iter().any(|name| other.is_batch(name))
    });
    if let (false, Some(other)) = (missing.is_empty(), other) {
        bail!("`{place}` is {}, not {}: say `{}:PATH`", other.title, format.title, other.name);
    }
    let hint = "to read a single batch, give its own file";
    ensure!(missing.is_empty(), "`{place}` has no {missing}; {hint}");
    let mut parts = vec![];
    for name in names {
        let bytes = files.wanted.remove(&name).expect("none is missing");
        let part = if binary { records(&bytes, format) } else { python::records(&bytes, format) };
        parts.push(part.with_context(|| format!("`{}`", path.join(&name).display()))?);
    }
    let whole = !files.names.contains(&format!("{}{suffix}", format.test));
    Ok(Dataset { whole, ..dataset(parts, classes(&files, format, path)?, format) })
}

fn dataset(parts: Vec<Batch>, classes: Vec<String>, format: &Format) -> Dataset {
    let (images, labels): (Vec<_>, Vec<_>) = parts.into_iter().unzip();
    let (images, labels) = (Tensor::cat(&images, 0), Tensor::cat(&labels, 0));
    Dataset::new(format.name, images, labels, classes)
}

/// The wanted files of a folder.
fn from_folder(path: &Path, wanted: &dyn Fn(&str) -> bool) -> Result<Files> {
    let mut files = Files::default();
    let told = || format!("cannot read the folder `{}`", path.display());
    for entry in path.read_dir().with_context(told)? {
        let entry = entry.with_context(told)?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if entry.path().is_dir() {
            continue;
        }
        if wanted(&name) {
            let told = || format!("cannot read `{}`", entry.path().display());
            let file = File::open(entry.path()).with_context(told)?;
            files.wanted.insert(name.clone(), read::all(file).with_context(told)?);
        }
        files.names.insert(name);
    }
    Ok(files)
}

/// The wanted files of a `.tar.gz`.
fn from_archive(path: &Path, wanted: &dyn Fn(&str) -> bool) -> Result<Files> {
    let mut files = Files::default();
    let told = || format!("`{}` is not a whole .tar.gz file", path.display());
    for entry in read::tar_gz(path)?.entries().with_context(told)? {
        let entry = entry.with_context(told)?;
        let place = entry.path().with_context(told)?.into_owned();
        let name = place.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if !entry.header().entry_type().is_file() {
            continue;
        }
        if wanted(&name) {
            files.wanted.insert(name.clone(), read::all(entry).with_context(told)?);
        }
        files.names.insert(name);
    }
    Ok(files)
}

/// Reads binary records.
fn records(bytes: &[u8], format: &Format) -> Result<Batch> {
    let (length, record, title) = (bytes.len(), format.record(), format.title);
    ensure!(
        length > 0 && length.is_multiple_of(record),
        "{length} bytes long, but a {title} batch has a multiple of {record} (the nearest is {})",
        ((length + record / 2) / record).max(1) * record
    );
    let (before, at) = format.bytes;
    let labels: Vec<i64> = bytes.iter().skip(at).step_by(record).map(|&l| l.into()).collect();
    check_labels(&labels, format)?;
    let n = labels.len() as i64;
    let records = Tensor::from_data_size(bytes, &[n, record as i64], Kind::Uint8);
    let images = records.narrow(1, before as i64, PIXELS as i64).reshape([n, 3, 32, 32]);
    Ok((images, Tensor::from_slice(&labels)))
}

fn check_labels(labels: &[i64], format: &Format) -> Result<()> {
    let count = format.classes().len() as i64;
    let bad = labels.iter().position(|label| !(0..count).contains(label));
    let Some(i) = bad else { return Ok(()) };
    let (label, title, range) = (labels[i], format.title, format.range());
    bail!("record {i} (counted from 0) has the label {label}; {title} has {range}")
}

/// The class names that came with the batches; the official ones where none did.
fn classes(files: &Files, format: &Format, path: &Path) -> Result<Vec<String>> {
    let told = |name: &str| format!("`{}`", path.join(name).display());
    let (meta, key) = format.meta;
    let (name, classes) = if let Some(bytes) = files.wanted.get(format.text) {
        let text = String::from_utf8_lossy(bytes);
        let lines = text.lines().map(|line| line.trim().to_owned());
        (format.text, lines.filter(|line| !line.is_empty()).collect())
    } else if let Some(bytes) = files.wanted.get(meta) {
        (meta, python::classes(bytes, key, format).with_context(|| told(meta))?)
    } else {
        return Ok(format.classes());
    };
    let (count, right) = (classes.len(), format.classes().len());
    ensure!(count == right, "{} names {count} classes instead of {right}", told(name));
    Ok(classes)
}
