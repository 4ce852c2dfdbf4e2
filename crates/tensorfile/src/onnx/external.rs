//! Numbers in a file beside the model. The file must lie in the model's folder or below it: a name
//! that leaves the folder, also through a link, is refused (as CVE-2022-25882 of onnx).

use super::proto::TensorProto;
use anyhow::{Context, Result, ensure};
use std::{
    fs::{self, File},
    io::{Read, Seek, SeekFrom},
    ops::Range,
    path::{Component, Path, PathBuf},
};

/// `TensorProto.DataLocation.EXTERNAL`.
const EXTERNAL: i32 = 1;

/// A part of a file.
#[derive(Debug, Clone)]
pub(super) struct Region {
    /// The file's name, relative to the model's folder.
    pub location: String,
    /// The file.
    pub path: PathBuf,
    /// Its bytes that are the tensor's.
    pub range: Range<u64>,
}

/// Whether the numbers of `tensor` are in another file.
pub(super) fn is_external(tensor: &TensorProto) -> bool {
    tensor.data_location == Some(EXTERNAL)
}

/// The file of an external tensor: its name in the model and its place. Errors: no name, outside
/// the folder, not there, not a plain file.
pub(super) fn file(folder: &Path, tensor: &TensorProto) -> Result<(String, PathBuf)> {
    let location = entry(tensor, "location").context("its external data has no location")?;
    let told = || format!("external data `{location}`");
    let inside = Path::new(location)
        .components()
        .all(|part| matches!(part, Component::Normal(_) | Component::CurDir));
    ensure!(inside && !location.is_empty(), "{} is outside the file's folder", told());
    let root = fs::canonicalize(folder).with_context(|| format!("folder of {}", told()))?;
    let path = fs::canonicalize(root.join(location))
        .with_context(|| format!("{} is not beside the file", told()))?;
    ensure!(path.starts_with(&root), "{} is a link out of the file's folder", told());
    ensure!(path.is_file(), "{} is not a plain file", told());
    Ok((location.to_owned(), path))
}

/// The region with the `bytes` bytes of an external tensor. Errors: [`file()`]'s, and a region that
/// has another length or ends behind the file.
pub(super) fn region(folder: &Path, tensor: &TensorProto, bytes: u64) -> Result<Region> {
    let (location, path) = file(folder, tensor)?;
    let size = fs::metadata(&path).with_context(|| format!("cannot read `{location}`"))?.len();
    let start = number(tensor, "offset")?.unwrap_or(0);
    let length = match number(tensor, "length")? {
        Some(length) => length,
        None => size.saturating_sub(start),
    };
    ensure!(length == bytes, "external data `{location}`: {length} bytes where {bytes} belong");
    let end = start.checked_add(length).filter(|end| *end <= size);
    let end = end.with_context(|| {
        format!("external data `{location}` has {size} bytes, too few for {length} from {start} on")
    })?;
    Ok(Region { location, path, range: start..end })
}

/// The bytes of a region.
pub(super) fn read(region: &Region) -> Result<Vec<u8>> {
    let told = || format!("cannot read external data `{}`", region.location);
    let mut file = File::open(&region.path).with_context(told)?;
    file.seek(SeekFrom::Start(region.range.start)).with_context(told)?;
    let length = region.range.end - region.range.start;
    let mut bytes = vec![0; usize::try_from(length)?];
    file.read_exact(&mut bytes).with_context(told)?;
    Ok(bytes)
}

fn entry<'a>(tensor: &'a TensorProto, key: &str) -> Option<&'a str> {
    tensor.external_data.iter().find(|e| e.key() == key).map(|e| e.value())
}

fn number(tensor: &TensorProto, key: &str) -> Result<Option<u64>> {
    let parse = |text: &str| {
        text.parse().with_context(|| format!("external data: {key} `{text}` is no number of bytes"))
    };
    entry(tensor, key).map(parse).transpose()
}
