//! Pictures without labels: a file, a folder of files, a pattern.

use super::{
    approximations,
    listing::{self, Entries, Passed},
};
use crate::{
    Dataset, Files, Images, Options,
    picture::{self, Picture},
};
use anyhow::{Context, Result, ensure};
use std::path::{Path, PathBuf};
use tch::{Device, Kind, Tensor};

/// The pictures that `path` names, still in their files; all of them have the label 0, which means
/// nothing. Errors: there is none.
pub(crate) fn unlabelled(path: &Path, options: &Options) -> Result<Dataset> {
    let mut passed = Passed::default();
    let mut files = match path {
        folder if folder.is_dir() => in_folder(folder, &mut passed)?,
        file if file.is_file() => vec![file.to_owned()],
        pattern => matching(pattern, &mut passed)?,
    };
    files.sort();
    ensure!(
        !files.is_empty(),
        "`{}` names no picture (read are {}){}",
        path.display(),
        picture::FORMATS,
        passed.sentence().map(|sentence| format!("; {sentence}")).unwrap_or_default()
    );
    let mut notes: Vec<String> = passed.sentence().into_iter().collect();
    let files = Picture::files(files);
    notes.extend(approximations(&files)?);
    let name = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned();
    let labels = Tensor::zeros([files.len() as i64], (Kind::Int64, Device::Cpu));
    let images = Images::Streamed(Files::new(files, options)?);
    let set = Dataset::new(name, images, labels, vec!["0".into()]);
    Ok(Dataset { labelled: false, named: false, whole: true, notes, ..set })
}

/// The pictures directly in `folder`.
fn in_folder(folder: &Path, passed: &mut Passed) -> Result<Vec<PathBuf>> {
    let Entries { folders, files } = listing::entries(folder)?;
    passed.folders += folders.len();
    Ok(pictures(files, passed))
}

/// The pictures whose paths match. Errors: no pattern, a folder that cannot be read.
fn matching(pattern: &Path, passed: &mut Passed) -> Result<Vec<PathBuf>> {
    let text = pattern.to_string_lossy();
    let told = || format!("`{text}` is no pattern of file names");
    let found = glob::glob(&text).with_context(told)?.collect::<Result<Vec<_>, _>>()?;
    let (folders, files): (Vec<_>, Vec<_>) = found.into_iter().partition(|path| path.is_dir());
    passed.folders += folders.len();
    Ok(pictures(files, passed))
}

fn pictures(files: Vec<PathBuf>, passed: &mut Passed) -> Vec<PathBuf> {
    let (pictures, others): (Vec<_>, Vec<_>) =
        files.into_iter().partition(|file| picture::is_named_so(file));
    others.iter().for_each(|file| passed.file(file));
    pictures
}
