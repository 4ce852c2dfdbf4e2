//! `folder:`: one folder of png or jpeg files per class, sorted by name, perhaps inside `train/`
//! and `test/` or `val/`. Everything becomes 8-bit RGB; an alpha channel is dropped.

use crate::{Dataset, Options, Split};
use anyhow::{Context, Result, bail, ensure};
use image::{RgbImage, imageops::FilterType};
use std::{
    num::NonZero,
    path::{Path, PathBuf},
    thread,
};
use tch::{Kind, Tensor};

/// Reads one split: images u8 [N, 3, H, W], by class and then by file name. A folder without
/// `train/` and `test/` or `val/` is read whole for either split.
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
    let images = decode_all(&files, options.size)?;
    let name = path.canonicalize().unwrap_or(path.to_owned());
    let name = name.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let labels = Tensor::from_slice(&labels);
    Ok(Dataset { name, images, labels, classes, masks: None, features: None })
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

/// Decodes on all cores; the error is that of the first bad file in order.
fn decode_all(files: &[PathBuf], size: Option<i64>) -> Result<Tensor> {
    let share = files.len().div_ceil(thread::available_parallelism().map_or(1, NonZero::get));
    let parts: Vec<Result<Vec<RgbImage>>> = thread::scope(|scope| {
        let decode_part = |part: &[PathBuf]| part.iter().map(|file| decode(file, size)).collect();
        let workers = files.chunks(share).map(|part| scope.spawn(move || decode_part(part)));
        let workers: Vec<_> = workers.collect();
        workers.into_iter().map(|worker| worker.join().expect("decoding does not panic")).collect()
    });
    let images: Vec<RgbImage> = parts.into_iter().collect::<Result<Vec<_>>>()?.concat();
    let (width, height) = images[0].dimensions();
    let odd = images.iter().position(|image| image.dimensions() != (width, height));
    if let Some(i) = odd {
        bail!(
            "`{}` has {width}×{height} pixels, `{}` {}×{}; give a size to resize them all",
            files[0].display(),
            files[i].display(),
            images[i].width(),
            images[i].height()
        );
    }
    let bytes: Vec<u8> = images.into_iter().flat_map(RgbImage::into_raw).collect();
    let shape = [files.len() as i64, height.into(), width.into(), 3];
    Ok(Tensor::from_data_size(&bytes, &shape, Kind::Uint8).permute([0, 3, 1, 2]).contiguous())
}

/// One png or jpeg as f32 [1, 3, H, W] in [0, 1]; with a size, resized to that square.
pub fn image(file: &Path, size: Option<i64>) -> Result<Tensor> {
    Ok(crate::dataset::pixels(&decode_all(&[file.to_owned()], size)?))
}

fn decode(file: &Path, size: Option<i64>) -> Result<RgbImage> {
    let told = || format!("cannot read `{}` as an image", file.display());
    // By contents, not by extension: a jpeg called .png is still an image.
    let reader = image::ImageReader::open(file).with_context(told)?;
    let reader = reader.with_guessed_format().with_context(told)?;
    let image = reader.decode().with_context(told)?.to_rgb8();
    let Some(side) = size else { return Ok(image) };
    let range = 1..=4096;
    ensure!(range.contains(&side), "a size of {side} pixels is not 1 to 4096");
    let side = side as u32;
    match image.dimensions() == (side, side) {
        true => Ok(image),
        false => Ok(image::imageops::resize(&image, side, side, FilterType::Triangle)),
    }
}
