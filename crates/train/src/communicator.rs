//! The processes that train one network together, each on its share of every batch. What has to be
//! known by all of them is a sum: of gradients, of statistics, of what is logged.

#[cfg(feature = "mpi")]
pub mod mpi;

use anyhow::{Result, ensure};
use models::upload;
use std::{collections::BTreeMap, ops::Range};
use tch::{Kind, Tensor};

/// The processes of a run, as one of them sees them. All of them come to the same sums in the same
/// order.
///
/// ```
/// use tch::Tensor;
/// use train::{Communicator, SingleProcess};
///
/// let one = SingleProcess;
/// assert_eq!((one.rank(), one.size()), (0, 1));
/// assert_eq!(one.sum(&Tensor::from_slice(&[3f32])).double_value(&[0]), 3.);
/// ```
pub trait Communicator {
    /// Which of them this is, from 0 on. Rank 0 writes the files.
    fn rank(&self) -> usize;
    /// How many there are.
    fn size(&self) -> usize;
    /// The sum of the tensors, f32 or f64 and of one shape, with which the ranks called: the same
    /// numbers on all.
    fn sum(&self, t: &Tensor) -> Tensor;
    /// Ends all of them with this exit status.
    fn abort(&self, code: i32) -> !;
}

/// One process, the usual run.
#[derive(Clone, Copy, Debug)]
pub struct SingleProcess;

impl Communicator for SingleProcess {
    fn rank(&self) -> usize {
        0
    }

    fn size(&self) -> usize {
        1
    }

    fn sum(&self, t: &Tensor) -> Tensor {
        t.shallow_clone()
    }

    fn abort(&self, code: i32) -> ! {
        std::process::exit(code)
    }
}

/// Numbers in a bucket of gradients: 32 MB of f32.
const BUCKET: usize = 8 << 20;

/// A rank's share of a batch.
pub(crate) struct Share<'a> {
    /// The images this rank works on.
    pub numbers: &'a [i64],
    /// How many of them count: all, or none where a batch has fewer images than there are ranks.
    /// A rank without images of its own works on the whole batch, so that all ranks do the same.
    pub own: usize,
    /// Images of the batch.
    pub of: usize,
}

impl<'a> Share<'a> {
    pub fn new(ranks: &dyn Communicator, batch: &'a [i64]) -> Self {
        let range = range(ranks, batch.len());
        let own = range.len();
        let numbers = if own > 0 { &batch[range] } else { batch };
        Share { numbers, own, of: batch.len() }
    }

    /// What a mean over this share weighs in the mean over the batch.
    pub fn weight(&self) -> f64 {
        self.own as f64 / self.of as f64
    }
}

/// Which of `n` things in a row are this rank's.
pub(crate) fn range(ranks: &dyn Communicator, n: usize) -> Range<usize> {
    let (rank, size) = (ranks.rank(), ranks.size());
    n * rank / size..n * (rank + 1) / size
}

/// Adds up every tensor over all ranks, in place, in a few large buckets.
pub(crate) fn sum_all(ranks: &dyn Communicator, tensors: &[Tensor]) {
    if ranks.size() == 1 {
        return;
    }
    let pieces: Vec<Tensor> = tensors.iter().flat_map(pieces).collect();
    let mut tensors = &*pieces;
    while !tensors.is_empty() {
        let mut numbers = 0;
        let fits = |t: &&Tensor| {
            numbers += t.numel();
            numbers <= BUCKET
        };
        let count = tensors.iter().take_while(fits).count().max(1);
        let (bucket, rest) = tensors.split_at(count);
        let flat: Vec<Tensor> = bucket.iter().map(|t| t.reshape(-1)).collect();
        let sizes: Vec<i64> = flat.iter().map(|t| t.size()[0]).collect();
        let sums = ranks.sum(&Tensor::cat(&flat, 0)).split_with_sizes(sizes, 0);
        for (t, sum) in bucket.iter().zip(sums) {
            tch::no_grad(|| t.shallow_clone().copy_(&sum.view_as(t)));
        }
        tensors = rest;
    }
}

/// Views of `t` that each fit in a bucket, if it has one dimension; else `t` itself.
fn pieces(t: &Tensor) -> Vec<Tensor> {
    match t.dim() {
        1 => t.split(BUCKET as i64, 0),
        _ => vec![t.shallow_clone()],
    }
}

/// The values `[N]` of every rank one after the other; each may have another number of them.
pub(crate) fn gather(ranks: &dyn Communicator, own: &Tensor) -> Tensor {
    if ranks.size() == 1 {
        return own.shallow_clone();
    }
    let mut counts = vec![0.; ranks.size()];
    counts[ranks.rank()] = own.numel() as f64;
    let counts = ranks.sum(&Tensor::from_slice(&counts));
    let count = |of: Range<usize>| of.map(|i| counts.double_value(&[i as i64]) as i64).sum();
    let before: i64 = count(0..ranks.rank());
    let all = Tensor::zeros([count(0..ranks.size())], (own.kind(), own.device()));
    all.narrow(0, before, own.numel() as i64).copy_(own);
    ranks.sum(&all)
}

/// Sets running statistics, in place, to their mean over the ranks.
pub(crate) fn average_statistics(ranks: &dyn Communicator, statistics: &[Tensor]) {
    sum_all(ranks, statistics);
    for t in statistics {
        let _ = tch::no_grad(|| t.shallow_clone().g_div_scalar_(ranks.size() as i64));
    }
}

/// Tensors with a row for every image, of which each rank knows those of the images `own`.
pub(crate) fn merge_rows(
    ranks: &dyn Communicator,
    state: BTreeMap<String, Tensor>,
    own: &[i64],
) -> BTreeMap<String, Tensor> {
    let merged = |t: &Tensor| {
        let index = upload(own, t.device());
        ranks.sum(&t.zeros_like().index_copy(0, &index, &t.index_select(0, &index)))
    };
    state.into_iter().map(|(name, t)| (name, merged(&t))).collect()
}

/// Errors: one of the `facts` is not the same on all ranks; names the first rank that differs.
pub(crate) fn agree(ranks: &dyn Communicator, facts: &[(&str, f64)]) -> Result<()> {
    let values: Vec<f64> = facts.iter().map(|(_, value)| *value).collect();
    let all = gather(ranks, &Tensor::from_slice(&values)).view([-1, facts.len() as i64]);
    for rank in 1..ranks.size() {
        for (i, (what, _)) in facts.iter().enumerate() {
            let of = |rank: usize| all.double_value(&[rank as i64, i as i64]);
            let (first, here) = (of(0), of(rank));
            // Numbers drawn on another kind of machine may differ in their last bits.
            ensure!(
                (first - here).abs() <= 1e-6 * first.abs(),
                "{what}: {first} on rank 0, {here} on rank {rank}; every rank needs the same \
                 files, `--out` included"
            );
        }
    }
    Ok(())
}

/// The sum of all weights' entries, as a fact to [`agree`] on.
pub(crate) fn weighed(weights: &[(String, Tensor)]) -> f64 {
    weights.iter().map(|(_, w)| w.abs().sum(Kind::Double).double_value(&[])).sum()
}
