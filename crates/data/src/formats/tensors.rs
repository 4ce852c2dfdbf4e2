//! `tensors:`: a safetensors file with `images` (u8, or numbers in [0, 1] that f32 holds), `labels` (whole numbers),
//! perhaps `masks`, and the class names in its header, which of a table also names its columns. A file has no splits;
//! a folder with `train.safetensors` and `test.safetensors` does. `tensors:FILE,images=adversarial` takes the images of that name, such
//! as an attack has left beside the clean ones.

use crate::{Dataset, Features, Split};
use anyhow::{Context, Result, bail, ensure};
use std::path::Path;
use tch::{Kind, Tensor};
use tensorfile::{TensorFile, words::count};

/// A set whose header names no classes may not have more than this.
const MOST_CLASSES: i64 = 100_000;

/// Reads the file `path`, or the file of `split` in the folder `path`; its images are called `images`.
pub(crate) fn load(path: &Path, split: Split, images: &str) -> Result<Dataset> {
    if path.is_dir() {
        let name = if split == Split::Train { "train.safetensors" } else { "test.safetensors" };
        let file = path.join(name);
        ensure!(file.is_file(), "no `{name}` in `{}`", path.display());
        let whole = !path.join("test.safetensors").is_file();
        return Ok(Dataset { whole, ..load(&file, split, images)? });
    }
    let mut file = TensorFile::read(path)?;
    let set = check(&mut file, path, images).with_context(|| format!("`{}`", path.display()))?;
    Ok(Dataset { whole: true, ..set })
}

fn check(file: &mut TensorFile, path: &Path, name: &str) -> Result<Dataset> {
    let (images, labels) = (file.take(name)?, file.take("labels")?);
    let shape = images.size();
    check_shape(&shape, name)?;
    ensure!(shape.iter().all(|&n| n > 0), "`{name}` is empty: its shape is {shape:?}");
    let features = Features::from_header(&file.metadata)?;
    let images = lossless(images, name)?;
    match &features {
        Some(features) => check_columns(&images, &features.names)?,
        None => check_pixels(&images)?,
    }
    let (n, labels) = (shape[0], whole_numbers(labels)?);
    let counted = labels.size();
    ensure!(
        counted == [n],
        "`labels` has the shape {counted:?}; for {} it is [{n}]",
        count(n, "image")
    );
    let masks = file.tensors.remove("masks").map(|masks| check_masks(masks, &shape)).transpose()?;
    let names =
        file.metadata.get("classes").map(|names| tensorfile::header::names(names)).transpose()?;
    let named = names.is_some();
    let classes = names.map_or_else(|| numbered(file, &labels), Ok)?;
    let outside = labels.lt(0).logical_or(&labels.ge(classes.len() as i64));
    if let Some(i) = first(&outside) {
        let (label, last) = (labels.int64_value(&[i]), classes.len() - 1);
        bail!("image {i} (counted from 0) has the label {label}; classes are 0 to {last}");
    }
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    let set = file.metadata.get("dataset").cloned().unwrap_or_else(|| stem.into_owned());
    let name = if name == "images" { set } else { format!("{set} ({name})") };
    let notes = binary(&images).into_iter().collect();
    Ok(Dataset { named, masks, features, notes, ..Dataset::new(name, images, labels, classes) })
}

/// Classes that are called by their numbers: as many as the header or else the labels say.
fn numbered(file: &TensorFile, labels: &Tensor) -> Result<Vec<String>> {
    let count = match file.metadata.get("class_count") {
        Some(count) => count.trim().parse().ok().filter(|n| (1..=MOST_CLASSES).contains(n)),
        None => Some((labels.max().int64_value(&[]).clamp(0, MOST_CLASSES - 1)) + 1),
    };
    let count = count.with_context(|| {
        format!("`class_count` of the header is no number from 1 to {MOST_CLASSES}")
    })?;
    Ok((0..count).map(|class| class.to_string()).collect())
}

