//! `shapes`: a CIFAR-shaped set of ten silhouettes, drawn from a seed with no file, with the mask
//! of the pixels that make the class. Colour, place, size and background say nothing about it.
//! An image depends on (seed, split, index) alone. Bits are repeatable on one kind of machine.
//! With `pair=left` or `pair=right` two of them stand side by side, and one of the two makes the class.

use crate::{Dataset, Split, keyed};
use anyhow::{Result, ensure};
use serde::{Deserialize, Serialize};
use std::{fmt, num::NonZero, thread};
use tch::{Kind, Tensor};
use toml::Table;

mod figure;
mod scene;

use figure::Figure;
use scene::{SIDE, Scene};

const PIXELS: usize = (SIDE * SIDE) as usize;
/// More than this would not fit into the memory of a usual machine.
const MOST: usize = 10_000_000;

/// A whole `shapes` set: its seed and how many images each split has.
#[derive(Debug, Clone, Copy, Deserialize, Serialize, PartialEq, Eq)]
#[serde(deny_unknown_fields, default)]
pub struct Shapes {
    /// Another seed is another set.
    pub seed: u64,
    /// Images for training, 1 to 10,000,000.
    pub train: usize,
    /// Images for testing, 1 to 10,000,000; never among those for training.
    pub test: usize,
    /// Two images side by side, of which this one makes the class; the pictures are the same for both.
    pub pair: Option<Half>,
}

/// A half of an image.
#[derive(Debug, Clone, Copy, Deserialize, Serialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum Half {
    /// The columns 0 to 31.
    Left,
    /// The columns 32 to 63.
    Right,
}

impl Default for Shapes {
    fn default() -> Self {
        Shapes { seed: 0, train: 6000, test: 1000, pair: None }
    }
}

impl fmt::Display for Shapes {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "shapes:seed={},train={},test={}", self.seed, self.train, self.test)?;
        match self.pair {
            None => Ok(()),
            Some(Half::Left) => write!(f, ",pair=left"),
            Some(Half::Right) => write!(f, ",pair=right"),
        }
    }
}

impl Shapes {
    /// What is left out keeps its default. Errors: an option is unknown or out of its range.
    pub fn new(table: Table) -> Result<Self> {
        let shapes: Shapes = registry::options(table)?;
        shapes.check()?;
        Ok(shapes)
    }

    fn check(&self) -> Result<()> {
        for (name, count) in [("train", self.train), ("test", self.test)] {
            let range = 1..=MOST;
            ensure!(range.contains(&count), "`{name}={count}` of `shapes` is not 1 to {MOST}");
        }
        Ok(())
    }

    /// Draws one split on all cores: images u8 [N, 3, 32, 32] and masks bool [N, 32, 32]; of pairs
    /// both are 64 wide. Panics where a count is out of its range.
    pub fn generate(&self, split: Split) -> Dataset {
        let Some(half) = self.pair else { return self.drawn(split, split as u64) };
        // Splits are 0 and 1; beside them stand images of none.
        let [left, right] = [0, 2].map(|beside| self.drawn(split, split as u64 + beside));
        let (empty, images) = (
            left.masks.as_ref().map(Tensor::zeros_like),
            Tensor::cat(&[left.images.held(), right.images.held()], 3),
        );
        let wide = |a: Option<&Tensor>, b: Option<&Tensor>| Some(Tensor::cat(&[a?, b?], 2));
        let (own, masks) = match half {
            Half::Left => (&left, wide(left.masks.as_ref(), empty.as_ref())),
            Half::Right => (&right, wide(empty.as_ref(), right.masks.as_ref())),
        };
        let (labels, classes) = (own.labels.shallow_clone(), own.classes.clone());
        Dataset { masks, ..Dataset::new(self.to_string(), images, labels, classes) }
    }

    /// As many images as `split` has, of the draws `part`.
    fn drawn(&self, split: Split, part: u64) -> Dataset {
        self.check().expect("counts are within their range");
        let count = if split == Split::Train { self.train } else { self.test };
        let mut pixels = vec![0u8; count * 3 * PIXELS];
        let mut masks = vec![0u8; count * PIXELS];
        let mut labels = vec![0i64; count];
        let workers = thread::available_parallelism().map_or(1, NonZero::get);
        let share = count.div_ceil(workers);
        thread::scope(|scope| {
            let parts = pixels.chunks_mut(share * 3 * PIXELS).zip(masks.chunks_mut(share * PIXELS));
            for (worker, ((pixels, masks), labels)) in
                parts.zip(labels.chunks_mut(share)).enumerate()
            {
                let seed = self.seed;
                scope.spawn(move || {
                    let images = pixels.chunks_mut(3 * PIXELS).zip(masks.chunks_mut(PIXELS));
                    for (i, ((pixels, mask), label)) in images.zip(labels).enumerate() {
                        let keys = [seed, part, (worker * share + i) as u64];
                        let rng = keyed::generator(keyed::Purpose::Shapes, keys);
                        *label = Scene { pixels, mask }.draw(rng) as i64;
                    }
                });
            }
        });
        let n = count as i64;
        let images = Tensor::from_data_size(&pixels, &[n, 3, SIDE, SIDE], Kind::Uint8);
        let classes = Figure::ALL.iter().map(|figure| figure.name().to_owned()).collect();
        let masks = Some(Tensor::from_data_size(&masks, &[n, SIDE, SIDE], Kind::Bool));
        let labels = Tensor::from_slice(&labels);
        Dataset { masks, ..Dataset::new(self.to_string(), images, labels, classes) }
    }
}
