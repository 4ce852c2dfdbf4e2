//! Writing a set as class folders.

use crate::Dataset;
use anyhow::{Context, Result, bail, ensure};
use std::{fs, path::Path};
use tch::Kind;

/// Writes `set` as png files, `CLASS/NUMBER.png`, into the folder `path`; `tick` is called after each. Errors: a
/// table, a class without images or that is no name of a folder, images of neither one nor three channels.
pub(crate) fn save(set: &Dataset, path: &Path, tick: &dyn Fn()) -> Result<()> {
    set.check_pixels("a folder of png files")?;
    let [channels, height, width] = set.image_shape();
    let kind = match channels {
        1 => image::ExtendedColorType::L8,
        3 => image::ExtendedColorType::Rgb8,
        _ => bail!("png files have one or three channels; these images have {channels}"),
    };
    let labels: Vec<i64> = (&set.labels).try_into()?;
    for (label, class) in set.classes.iter().enumerate() {
        let some = labels.contains(&(label as i64));
        ensure!(some, "no image of the class `{class}`; a class folder needs one");
        let single = Path::new(class).components().count() == 1 && !class.starts_with('.');
        ensure!(single, "the class `{class}` cannot be the name of a folder");
    }
    for folder in set.classes.iter().map(|class| path.join(class)) {
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
