//! Memory that is exhausted in the middle of a pass: the work on that batch is thrown away and made
//! again with half as many images a pass, on which no result depends.

use crate::{Attribution, Batch, Cotangent, Differentiable};
use anyhow::Result;
use models::Model;
use std::{
    any::Any,
    cell::Cell,
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    thread,
};
use tch::{Device, Kind, Tensor};

/// How libtorch says that memory is exhausted: its allocators, CUDA, and libraries that find no room
/// to work in.
const EXHAUSTED: [&str; 8] = [
    "CUDA out of memory",
    "CUDA error: out of memory",
    "DefaultCPUAllocator: can't allocate memory",
    "DefaultCPUAllocator: not enough memory",
    "CUDNN_STATUS_ALLOC_FAILED",
    "CUBLAS_STATUS_ALLOC_FAILED",
    "CUSOLVER_STATUS_ALLOC_FAILED",
    "unable to find an engine to execute this computation",
];

thread_local! {
    /// A pass that finds no room is made again.
    static RETRIED: Cell<bool> = const { Cell::new(false) };
}

/// Images a pass that there was room for until now.
pub struct ChunkLimit {
    what: String,
    most: Cell<i64>,
    tell: fn(&str),
}

impl ChunkLimit {
    /// For the passes of `what`, which the warnings that `tell` is told name.
    pub fn new(what: &str, tell: fn(&str)) -> Self {
        ChunkLimit { what: what.into(), most: Cell::new(i64::MAX), tell }
    }

    /// What `work` makes of `batch`, whose chunk is halved until there is room; later batches begin
    /// with what fitted. Panics, saying so, where not even one image fits.
    pub fn fit<T>(&self, batch: &Batch, work: impl Fn(&Batch) -> T) -> T {
        let asked = batch.chunk.min(self.most.get());
        let mut chunk = asked;
        loop {
            let panic = match attempt(|| work(&Batch { chunk, ..batch.at(&batch.x) })) {
                Ok(made) => {
                    if chunk < asked {
                        self.most.set(chunk);
                        self.warn(asked, chunk);
                    }
                    return made;
                }
                Err(panic) => panic,
            };
            if !exhausted(said(&*panic)) {
                resume_unwind(panic); // the hook has said what and where
            }
            if chunk <= 1 {
                resume_unwind(Box::new(format!("{}: {}", EXHAUSTED[0], said(&*panic))));
            }
            chunk /= 2;
        }
    }

    /// Said again only where even that is too much for a later batch.
    fn warn(&self, asked: i64, chunk: i64) {
        (self.tell)(&format!(
            "warning: no memory for passes of {} of `{}`; from now on they have {chunk} at most",
            tensorfile::words::count(asked, "image"),
            self.what
        ));
    }
}

/// Whether a panic's text says that memory is exhausted.
pub fn exhausted(text: &str) -> bool {
    EXHAUSTED.iter().any(|words| text.contains(words))
}

/// Whether a panic with this text ends a pass that is made again: nothing to tell.
pub fn retried(text: &str) -> bool {
    RETRIED.get() && exhausted(text)
}

/// What a panic says.
pub fn said(payload: &(dyn Any + Send)) -> &str {
    let text = payload.downcast_ref::<String>().map(String::as_str);
    text.or(payload.downcast_ref::<&str>().copied()).unwrap_or("unknown")
}

/// What `work` gives, or its panic. Autograd is as it was before: a panic leaves it off where it cuts
/// `tch::no_grad` short.
fn attempt<T>(work: impl FnOnce() -> T) -> thread::Result<T> {
    let probe = Tensor::zeros([], (Kind::Float, Device::Cpu)).set_requires_grad(true);
    let records = (&probe + 1.).requires_grad();
    let before = RETRIED.replace(true);
    let restores = tch::no_grad_guard();
    let work = || if records { tch::with_grad(work) } else { work() };
    let done = catch_unwind(AssertUnwindSafe(work));
    drop(restores);
    RETRIED.set(before);
    done
}

/// A method whose passes get smaller where there is no room for them.
pub struct RetryOnOom {
    /// The method.
    pub method: Box<dyn Attribution>,
    /// What it has room for.
    pub limit: ChunkLimit,
}

impl Attribution for RetryOnOom {
    fn attribute(&self, model: &dyn Model, batch: &Batch) -> Tensor {
        self.limit.fit(batch, |batch| self.method.attribute(model, batch))
    }

