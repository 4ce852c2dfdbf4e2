//! `folder:`: one folder of png or jpeg files per class, sorted by name, perhaps inside `train/`
//! and `test/` or `val/`. Everything becomes 8-bit RGB; an alpha channel is dropped.

use crate::{Dataset, Files, Images, Options, Split};
use anyhow::{Context, Result, anyhow, bail, ensure};
use image::{ImageError, ImageReader, ImageResult, RgbImage, imageops::FilterType};
use std::{
    fs::{self, File},
    io::BufReader,
    path::{Path, PathBuf},
};
use tch::{Kind, Tensor};

/// Finds one split: images u8 [N, 3, H, W], by class and then by file name, still in their files.
/// A folder without `train/` and `test/` or `val/` is read whole for either split.
pub(crate) fn load(path: &Path, options: &Options) -> Result<Dataset> {
    let root = root(path, options.split)?;
    let classes = names(&root, Path::is_dir)?;
    ensure!(!classes.is_empty(), "`{}` has no folder in it, one per class", root.display());
    if let Ok(other) = self::root(path, other(options.split)) {
        let theirs = names(&other, Path::is_dir)?;
        ensure!(
            classes == theirs,
            "`{}` and `{}` do not have the same class folders",
            root.display(),
            other.display()
        );
    }
    let mut files: Vec<PathBuf> = vec![];
    let mut labels: Vec<i64> = vec![];
    for (label, class) in classes.iter().enumerate() {
        let folder = root.join(class);
        let images = names(&folder, is_image)?;
        ensure!(!images.is_empty(), "`{}` has no png or jpeg in it", folder.display());
        labels.resize(labels.len() + images.len(), label as i64);
        files.extend(images.iter().map(|name| folder.join(name)));
    }
    let files = Files::new(files, options.size, options.memory)?;
    let images = Images::Streamed(files);
    let name = path.canonicalize().unwrap_or(path.to_owned());
    let name = name.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let labels = Tensor::from_slice(&labels);
    Ok(Dataset::new(name, images, labels, classes))
}

fn other(split: Split) -> Split {
    if split == Split::Train { Split::Test } else { Split::Train }
}

/// The folder that holds the class folders of `split`.
fn root(path: &Path, split: Split) -> Result<PathBuf> {
    ensure!(path.is_dir(), "`{}` is not a folder with one folder per class", path.display());
    let [train, test, val] = ["train", "test", "val"].map(|name| path.join(name));
    let parted = train.is_dir();
    match split {
        _ if !parted => Ok(path.to_owned()),
        Split::Train => Ok(train),
        Split::Test => [test, val]
            .into_iter()
            .find(|folder| folder.is_dir())
            .with_context(|| format!("`{}` has `train` but no `test` or `val`", path.display())),
    }
}

/// The names in `folder` that `keep` accepts, sorted; hidden ones never.
fn names(folder: &Path, keep: fn(&Path) -> bool) -> Result<Vec<String>> {
    let told = || format!("cannot read the folder `{}`", folder.display());
    let mut names = vec![];
    for entry in folder.read_dir().with_context(told)? {
        let entry = entry.with_context(told)?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if !name.starts_with('.') && keep(&entry.path()) {
            names.push(name);
        }
    }
    names.sort();
    Ok(names)
}

fn is_image(path: &Path) -> bool {
    let extension = path.extension().unwrap_or_default().to_string_lossy().to_lowercase();
    matches!(extension.as_str(), "png" | "jpg" | "jpeg") && path.is_file()
}

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

/// One png or jpeg as f32 [1, 3, H, W] in [0, 1]; with a size, resized to that square.
pub fn image(file: &Path, size: Option<i64>) -> Result<Tensor> {
    let alone = Files::new(vec![file.to_owned()], size, u64::MAX)?;
    Ok(crate::dataset::pixels(&alone.whole(|_| ())?))
}

/// What `read` takes from an image. By contents, not by extension: a jpeg called .png is still an image.
fn opened<T>(
    file: &Path,
    read: impl FnOnce(ImageReader<BufReader<File>>) -> ImageResult<T>,
) -> Result<T> {
    let image = ImageReader::open(file).and_then(ImageReader::with_guessed_format);
    let found = image.map_err(ImageError::from).and_then(read);
    // These errors say themselves what their sources say.
    found.map_err(|error| anyhow!("cannot read `{}` as an image: {error}", file.display()))
}

/// Width and height that `decode` gives.
pub(crate) fn dimensions(file: &Path, size: Option<i64>) -> Result<(u32, u32)> {
    let Some(side) = size else {
        return opened(file, ImageReader::into_dimensions);
    };
    let range = 1..=4096;
    ensure!(range.contains(&side), "a size of {side} pixels is not 1 to 4096");
    Ok((side as u32, side as u32))
}

/// An image as 8-bit RGB; with a size, resized to that square.
pub(crate) fn decode(file: &Path, size: Option<i64>) -> Result<RgbImage> {
    let image = opened(file, ImageReader::decode)?.into_rgb8();
    match size.map(|side| side as u32) {
        Some(side) if image.dimensions() != (side, side) => {
            Ok(image::imageops::resize(&image, side, side, FilterType::Triangle))
        }
        _ => Ok(image),
    }
}
