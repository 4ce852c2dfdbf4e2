//! `tensors:`: a safetensors file with `images` (f32 in [0, 1], or u8), `labels` (i64), perhaps
//! `masks`, and the class names in its header, which of a table also names its columns. A file has no splits; a folder with
//! `train.safetensors` and `test.safetensors` does. `tensors:FILE,images=adversarial` takes the images of that name, such
//! as an attack has left beside the clean ones.

use crate::{Dataset, Features, Split};
use anyhow::{Context, Result, bail, ensure};
use std::path::Path;
use tch::{Kind, Tensor};
use tensorfile::TensorFile;

/// A set whose header names no classes may not have more than this.
const MOST_CLASSES: i64 = 100_000;

/// Reads `rest`, a path and perhaps `,images=NAME`.
pub(crate) fn load(rest: &str, split: Split) -> Result<Dataset> {
    let (path, images) = rest.rsplit_once(",images=").unwrap_or((rest, "images"));
    let path = Path::new(path);
    ensure!(path.exists(), "no such file or folder: `{}`", path.display());
    read(path, split, images)
}

/// Reads the file `path`, or the file of `split` in the folder `path`.
fn read(path: &Path, split: Split, images: &str) -> Result<Dataset> {
    if path.is_dir() {
        let name = if split == Split::Train { "train.safetensors" } else { "test.safetensors" };
        let file = path.join(name);
        ensure!(file.is_file(), "no `{name}` in `{}`", path.display());
        return read(&file, split, images);
    }
    let mut file = TensorFile::read(path)?;
    check(&mut file, path, images).with_context(|| format!("`{}`", path.display()))
}

fn check(file: &mut TensorFile, path: &Path, name: &str) -> Result<Dataset> {
    let (images, labels) = (file.take(name)?, file.take("labels")?);
    let shape = images.size();
    ensure!(shape.len() == 4, "`{name}` has the shape {shape:?}; it must be [N, C, H, W]");
    ensure!(shape.iter().all(|&n| n > 0), "`{name}` is empty: its shape is {shape:?}");
    let features = Features::from_header(&file.metadata)?;
    match &features {
        Some(features) => check_columns(&images, &features.names)?,
        None => check_pixels(&images, name)?,
    }
    let (n, kind) = (shape[0], labels.kind());
    ensure!(kind == Kind::Int64, "`labels` has the type {kind:?}; it must be Int64");
    let counted = labels.size();
    ensure!(counted == [n], "`labels` has the shape {counted:?}; {n} images need [{n}]");
    let masks = file.tensors.remove("masks").map(|masks| check_masks(masks, &shape)).transpose()?;
    let classes = match file.metadata.get("classes") {
        Some(names) => tensorfile::header::names(names),
        None => (0..=labels.max().int64_value(&[]).clamp(0, MOST_CLASSES - 1))
            .map(|class| class.to_string())
            .collect::<Vec<_>>(),
    };
    let outside = labels.lt(0).logical_or(&labels.ge(classes.len() as i64));
    if let Some(i) = first(&outside) {
        let (label, last) = (labels.int64_value(&[i]), classes.len() - 1);
        bail!("image {i} (counted from 0) has the label {label}; classes are 0 to {last}");
    }
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    let set = file.metadata.get("dataset").cloned().unwrap_or_else(|| stem.into_owned());
    let name = if name == "images" { set } else { format!("{set} ({name})") };
    let named = file.metadata.contains_key("classes");
    Ok(Dataset { masks, features, named, ..Dataset::new(name, images, labels, classes) })
}

fn check_pixels(images: &Tensor, name: &str) -> Result<()> {
    match images.kind() {
        Kind::Uint8 => return Ok(()),
        Kind::Float => {}
        kind => bail!("`{name}` has the type {kind:?}; it must be Float in [0, 1] or Uint8"),
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
