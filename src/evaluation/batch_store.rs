//! The finished batches of an attack under way, beside its result: a killed run goes on behind the
//! last of them.

use crate::{
    runtime::{ui::Ui, workers::Stop},
    session::Loaded,
};
use anyhow::{Context, Result, bail, ensure};
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};
use tch::Tensor;
use tensorfile::TensorFile;

/// Named per-image tensors of one batch.
pub type Named = BTreeMap<String, Tensor>;

/// A folder with one file a batch; without an output there is none.
pub struct Parts {
    folder: Option<PathBuf>,
    settings: String,
}

/// The header key of what decides a part.
const SETTINGS: &str = "settings";
/// What a part holds; changed whenever that is.
const LAYOUT: &str = "with maps told from none and constant ones";

impl Parts {
    /// Beside `out`. `settings` is whatever the result depends on: parts made with others are not
    /// gone on with. Without `resume` what is there is thrown away.
    pub fn open(out: Option<&Path>, resume: bool, settings: String) -> Result<Self> {
        let folder = out.map(|out| out.with_extension("parts"));
        if let Some(file) = folder.as_ref().filter(|folder| folder.exists() && !folder.is_dir()) {
            bail!("`{}` is no folder, where finished batches would be; move it", file.display());
        }
        let parts = Parts { folder, settings: format!("{settings} {LAYOUT}") };
        if !resume {
            parts.clear()?;
        }
        Ok(parts)
    }

    /// Removes the folder. Errors: something else is in it.
    fn clear(&self) -> Result<()> {
        let Some(folder) = self.folder.as_ref().filter(|folder| folder.exists()) else {
            return Ok(());
        };
        let told = || format!("cannot remove `{}`", folder.display());
        let files: Vec<PathBuf> = folder
            .read_dir()
            .with_context(told)?
            .map(|entry| Ok(entry?.path()))
            .collect::<Result<_>>()
            .with_context(told)?;
        let foreign = files.iter().find(|file| !is_part(file));
        ensure!(
            foreign.is_none(),
            "`{}` holds what is no part of an attack; move it, or choose another `--out`",
            folder.display()
        );
        fs::remove_dir_all(folder).with_context(told)
    }

    fn file(&self, first: u64) -> Option<PathBuf> {
        self.folder.as_ref().map(|folder| folder.join(format!("{first:09}.safetensors")))
    }

    /// The batch that begins with image number `first`, one entry for each radius, if it is there.
    fn read(&self, first: u64) -> Result<Option<Vec<Named>>> {
        let Some(file) = self.file(first).filter(|file| file.exists()) else { return Ok(None) };
        let part = TensorFile::read(&file)?;
        ensure!(
            part.metadata.get(SETTINGS) == Some(&self.settings),
            "`{}` is part of another command; leave out `--resume` to begin anew",
            file.display()
        );
        let mut radii: Vec<Named> = vec![];
        for (name, tensor) in part.tensors {
            let told = || format!("`{}` holds `{name}`", file.display());
            let (radius, name) = name.split_once('/').with_context(told)?;
            let radius: usize = radius.parse().with_context(told)?;
            radii.resize_with(radii.len().max(radius + 1), Named::new);
            radii[radius].insert(name.to_owned(), tensor);
        }
        Ok(Some(radii))
    }

    /// Keeps a finished batch.
    fn write(&self, first: u64, radii: &[Named]) -> Result<()> {
        let Some(file) = self.file(first) else { return Ok(()) };
        let mut part = TensorFile::default();
        part.metadata.insert(SETTINGS.into(), self.settings.clone());
        for (i, tensors) in radii.iter().enumerate() {
            let named = tensors.iter().map(|(name, t)| (format!("{i}/{name}"), t.shallow_clone()));
            part.tensors.extend(named);
        }
        part.write(&file).inspect_err(|_| {
            // A folder without a finished batch is of no use; one with some stays.
            let _ = self.folder.as_deref().map(fs::remove_dir);
        })
    }

    /// The batches of `loaded` in order, of so many images in passes of so many: those that are here,
    /// then what `make` finds for images, labels and the first one's number, by all workers, which is
    /// kept. Each is `steps` of the bar `what`.
    pub fn each(
        &self,
        (loaded, size, chunk): (&Loaded, usize, i64),
        (ui, what, steps): (&Ui, &str, u64),
        make: impl Fn((&Tensor, &Tensor), u64, &dyn Fn()) -> Result<Vec<Named>> + Sync,
        mut take: impl FnMut(Vec<Named>) -> Result<()>,
    ) -> Result<()> {
        let images = loaded.data.len();
        let bar = ui.bar(images.div_ceil(size) as u64 * steps, what);
        let mut first = 0;
        while first < images {
            let Some(found) = self.read(first as u64)? else { break };
            // It may have been made in larger or smaller batches.
            let told = || format!("the part from image {first} on holds no images");
            let n = found.iter().flat_map(Named::values).map(|t| t.size()[0]).max();
            first += n.filter(|&n| n > 0).with_context(told)? as usize;
            take(found)?;
            bar.inc(steps);
        }
        bar.reset_eta();
        let make = |images: (&Tensor, &Tensor), first, stop: &Stop| {
            let tick = || {
                stop.check();
                bar.inc(1);
            };
            Ok((first, make(images, first, &tick)?))
        };
        loaded.each_batch((first, size, chunk), make, |(first, found)| {
            self.write(first, &found)?;
            take(found)
        })?;
        bar.finish_and_clear();
        Ok(())
    }

    /// Throws the batches away: their result is written.
    pub fn done(self) -> Result<()> {
        self.clear()
    }
}

/// Whether a part has such a name, or one that is being written.
fn is_part(file: &Path) -> bool {
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    let number = name.strip_suffix(".safetensors");
    name.starts_with(".gradproof-")
        || number.is_some_and(|n| n.len() == 9 && n.bytes().all(|b| b.is_ascii_digit()))
}