    fn with_logits(&self, model: &dyn Model, batch: &Batch) -> (Tensor, Tensor) {
        self.limit.fit(batch, |batch| self.method.with_logits(model, batch))
    }

    fn check(&self, model: &dyn Model, image: [i64; 3]) -> Result<()> {
        self.method.check(model, image)
    }

    fn convergence_delta(&self, model: &dyn Model, batch: &Batch, map: &Tensor) -> Option<Tensor> {
        self.limit.fit(batch, |batch| self.method.convergence_delta(model, batch, map))
    }

    fn note(&self, image: [i64; 3]) -> Option<String> {
        self.method.note(image)
    }

    fn ignores_image(&self) -> bool {
        self.method.ignores_image()
    }

    fn vanishes(&self) -> Option<String> {
        self.method.vanishes()
    }

    fn differentiable(&self) -> Option<&dyn Differentiable> {
        self.method.differentiable().map(|_| self as &dyn Differentiable)
    }
}

impl Differentiable for RetryOnOom {
    fn pullback(
        &self,
        model: &dyn Model,
        batch: &Batch,
        cotangent: &Cotangent,
    ) -> (Tensor, Tensor) {
        let method = self.method.differentiable().expect("only such methods get here");
        self.limit.fit(batch, |batch| method.pullback(model, batch, cotangent))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use models::{Score, Target};

    fn room() -> ChunkLimit {
        ChunkLimit::new("ig", |_| ())
    }

    fn batch(chunk: i64) -> Batch {
        let class = Tensor::zeros([3], (Kind::Int64, Device::Cpu));
        let x = Tensor::zeros([3, 1, 2, 2], (Kind::Float, Device::Cpu));
        Batch { chunk, ..Batch::new(&x, &Target { class, score: Score::Logit }) }
    }

    /// A pass for which there is room up to `most` images; what libtorch says otherwise.
    fn pass(most: i64, tried: &Cell<Vec<i64>>, chunk: i64) -> i64 {
        let before = tried.take();
        tried.set([&before[..], &[chunk]].concat());
        let full = format!("Torch(\"{}. Tried to allocate 2.00 GiB.\")", EXHAUSTED[0]);
        tch::no_grad(|| assert!(chunk <= most, "{full}"));
        chunk
    }

    #[test]
    fn the_chunk_is_halved_until_there_is_room_and_stays_so() {
        let (room, tried) = (ChunkLimit::new("ig", |_| ()), Cell::default());
        assert_eq!(room.fit(&batch(100), |b| pass(13, &tried, b.chunk)), 12);
        assert_eq!(tried.take(), [100, 50, 25, 12]);
        assert_eq!(room.fit(&batch(100), |b| pass(13, &tried, b.chunk)), 12);
        assert_eq!(room.fit(&batch(5), |b| pass(13, &tried, b.chunk)), 5, "no more than asked for");
        assert_eq!(tried.take(), [12, 5]);
    }

    #[test]
    fn autograd_is_as_it_was() {
        let probe = || Tensor::ones([], (Kind::Float, Device::Cpu)).set_requires_grad(true) * 2.;
        let (room, tried) = (ChunkLimit::new("ig", |_| ()), Cell::default());
        let inside = room.fit(&batch(8), |b| {
            let recorded = probe().requires_grad();
            pass(2, &tried, b.chunk);
            recorded
        });
        assert!(inside && probe().requires_grad());
        let room = ChunkLimit::new("ig", |_| ());
        let recorded = |b: &Batch| pass(2, &tried, b.chunk) > 0 && probe().requires_grad();
        assert!(!tch::no_grad(|| room.fit(&batch(8), recorded)));
    }

    #[test]
    fn what_no_halving_helps_goes_on_as_a_panic() {
        let tried = Cell::default();
        let all =
            catch_unwind(AssertUnwindSafe(|| room().fit(&batch(4), |b| pass(0, &tried, b.chunk))));
        assert!(exhausted(said(&*all.unwrap_err())) && tried.take() == [4, 2, 1]);
        let other: thread::Result<()> = catch_unwind(AssertUnwindSafe(|| {
            room().fit(&batch(4), |b| {
                tried.set(vec![b.chunk]);
                panic!("index out of range")
            })
        }));
        let other = other.unwrap_err();
        assert!(said(&*other) == "index out of range" && tried.take() == [4], "tried once");
    }
}
