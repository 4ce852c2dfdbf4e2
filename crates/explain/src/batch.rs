//! What a method is given: images, what is explained about each, and what seeds its draws.

use crate::{Attribution, engine::limit::ChunkLimit};
use models::upload;
use models::{Target, noise};
use tch::Tensor;

/// Images a pass, where nothing else is asked for.
const CHUNK: i64 = 256;

/// Images to explain, and what a method may draw and hold at once.
#[derive(Debug)]
pub struct Batch {
    /// Images in [0, 1], `[N, C, H, W]`.
    pub x: Tensor,
    /// Class and score, one class per image.
    pub target: Target,
    /// One key per image: seeds everything that is drawn for it.
    pub keys: Vec<u64>,
    /// Images a pass at most; a method's samples count as images.
    pub chunk: i64,
    /// Fewer, once memory was exhausted.
    pub limit: ChunkLimit,
}

impl Batch {
    /// The keys are those of images 0, 1, … of seed 0; a chunk is 256 images.
    pub fn new(x: &Tensor, target: &Target) -> Self {
        let keys = (0..x.size()[0] as u64).map(|image| noise::key(0, image, 0)).collect();
        let target = target.narrow(0, x.size()[0]);
        let limit = ChunkLimit::new(|_| ());
        Batch { x: x.shallow_clone(), target, keys, chunk: CHUNK, limit }
    }

    /// Other images with the same targets, keys and chunk.
    pub fn at(&self, x: &Tensor) -> Self {
        Batch {
            x: x.shallow_clone(),
            target: self.target.narrow(0, x.size()[0]),
            keys: self.keys.clone(),
            chunk: self.chunk,
            limit: self.limit.clone(),
        }
    }

    /// These images moved to `x`, for maps by `method`: it draws there what it draws here, or, where
    /// nothing else tells the images apart, something else.
    pub fn moved(&self, x: &Tensor, method: &dyn Attribution) -> Self {
        match method.ignores_image() {
            true => Batch { keys: self.keys_of(noise::name_id("moved")), ..self.at(x) },
            false => self.at(x),
        }
    }

    /// `n` images from the `start`-th on.
    pub fn narrow(&self, start: i64, n: i64) -> Self {
        Batch {
            x: self.x.narrow(0, start, n),
            target: self.target.narrow(start, n),
            keys: self.keys[start as usize..(start + n) as usize].to_vec(),
            chunk: self.chunk,
            limit: self.limit.clone(),
        }
    }

    /// The images that `rows` names, as often as it names them; gradients flow back to `x`.
    pub fn select(&self, rows: &[i64]) -> Self {
        let index = upload(rows, self.x.device());
        Batch {
            x: self.x.index_select(0, &index),
            target: Target {
                class: self.target.class.index_select(0, &index),
                score: self.target.score,
            },
            keys: rows.iter().map(|&row| self.keys[row as usize]).collect(),
            chunk: self.chunk,
            limit: self.limit.clone(),
        }
    }

    /// The same images with draws of their own: judging an attack by what it did not see.
    pub fn redrawn(&self) -> Self {
        Batch { keys: self.keys_of(noise::name_id("redrawn")), ..self.at(&self.x) }
    }

    /// A key for sample `sample` of each image.
    pub fn keys_of(&self, sample: u64) -> Vec<u64> {
        self.keys.iter().map(|&key| noise::key(key, sample, 0)).collect()
    }
}
