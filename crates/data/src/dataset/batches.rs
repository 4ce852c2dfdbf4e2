//! The two ways through a set: in order for evaluation, shuffled and augmented for training.
//! An epoch is a function of (seed, epoch): nothing is remembered between two of them.

use crate::{Augment, Dataset, Move, dataset::pixels, keyed};
use anyhow::Result;
use rand::seq::SliceRandom;
use tch::Tensor;

/// What makes one epoch.
#[derive(Debug, Clone, Copy)]
pub struct Shuffle {
    /// The run's seed.
    pub seed: u64,
    /// Which epoch, from 0 on.
    pub epoch: u64,
    /// Crops and flips, if any.
    pub augment: Option<Augment>,
    /// What happens to the images left over after the last full batch.
    pub last: Last,
}

/// What happens to a last batch that is not full.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Last {
    /// It is used as it is.
    Keep,
    /// It is left out; a set smaller than one batch then gives none.
    Drop,
}

/// Pixels f32 [B, C, H, W], those of images in [0, 1], and labels i64 `[B]`; or which file is no image.
pub type Batch = Result<(Tensor, Tensor)>;

impl Dataset {
    /// Every image once, in order; the last batch may be smaller. `batch_size` 0 counts as 1.
    pub fn ordered(&self, batch_size: usize) -> impl Iterator<Item = Batch> + '_ {
        let (size, mut start) = (batch_size.max(1), 0);
        self.images.in_order(self.len(), size).map(move |images| {
            let images = images?;
            let n = images.size()[0];
            start += n;
            Ok((pixels(&images), self.labels.narrow(0, start - n, n)))
        })
    }

    /// The image numbers of each batch of an epoch.
    pub fn order(&self, batch_size: usize, shuffle: &Shuffle) -> Vec<Vec<i64>> {
        let mut numbers: Vec<i64> = (0..self.len() as i64).collect();
        let keys = [shuffle.seed, shuffle.epoch, 0];
        numbers.shuffle(&mut keyed::generator(keyed::Purpose::Order, keys));
        let size = batch_size.max(1);
        let whole = |batch: &&[i64]| shuffle.last == Last::Keep || batch.len() == size;
        numbers.chunks(size).filter(whole).map(<[i64]>::to_vec).collect()
    }

    /// The batches of image numbers `order`, moved as the epoch `shuffle` moves them. What happens to an
    /// image does not depend on the others of its batch.
    pub fn epoch(
        &self,
        order: Vec<Vec<i64>>,
        shuffle: Shuffle,
    ) -> impl Iterator<Item = Batch> + '_ {
        let images = self.images.batches(order.clone());
        order.into_iter().zip(images).map(move |(numbers, images)| {
            let (images, labels) = (images?, self.labels_of(&numbers));
            let Some(augment) = shuffle.augment else { return Ok((pixels(&images), labels)) };
            let draw = |&image: &i64| augment.draw(shuffle.seed, shuffle.epoch, image);
            let moves: Vec<Move> = numbers.iter().map(draw).collect();
            Ok((pixels(&augment.apply(&images, &moves)), labels))
        })
    }
}
