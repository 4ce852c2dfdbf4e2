//! Passes over images and their samples, none larger than [`Batch::chunk`]. Every method and metric
//! cuts here. A pass that exhausts the memory is made again in passes of half as many images; what
//! earlier passes gave is kept, and later passes begin with what there was memory for.

use crate::{
    Batch,
    engine::{limit::ChunkLimit, oom},
};
use models::Model;
use std::ops::Range;
use tch::Tensor;

/// Images per pass at most, 1 or more: [`Batch::chunk`], or fewer after memory was exhausted.
pub(crate) fn chunk(batch: &Batch) -> i64 {
    batch.chunk.min(batch.limit.images()).max(1)
}

/// `batch` under `limit` in place of its own, whose warnings go to the same place.
pub(crate) fn under(limit: &ChunkLimit, batch: &Batch) -> Batch {
    let limit = limit.warning_as(&batch.limit);
    Batch { chunk: chunk(batch), limit, ..batch.at(&batch.x) }
}

/// What `pass`, of `rows` images, gives; none where there was no memory for it: then the chunk is at
/// most half of that. Panics, naming the method or metric, where it was one image.
fn attempt<T>(batch: &Batch, rows: i64, pass: impl FnOnce() -> T) -> Option<T> {
    let tried = chunk(batch).min(rows);
    match oom::attempt(pass) {
        Ok(made) => return Some(made),
        Err(said) if tried <= 1 => oom::give_up(&batch.limit.what, &said),
        Err(_) => {}
    }
    // A smaller pass inside this one may have lowered the limit already.
    if chunk(batch) > tried / 2 {
        batch.limit.lower(tried, tried / 2);
    }
    None
}

/// One pass: some samples of some images of a batch, sample after sample.
pub(crate) struct Pass {
    /// The images, once.
    pub block: Batch,
    /// Number of the first image in the whole batch.
    pub first: i64,
    /// The samples taken of each, consecutive.
    pub taken: Vec<u64>,
}

impl Pass {
    /// Images in the pass: those of the block, once for each sample.
    fn rows(&self) -> i64 {
        (self.block.keys.len() * self.taken.len()) as i64
    }

    /// The block once for each sample, with images `x` in place of its own.
    pub fn repeated(&self, x: &Tensor) -> Batch {
        let times = self.taken.len();
        let class = self.block.target.class.repeat([times as i64]);
        Batch {
            x: x.repeat([times as i64, 1, 1, 1]),
            target: models::Target { class, score: self.block.target.score },
            keys: self.block.keys.repeat(times),
            chunk: self.block.chunk,
            limit: self.block.limit.clone(),
        }
    }

    /// The sample number of every row of [`Pass::repeated`].
    pub fn samples(&self) -> Vec<u64> {
        let n = self.block.keys.len();
        self.taken.iter().flat_map(|&sample| std::iter::repeat_n(sample, n)).collect()
    }

    /// Rows of [`Pass::repeated`] added up image by image: `[N, C, H, W]`.
    pub fn summed(&self, rows: &Tensor) -> Tensor {
        let shape = [&[self.taken.len() as i64], &self.block.x.size()[..]].concat();
        rows.view(&shape[..]).sum_dim_intlist([0i64].as_slice(), false, rows.kind())
    }

    /// This block's part of a tensor of the whole batch.
    pub fn part(&self, whole: &Tensor) -> Tensor {
        whole.narrow(0, self.first, self.block.keys.len() as i64)
    }

    /// This pass's part of a tensor `[samples, N, …]`, `[taken, n, …]`.
    pub fn place(&self, whole: &Tensor) -> Tensor {
        let samples = whole.narrow(0, self.taken[0] as i64, self.taken.len() as i64);
        samples.narrow(1, self.first, self.block.keys.len() as i64)
    }
}

/// Samples still to be taken of some images: those from `sample` on.
struct Rest {
    first: i64,
    images: i64,
    sample: u64,
}

