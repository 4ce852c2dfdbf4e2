//! Batches of images shared out to workers: the one place through which commands work on images.

use super::Loaded;
use crate::runtime::{
    ui,
    workers::{self, Crew, Stop},
};
use anyhow::Result;
use models::Classifier;
use std::time::Instant;
use tch::{Device, Tensor};

// SAFETY: workers read it together and nobody changes it meanwhile. Its parts that are not `Sync` are
// tensors, which are only read (libtorch counts references atomically and allows reads by several
// threads at once; no tensor here wants a gradient, so no pass writes to one), and the network that
// holds them: passes take `&self`, what an operator keeps stands behind a mutex, and the counted
// references and cells in it (`Rc<Params>`, `Rc<Graph>`) are cloned and changed only where a network is
// built, which no worker does.
#[expect(unsafe_code, reason = "tch's tensors are not `Sync`, though libtorch's may be read so")]
unsafe impl Sync for Loaded {}

/// A network that is only asked from now on, by several workers at once.
pub struct Asked(Classifier);

// SAFETY: as above; nothing but a shared reference gets out.
#[expect(unsafe_code, reason = "tch's tensors are not `Sync`, though libtorch's may be read so")]
unsafe impl Sync for Asked {}

impl Asked {
    /// Of a network that is ready: folded or frozen.
    pub fn new(network: Classifier) -> Self {
        Asked(network)
    }

    /// It.
    pub fn get(&self) -> &Classifier {
        &self.0
    }
}

impl Loaded {
    /// How batches of `size` images from number `first` on, in passes of `chunk`, are shared out. A GPU
    /// has one worker.
    pub fn crew(&self, first: usize, size: usize, chunk: i64) -> Crew {
        let threads = usize::try_from(tch::get_num_threads()).unwrap_or(1);
        let pieces = self.data.len().saturating_sub(first).div_ceil(size.max(1));
        match self.device {
            Device::Cpu => Crew::of(threads, pieces, self.fits.passes(chunk)),
            _ => Crew { workers: 1, threads },
        }
    }

    /// Makes something of every batch of `size` images from number `first` on, of images, labels and
    /// the first one's number, and hands it to `take` in order. Results depend on `size`, not on the
    /// workers. Errors: those of the first batch that has one.
    pub fn each_batch<T: Send>(
        &self,
        (first, size, chunk): (usize, usize, i64),
        make: impl Fn((&Tensor, &Tensor), u64, &Stop) -> Result<T> + Sync,
        take: impl FnMut(T) -> Result<()>,
    ) -> Result<()> {
        if first >= self.data.len() {
            return Ok(());
        }
        let rest = self.data.slice(first, None)?;
        let mut next = first as u64;
        let items = rest.ordered(size).map(|batch| {
            let (x, y) = batch?;
            let number = next;
            next += y.size()[0] as u64;
            Ok((x, y, number))
        });
        let make = |(x, y, number): (Tensor, Tensor, u64), stop: &Stop| {
            let begun = Instant::now();
            let made = make((&x, &y), number, stop);
            ui::trace(number, y.size()[0], begun);
            made
        };
        workers::each(self.crew(first, size, chunk), items, make, take)
    }
}
