//! Files that are whole or not there: written beside their place, then renamed into it.

use anyhow::{Context, Result};
use std::{
    fs,
    io::{BufWriter, ErrorKind, Write},
    path::Path,
};
use tempfile::NamedTempFile;

/// Writes what `fill` writes to `path`. Folders on the way are made. On any error (unwritable,
/// disk full) nothing is left behind and an older file of that name is untouched.
pub fn write(path: &Path, fill: impl FnOnce(&mut dyn Write) -> Result<()>) -> Result<()> {
    filled(path, fill)?.persist(path).map_err(|e| e.error).with_context(|| told(path))?;
    Ok(())
}

/// The same for a file that no other process may have written first: whether it was this one. A file
/// that is there is untouched.
pub fn create(path: &Path, fill: impl FnOnce(&mut dyn Write) -> Result<()>) -> Result<bool> {
    match filled(path, fill)?.persist_noclobber(path).map_err(|e| e.error) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(false),
        written => written.map(|_| true).with_context(|| told(path)),
    }
}

fn told(path: &Path) -> String {
    format!("cannot write `{}`", path.display())
}

/// A whole file beside `path`, which goes when it is dropped.
fn filled(path: &Path, fill: impl FnOnce(&mut dyn Write) -> Result<()>) -> Result<NamedTempFile> {
    let told = || told(path);
    let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    fs::create_dir_all(folder).with_context(told)?;
    let file = tempfile::Builder::new()
        .prefix(".gradproof-")
        .suffix(".tmp")
        .permissions(std::os::unix::fs::PermissionsExt::from_mode(0o644))
        .tempfile_in(folder)
        .with_context(told)?;
    fill_and_sync(&file, fill).with_context(told)?;
    Ok(file)
}

fn fill_and_sync(
    file: &NamedTempFile,
    fill: impl FnOnce(&mut dyn Write) -> Result<()>,
) -> Result<()> {
    let mut writer = BufWriter::new(file.as_file());
    fill(&mut writer)?;
    writer.flush()?;
    Ok(file.as_file().sync_all()?)
}

/// Fails now, in one line, if `path` could not be written later: call it before a long run.
pub fn check_writable(path: &Path) -> Result<()> {
    let told = || told(path);
    let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    anyhow::ensure!(!path.is_dir(), "cannot write `{}`: it is a folder", path.display());
    fs::create_dir_all(folder).with_context(told)?;
    tempfile::Builder::new().prefix(".gradproof-").tempfile_in(folder).with_context(told)?;
    Ok(())
}