/// Makes passes over `count` samples of each image, blocks of images one after the other, the samples
/// of a block in order. `take` is given what a pass made once it is whole, so it sees nothing twice.
pub(crate) fn each<T>(
    batch: &Batch,
    count: u64,
    make: impl Fn(&Pass) -> T,
    take: impl FnMut(&Pass, T),
) {
    each_together(batch, (0..count, 1), make, take);
}

/// The same over a range of samples, of which `together` consecutive ones, from its start on, are in one
/// pass.
pub(crate) fn each_together<T>(
    batch: &Batch,
    (samples, together): (Range<u64>, u64),
    make: impl Fn(&Pass) -> T,
    mut take: impl FnMut(&Pass, T),
) {
    let (n, count) = (batch.x.size()[0], samples.end);
    let mut todo = vec![Rest { first: 0, images: n, sample: samples.start }];
    while let Some(Rest { first, images, sample }) = todo.pop() {
        if images == 0 || sample == count {
            continue;
        }
        let chunk = chunk(batch);
        let block = (chunk / together as i64).clamp(1, n);
        let own = images.min(block);
        let units = (chunk / block) as u64 / together;
        let end = count.min(sample + units.max(1) * together);
        let pass = Pass { block: batch.narrow(first, own), first, taken: (sample..end).collect() };
        let made = attempt(batch, pass.rows(), || make(&pass));
        let sample = if made.is_some() { end } else { sample };
        todo.push(Rest { first: first + own, images: images - own, sample: pass.taken[0] });
        todo.push(Rest { first, images: own, sample });
        if let Some(made) = made {
            take(&pass, made);
        }
    }
}

/// Σ over the samples of each image, `[N, C, H, W]` in the type of the images: `of` gives a pass's
/// part for its block.
pub(crate) fn sum(batch: &Batch, count: u64, of: impl Fn(&Pass) -> Tensor) -> Tensor {
    let [total] = sums(batch, count, [batch.x.detach().zeros_like()], |pass| [of(pass)]);
    total
}

/// The same of several numbers of each image, `[N, …]`, added to `totals`, which it gives back.
pub(crate) fn sums<const K: usize>(
    batch: &Batch,
    count: u64,
    totals: [Tensor; K],
    of: impl Fn(&Pass) -> [Tensor; K],
) -> [Tensor; K] {
    each(batch, count, of, |pass, parts| {
        for (total, part) in totals.iter().zip(parts) {
            let _ = pass.part(total).g_add_(&part.detach());
        }
    });
    totals
}

/// Writes the rows that `of` gives for each pass into their places in `all`, `[count, N, …]`.
pub(crate) fn fill(batch: &Batch, count: u64, all: &Tensor, of: impl Fn(&Pass) -> Tensor) {
    each(batch, count, of, |pass, rows| {
        let mut place = pass.place(all);
        place.copy_(&rows.view(&place.size()[..]));
    });
}

/// What `of` gives if all samples of all images are one pass for which there is memory.
pub(crate) fn at_once<T>(batch: &Batch, count: u64, of: impl Fn(&Pass) -> T) -> Option<T> {
    let n = batch.x.size()[0];
    let fits = n > 0 && chunk(batch) >= n && (chunk(batch) / n) as u64 >= count;
    let pass = Pass { block: batch.narrow(0, n), first: 0, taken: (0..count).collect() };
    if fits { attempt(batch, pass.rows(), || of(&pass)) } else { None }
}

/// What `of` gives for blocks of images, in order, of `images(chunk)` images each; the last may have
/// fewer. Blocks of a batch without images are one, without images.
pub(crate) fn blocks<T>(
    batch: &Batch,
    images: impl Fn(i64) -> i64,
    of: impl Fn(&Pass) -> T,
) -> Vec<T> {
    let n = batch.x.size()[0];
    let (mut first, mut all) = (0, vec![]);
    while all.is_empty() || first < n {
        let own = images(chunk(batch)).max(1).min(n - first);
        let pass = Pass { block: batch.narrow(first, own), first, taken: vec![0] };
        if let Some(made) = attempt(batch, fewest(&images, own, chunk(batch)), || of(&pass)) {
            all.push(made);
            first += own;
        }
    }
    all
}