/// Errors: not [N, C, H, W], with what would make it so where that is likely.
fn check_shape(shape: &[i64], name: &str) -> Result<()> {
    let hint = match *shape {
        [_, height, _, channels] if channels <= 4 && height > 4 => {
            "; of [N, H, W, C] take `permute(0, 3, 1, 2)`"
        }
        [_, _, _, _] => return Ok(()),
        [_, _, _] => "; of grey images [N, H, W] take `unsqueeze(1)`",
        _ => "",
    };
    bail!("`{name}` has the shape {shape:?}; it must be [N, C, H, W]{hint}")
}

/// `images` as u8 or f32. Errors: another type, or numbers that f32 does not hold.
fn lossless(images: Tensor, name: &str) -> Result<Tensor> {
    let kind = images.kind();
    match kind {
        Kind::Uint8 | Kind::Float => Ok(images),
        Kind::Half | Kind::BFloat16 => Ok(images.to_kind(Kind::Float)),
        Kind::Double => {
            let single = images.to_kind(Kind::Float);
            // NaN is equal to nothing and refused below, by its place.
            let same = single.to_kind(kind).eq_tensor(&images).logical_or(&images.isnan());
            let all = same.all().int64_value(&[]) == 1;
            ensure!(
                all,
                "`{name}` has the type Double and numbers that f32 does not hold; write it with \
                 `images.float()`"
            );
            Ok(single)
        }
        _ => bail!(
            "`{name}` has the type {kind:?}; it must be Float in [0, 1] or Uint8 from 0 to 255"
        ),
    }
}

/// `labels` as i64. Errors: not whole numbers.
fn whole_numbers(labels: Tensor) -> Result<Tensor> {
    let kind = labels.kind();
    let whole = matches!(
        kind,
        Kind::Int64 | Kind::Int | Kind::Int16 | Kind::Int8 | Kind::Uint8 | Kind::Bool
    );
    ensure!(whole, "`labels` has the type {kind:?}; it must be whole numbers, such as Int64");
    Ok(labels.to_kind(Kind::Int64))
}

/// A note where 8-bit images hold but 0 and 1: nearly black, and perhaps meant as black and white.
fn binary(images: &Tensor) -> Option<String> {
    let ones = images.kind() == Kind::Uint8 && images.max().int64_value(&[]) == 1;
    ones.then(|| "no pixel is more than 1 of 255: if 1 is white, multiply the images by 255".into())
}

fn check_pixels(images: &Tensor) -> Result<()> {
    if images.kind() == Kind::Uint8 {
        return Ok(());
    }
    // Written so that NaN, which compares false with everything, is outside as well.
    let inside = images.ge(0.0).logical_and_(&images.le(1.0));
    let outside = inside.flatten(1, -1).all_dim(1, false).logical_not();
    let Some(i) = first(&outside) else { return Ok(()) };
    let image = images.select(0, i);
    let value = image.masked_select(&inside.select(0, i).logical_not()).double_value(&[0]);
    bail!("image {i} (counted from 0) has the pixel {value}; pixels must be in [0, 1]")
}

fn check_columns(images: &Tensor, names: &[String]) -> Result<()> {
    let (shape, kind) = (images.size(), images.kind());
    ensure!(kind == Kind::Float, "`images` of a table has the type {kind:?}; it must be Float");
    let right = [shape[0], names.len() as i64, 1, 1];
    ensure!(shape == right, "`images` has the shape {shape:?}; its `features` need {right:?}");
    match first(&images.isfinite().flatten(1, -1).all_dim(1, false).logical_not()) {
        Some(row) => bail!("row {row} (counted from 0) holds no finite number"),
        None => Ok(()),
    }
}

fn check_masks(masks: Tensor, images: &[i64]) -> Result<Tensor> {
    let (kind, shape, right) = (masks.kind(), masks.size(), [images[0], images[2], images[3]]);
    ensure!(shape == right, "`masks` has the shape {shape:?}; these images need {right:?}");
    let known = matches!(kind, Kind::Bool | Kind::Uint8);
    ensure!(known, "`masks` has the type {kind:?}; it must be Bool or Uint8");
    Ok(masks.to_kind(Kind::Bool))
}

/// Where `flags` `[N]` is first true.
fn first(flags: &Tensor) -> Option<i64> {
    let found = flags.nonzero();
    (found.size()[0] > 0).then(|| found.int64_value(&[0, 0]))
}
