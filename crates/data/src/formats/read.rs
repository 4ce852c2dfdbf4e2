//! Reading files that others wrote: whole, plain or gzipped, never more than memory should hold.

use anyhow::{Context, Result, ensure};
use flate2::read::MultiGzDecoder;
use std::{
    fs::File,
    io::{BufReader, Read},
    path::Path,
};

/// No file of these formats is nearly this large; a longer one is refused instead of read.
const MOST: u64 = 1 << 31;

/// The contents of `path`, unpacked where they start like gzip. Errors: unreadable, empty, cut
/// short, larger than 2 GiB.
pub(crate) fn maybe_gz(path: &Path) -> Result<Vec<u8>> {
    let told = || format!("cannot read `{}`", path.display());
    let bytes = all(File::open(path).with_context(told)?).with_context(told)?;
    match is_gz(&bytes) {
        true => all(MultiGzDecoder::new(bytes.as_slice()))
            .with_context(|| format!("`{}` is not a whole gzip file", path.display())),
        false => Ok(bytes),
    }
}

/// What `source` gives, refused where it is empty or too large.
pub(crate) fn all(source: impl Read) -> Result<Vec<u8>> {
    let mut bytes = vec![];
    source.take(MOST + 1).read_to_end(&mut bytes)?;
    ensure!(!bytes.is_empty(), "it is empty");
    ensure!(bytes.len() as u64 <= MOST, "it is larger than 2 GiB");
    Ok(bytes)
}

/// Whether a file starts like gzip.
pub(crate) fn is_gz(bytes: &[u8]) -> bool {
    bytes.starts_with(&[0x1f, 0x8b])
}

/// Opens `path` as a gzipped tar archive, read as a stream.
pub(crate) fn tar_gz(path: &Path) -> Result<tar::Archive<impl Read>> {
    let file = File::open(path).with_context(|| format!("cannot read `{}`", path.display()))?;
    Ok(tar::Archive::new(MultiGzDecoder::new(BufReader::new(file))))
}

/// The first bytes of `path`, two or fewer where it has fewer. Errors: unreadable, empty.
pub(crate) fn start(path: &Path) -> Result<Vec<u8>> {
    let told = || format!("cannot read `{}`", path.display());
    let mut bytes = vec![];
    File::open(path).with_context(told)?.take(2).read_to_end(&mut bytes).with_context(told)?;
    ensure!(!bytes.is_empty(), "`{}` is empty", path.display());
    Ok(bytes)
}