/// Rows of each image, `[N, …]`, in blocks of `most` images, whatever the chunk is; once memory was
/// exhausted, of no more than a chunk.
pub(crate) fn map_most<const K: usize>(
    batch: &Batch,
    most: i64,
    of: impl Fn(&Pass) -> [Tensor; K],
) -> [Tensor; K] {
    let images = |chunk| if chunk < batch.chunk || chunk == 1 { most.min(chunk) } else { most };
    map_sized(batch, images, of)
}

/// The smallest chunk, at most `chunk`, whose blocks have `own` images.
fn fewest(images: impl Fn(i64) -> i64, own: i64, chunk: i64) -> i64 {
    let (mut low, mut high) = (1, chunk);
    while low < high {
        let middle = low + (high - low) / 2;
        if images(middle).max(1) >= own {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    high
}

/// Rows of each image, `[N, …]`, of which `of` gives those of a block of a chunk's images.
pub(crate) fn map<const K: usize>(batch: &Batch, of: impl Fn(&Pass) -> [Tensor; K]) -> [Tensor; K] {
    map_sized(batch, |chunk| chunk, of)
}

/// The same in blocks of `images(chunk)` images, where an image is not one of the pass.
pub(crate) fn map_sized<const K: usize>(
    batch: &Batch,
    images: impl Fn(i64) -> i64,
    of: impl Fn(&Pass) -> [Tensor; K],
) -> [Tensor; K] {
    let parts = blocks(batch, images, of);
    std::array::from_fn(|k| {
        Tensor::cat(&parts.iter().map(|part| part[k].shallow_clone()).collect::<Vec<_>>(), 0)
    })
}

/// What `of` gives for rows `start..start + n` of `count`, a chunk of them at a time, concatenated.
pub(crate) fn rows(batch: &Batch, count: i64, of: impl Fn(i64, i64) -> Tensor) -> Tensor {
    let mut all = vec![];
    let mut start = 0;
    while start < count {
        let n = chunk(batch).min(count - start);
        if let Some(part) = attempt(batch, n, || of(start, n)) {
            all.push(part);
            start += n;
        }
    }
    Tensor::cat(&all, 0)
}

/// Goes through samples `start..start + n` of all images of `block` together, in passes of `most`
/// images at most. `take` is given each part once it is whole.
pub(crate) fn samples(
    block: &Batch,
    (count, most): (i64, i64),
    make: impl Fn(i64, i64) -> Tensor,
    mut take: impl FnMut((i64, i64), Tensor),
) {
    let images = block.x.size()[0].max(1);
    let mut start = 0;
    while start < count {
        let n = (chunk(block).min(most) / images).clamp(1, count - start);
        let made = match n {
            // Smaller passes need a smaller block: who cut it is told.
            1 if images > 1 => Some(make(start, n)),
            _ => attempt(block, images * n, || make(start, n)),
        };
        if let Some(made) = made {
            take((start, n), made);
            start += n;
        }
    }
}

impl Batch {
    /// Logits `[N, K]`, a chunk at a time, with no graph.
    pub fn logits(&self, model: &dyn Model) -> Tensor {
        let [logits] = tch::no_grad(|| map(self, |pass| [model.logits(&pass.block.x)]));
        logits
    }

    /// The explained score of each image `[N]`, a chunk at a time, with no graph.
    pub fn scores(&self, model: &dyn Model) -> Tensor {
        tch::no_grad(|| self.target.of(&self.logits(model)))
    }

    /// Where differences of scores are taken from 1 ([`Target::sure`](models::Target::sure)).
    pub fn sure(&self, model: &dyn Model) -> Option<Tensor> {
        self.target.sure(|| self.logits(model))
    }
}
