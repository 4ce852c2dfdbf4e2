//! Real images as baselines, from a file such as `gradproof data make --out` writes. Only the tensor
//! `images` is read, once.

use crate::Batch;
use anyhow::{Context, Result, bail, ensure};
use models::{SharedTensor, noise};
use std::path::{Path, PathBuf};
use tch::{Kind, Tensor};
use tensorfile::TensorFile;

/// Images in [0, 1], f32 `[M, C, H, W]`, and where they are from.
#[derive(Debug)]
pub(crate) struct References {
    images: SharedTensor,
    path: PathBuf,
}

impl References {
    /// `images` of a safetensors file, u8 or f32 in [0, 1]. Errors: what the file lacks.
    pub fn read(path: &Path) -> Result<Self> {
        let images = TensorFile::read(path)?.take("images");
        let images = images.and_then(|stored| pixels(&stored));
        let images = images.with_context(|| format!("`{}`", path.display()))?;
        Ok(References { images: SharedTensor::new(images), path: path.to_owned() })
    }

    /// How many there are.
    pub fn count(&self) -> u64 {
        self.images.get().size()[0] as u64
    }

    /// Errors: images of another shape than those explained.
    pub fn check(&self, image: [i64; 3]) -> Result<()> {
        let found = &self.images.get().size()[1..];
        ensure!(
            found == image,
            "`baseline`: the images of `{}` are {}; those explained are {}",
            self.path.display(),
            spelled(found),
            spelled(&image)
        );
        Ok(())
    }

    /// Image `which[n]` for image `n` of the batch, counted round and round.
    pub fn in_turn(&self, batch: &Batch, which: &[u64]) -> Tensor {
        let rows: Vec<i64> = which.iter().map(|i| (i % self.count()) as i64).collect();
        self.rows(batch, &rows)
    }

    /// For image `n` of the batch one that its key and `which[n]` draw.
    pub fn drawn(&self, batch: &Batch, which: &[u64]) -> Tensor {
        let id = noise::name_id("baseline");
        let pairs = batch.keys.iter().zip(which);
        let row = |(&key, &i): (&u64, &u64)| (noise::key(key, id, i) % self.count()) as i64;
        self.rows(batch, &pairs.map(row).collect::<Vec<_>>())
    }

    fn rows(&self, batch: &Batch, rows: &[i64]) -> Tensor {
        let chosen = self.images.get().index_select(0, &Tensor::from_slice(rows));
        chosen.to_kind(batch.x.kind()).to_device(batch.x.device())
    }
}

fn spelled(shape: &[i64]) -> String {
    shape.iter().map(i64::to_string).collect::<Vec<_>>().join("x")
}

/// Stored pixels as f32 in [0, 1].
fn pixels(stored: &Tensor) -> Result<Tensor> {
    let shape = stored.size();
    ensure!(
        shape.len() == 4 && shape.iter().all(|&n| n > 0),
        "`images` has the shape {shape:?}; it must be [M, C, H, W]"
    );
    let images = match stored.kind() {
        Kind::Uint8 => stored.to_kind(Kind::Float) / 255.,
        Kind::Float => stored.shallow_clone(),
        kind => bail!("`images` has the type {kind:?}; it must be Float in [0, 1] or Uint8"),
    };
    // Written so that NaN is outside as well.
    let inside = images.ge(0.).logical_and(&images.le(1.)).all();
    ensure!(bool::try_from(inside)?, "`images` has pixels outside [0, 1]");
    Ok(images)
}
