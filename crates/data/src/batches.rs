//! The two ways through a set: in order for evaluation, shuffled and augmented for training.
//! An epoch is a function of (seed, epoch): nothing is remembered between two of them.

use crate::{Augment, Dataset, Move, dataset::pixels, keyed};
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

impl Dataset {
    /// Every image once, in order: (f32 [B, C, H, W] in [0, 1], labels i64 `[B]`); the last batch
    /// may be smaller. `batch_size` 0 counts as 1.
    pub fn ordered(&self, batch_size: usize) -> impl Iterator<Item = (Tensor, Tensor)> + '_ {
        let (n, size) = (self.len(), batch_size.max(1));
        (0..n).step_by(size).map(move |start| {
            let cut = |of: &Tensor| of.narrow(0, start as i64, size.min(n - start) as i64);
            (pixels(&cut(&self.images)), cut(&self.labels))
        })
    }

    /// One epoch of training batches, shaped as in [`Dataset::ordered`].
    pub fn epoch(
        &self,
        batch_size: usize,
        shuffle: Shuffle,
    ) -> impl Iterator<Item = (Tensor, Tensor)> + '_ {
        let order = self.order(batch_size, &shuffle);
        order.into_iter().map(move |index| self.shuffled(&index, &shuffle))
    }

    /// The image numbers of each batch of an epoch, for who keeps something per image.
    pub fn order(&self, batch_size: usize, shuffle: &Shuffle) -> Vec<Vec<i64>> {
        let mut numbers: Vec<i64> = (0..self.len() as i64).collect();
        let keys = [shuffle.seed, shuffle.epoch, 0];
        numbers.shuffle(&mut keyed::generator(keyed::Purpose::Order, keys));
        let size = batch_size.max(1);
        let whole = |batch: &&[i64]| shuffle.last == Last::Keep || batch.len() == size;
        numbers.chunks(size).filter(whole).map(<[i64]>::to_vec).collect()
    }

    /// The images `numbers` as the epoch `shuffle` moves them, and their labels. What happens to
    /// an image does not depend on the others of its batch.
    pub fn shuffled(&self, numbers: &[i64], shuffle: &Shuffle) -> (Tensor, Tensor) {
        let index = Tensor::from_slice(numbers).to_device(self.images.device());
        let labels = self.labels.index_select(0, &index);
        let images = self.images.index_select(0, &index);
        let Some(augment) = shuffle.augment else { return (pixels(&images), labels) };
        let draw = |&image: &i64| augment.draw(shuffle.seed, shuffle.epoch, image);
        let moves: Vec<Move> = numbers.iter().map(draw).collect();
        (pixels(&augment.apply(&images, &moves)), labels)
    }
}
