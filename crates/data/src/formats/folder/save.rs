//! Writing a set as class folders.

use crate::{Dataset, names};
use anyhow::{Context, Result, bail, ensure};
use image::ExtendedColorType;
use std::{collections::BTreeSet, fs, path::Path};
use tch::Kind;
use tensorfile::words::count;

/// A note on classes without images, which get no folder. Errors: a table, a class that is no name of a
/// folder, images of neither one nor three channels.
pub(crate) fn check(set: &Dataset) -> Result<Option<String>> {
    set.check_pixels("a folder of png files")?;
    colours(set)?;
    let (present, absent) = classes(set)?;
    for class in present {
        let single = Path::new(class).components().count() == 1 && !class.starts_with('.');
        ensure!(single, "the class `{class}` cannot be the name of a folder");
    }
    Ok((!absent.is_empty()).then(|| {
        let classes = count(absent.len(), "class");
        format!("no folder for {classes} without an image: {}", names::few(absent))
    }))
}

fn colours(set: &Dataset) -> Result<ExtendedColorType> {
    match set.image_shape()[0] {
        1 => Ok(ExtendedColorType::L8),
        3 => Ok(ExtendedColorType::Rgb8),
        n => bail!("png files have one or three channels; these images have {n}"),
    }
}

/// The classes that have images, and the others.
fn classes(set: &Dataset) -> Result<(Vec<&String>, Vec<&String>)> {
    let labels: Vec<i64> = (&set.labels).try_into()?;
    let labels: BTreeSet<i64> = labels.into_iter().collect();
    let all = (0i64..).zip(&set.classes);
    let (present, absent): (Vec<_>, Vec<_>) = all.partition(|(label, _)| labels.contains(label));
    let names = |all: Vec<(i64, _)>| all.into_iter().map(|(_, name)| name).collect();
    Ok((names(present), names(absent)))
}

/// Writes `set` as png files, `CLASS/NUMBER.png`, into the folder `path`; `tick` is called after each. Errors:
/// those of [`check`].
pub(crate) fn save(set: &Dataset, path: &Path, tick: &dyn Fn()) -> Result<()> {
    check(set)?;
    let [_, height, width] = set.image_shape();
    let (kind, labels) = (colours(set)?, Vec::<i64>::try_from(&set.labels)?);
    for folder in classes(set)?.0.into_iter().map(|class| path.join(class)) {
        fs::create_dir_all(&folder)
            .with_context(|| format!("cannot make `{}`", folder.display()))?;
    }
    let mut number = 0;
    for batch in set.ordered(256) {
        let (x, _) = batch?;
        let bytes = (x * 255.).round().to_kind(Kind::Uint8).permute([0, 2, 3, 1]).contiguous();
        for image in bytes.split(1, 0) {
            let pixels: Vec<u8> = image.view([-1]).try_into()?;
            let class = &set.classes[labels[number] as usize];
            let file = path.join(class).join(format!("{number:07}.png"));
            image::save_buffer(&file, &pixels, width as u32, height as u32, kind)
                .with_context(|| format!("cannot write `{}`", file.display()))?;
            number += 1;
            tick();
        }
    }
    Ok(())
}
