//! MNIST (LeCun, Cortes & Burges) in idx files, gzipped or not, under either file naming style, and the sets that
//! come in files of the same form: Fashion-MNIST, Kuzushiji-MNIST, EMNIST. The images are as the files have them:
//! those of EMNIST are transposed, as torchvision gives them.

use crate::{Dataset, Split, read};
use anyhow::{Context, Result, bail, ensure};
use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};
use tch::{Kind, Tensor};
use tensorfile::words::count;

mod names;

use names::Part;

pub(crate) use names::is_part;

/// Reads one split from a folder, of EMNIST's one `set`: images u8 [N, 1, 28, 28].
pub(crate) fn load(path: &Path, set: Option<&str>, split: Split) -> Result<Dataset> {
    ensure!(path.is_dir(), "`{}` is a file; give the folder of MNIST's four", path.display());
    let folder = names::folder(path)?;
    let set = chosen(&folder, set)?;
    let part = Part { set: set.as_deref(), train: split == Split::Train };
    let (images_path, labels_path) =
        (part.find(&folder, "images", 3)?, part.find(&folder, "labels", 1)?);
    let (shape, pixels) = idx(&images_path, 3)?;
    ensure!(
        shape[1..] == [28, 28],
        "`{}` has images of {}×{} pixels; MNIST has 28×28",
        images_path.display(),
        shape[1],
        shape[2]
    );
    let (counted, labels) = idx(&labels_path, 1)?;
    let (n, labelled) = (shape[0], counted[0]);
    let (images_name, labels_name) = (images_path.display(), labels_path.display());
    ensure!(
        n == labelled,
        "`{images_name}` has {}, `{labels_name}` {}",
        count(n, "image"),
        count(labelled, "label")
    );
    let known = match &set {
        Some(set) => names::mapped(&folder, set)?,
        None => names::said_by(&folder),
    };
    let named = known.is_some();
    let (name, classes) = known.unwrap_or_else(|| names::unknown(set.as_deref(), &labels));
    let last = classes.len() - 1;
    if let Some(i) = labels.iter().position(|&label| usize::from(label) > last) {
        let label = labels[i];
        bail!(
            "`{labels_name}`: record {i} (counted from 0) has the label {label}, not 0 to {last}"
        );
    }
    let labels: Vec<i64> = labels.into_iter().map(i64::from).collect();
    let images = Tensor::from_data_size(&pixels, &[n, 1, 28, 28], Kind::Uint8);
    let whole = Part { train: false, ..part }.find(&folder, "images", 3).is_err();
    Ok(Dataset { named, whole, ..Dataset::new(name, images, Tensor::from_slice(&labels), classes) })
}

/// Which of EMNIST's sets is read; none where the files are MNIST's. Errors: several, and none was asked for.
fn chosen(folder: &Path, asked: Option<&str>) -> Result<Option<String>> {
    let sets: BTreeSet<Option<String>> = names::sets(folder)?;
    let emnist: Vec<&str> = sets.iter().flatten().map(String::as_str).collect();
    let (known, place) = (emnist.join(", "), folder.display());
    match asked {
        Some(asked) => {
            ensure!(emnist.contains(&asked), "`{place}` has no set `{asked}`; known: {known}");
            Ok(Some(asked.to_owned()))
        }
        None if sets.contains(&None) || emnist.is_empty() => Ok(None),
        None => {
            let one = emnist.len() == 1;
            ensure!(one, "`{place}` has several sets: say `mnist:PATH,set=NAME`, one of {known}");
            Ok(Some(emnist[0].to_owned()))
        }
    }
}

/// Reads an idx file of bytes: its shape and its contents.
fn idx(path: &Path, dimensions: usize) -> Result<(Vec<i64>, Vec<u8>)> {
    let mut bytes = read::maybe_gz(path)?;
    let name = path.display();
    let header = 4 + 4 * dimensions;
    ensure!(bytes.len() >= header, "`{name}` has {} bytes, not even a header", bytes.len());
    let word = |i: usize| u32::from_be_bytes(bytes[4 * i..4 * i + 4].try_into().expect("4 bytes"));
    let (magic, right) = (word(0), 0x0800 + dimensions as u32);
    ensure!(
        magic == right,
        "`{name}` starts with {magic:#010x}; this idx file needs {right:#010x}"
    );
    let shape: Vec<i64> = (1..=dimensions).map(|i| word(i).into()).collect();
    let told = header as u128 + shape.iter().map(|&n| n as u128).product::<u128>();
    let length = bytes.len();
    ensure!(
        told == length as u128,
        "`{name}` has {length} bytes; its header {shape:?} needs {told}"
    );
    ensure!(shape[0] > 0, "`{name}` has no record");
    Ok((shape, bytes.split_off(header)))
}

/// The file names of a folder, folders inside not among them.
fn file_names(folder: &Path) -> Result<Vec<String>> {
    let told = || format!("cannot read the folder `{}`", folder.display());
    let mut names = vec![];
    for entry in fs::read_dir(folder).with_context(told)? {
        let entry = entry.with_context(told)?;
        if entry.path().is_file() {
            names.push(entry.file_name().to_string_lossy().into_owned());
        }
    }
    Ok(names)
}

/// The first of `names` that is a file in `folder`.
fn first_file(folder: &Path, names: &[String]) -> Option<PathBuf> {
    names.iter().map(|name| folder.join(name)).find(|path| path.is_file())
}
