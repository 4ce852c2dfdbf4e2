//! MNIST (LeCun, Cortes & Burges) in idx files, gzipped or not, under either file naming style.
//! Other sets in the same files (Fashion-MNIST) load as well, their classes named 0 to 9.

use crate::{Dataset, Split, read};
use anyhow::{Context, Result, bail, ensure};
use std::path::{Path, PathBuf};
use tch::{Kind, Tensor};

/// Whether `name` is one of the set's file names.
pub(crate) fn is_part(name: &str) -> bool {
    let parts = [("train", "images", 3), ("train", "labels", 1), ("t10k", "images", 3)];
    parts.into_iter().chain([("t10k", "labels", 1)]).any(|part| names(part).contains(&name.into()))
}

/// Reads one split from the folder `path`: images u8 [N, 1, 28, 28].
pub(crate) fn load(path: &Path, split: Split) -> Result<Dataset> {
    ensure!(path.is_dir(), "`{}` is a file; give the folder of MNIST's four", path.display());
    let part = if split == Split::Train { "train" } else { "t10k" };
    let images_path = find(path, (part, "images", 3))?;
    let (shape, pixels) = idx(&images_path, 3)?;
    ensure!(
        shape[1..] == [28, 28],
        "`{}` has images of {}×{} pixels; MNIST has 28×28",
        images_path.display(),
        shape[1],
        shape[2]
    );
    let labels_path = find(path, (part, "labels", 1))?;
    let (counted, labels) = idx(&labels_path, 1)?;
    let (n, labelled) = (shape[0], counted[0]);
    let (images_name, labels_name) = (images_path.display(), labels_path.display());
    ensure!(n == labelled, "`{images_name}` has {n} images, `{labels_name}` {labelled} labels");
    if let Some(i) = labels.iter().position(|&label| label > 9) {
        let label = labels[i];
        bail!("`{labels_name}`: record {i} (counted from 0) has the label {label}, not 0 to 9");
    }
    let labels: Vec<i64> = labels.into_iter().map(i64::from).collect();
    let images = Tensor::from_data_size(&pixels, &[n, 1, 28, 28], Kind::Uint8);
    let classes = (0..10).map(|digit| digit.to_string()).collect();
    Ok(Dataset::new("mnist", images, Tensor::from_slice(&labels), classes))
}

/// Every name the file `(part, content, dimensions)` goes by.
fn names((part, content, dimensions): (&str, &str, usize)) -> [String; 4] {
    let name = |sign| format!("{part}-{content}{sign}idx{dimensions}-ubyte");
    [name("-"), name("."), name("-") + ".gz", name(".") + ".gz"]
}

fn find(folder: &Path, file: (&str, &str, usize)) -> Result<PathBuf> {
    let names = names(file);
    let found = names.iter().map(|name| folder.join(name)).find(|path| path.is_file());
    found.with_context(|| format!("no `{}` (or `.gz`) in `{}`", names[0], folder.display()))
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
