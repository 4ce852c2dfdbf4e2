//! How a pass that exhausts the memory is told from other failures, and undone; `chunks` makes it
//! again with fewer images.

use std::{
    any::Any,
    cell::Cell,
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
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

/// How a panic begins after which no smaller pass is left.
const GIVEN_UP: &str = "CUDA out of memory: ";

thread_local! {
    /// A pass that exhausts the memory is made again.
    static RETRIED: Cell<bool> = const { Cell::new(false) };
}

/// Whether a panic's text says that memory is exhausted.
pub fn exhausted(text: &str) -> bool {
    EXHAUSTED.iter().any(|words| text.contains(words))
}

/// Whether a panic with this text ends a pass that is made again: nothing to tell.
pub fn retried(text: &str) -> bool {
    RETRIED.get() && exhausted(text)
}

/// Which method or metric had no memory for a single image, in a clause, if a panic says so.
pub fn given_up(text: &str) -> Option<&str> {
    text.strip_prefix(GIVEN_UP)?.lines().next()
}

/// What a panic says.
pub fn said(payload: &(dyn Any + Send)) -> &str {
    let text = payload.downcast_ref::<String>().map(String::as_str);
    text.or(payload.downcast_ref::<&str>().copied()).unwrap_or("unknown")
}

/// What `work` gives, or how libtorch says that there is no memory for it; other panics go on.
/// Autograd is as it was before: a panic leaves it off where it cuts `tch::no_grad` short.
pub(crate) fn attempt<T>(work: impl FnOnce() -> T) -> Result<T, String> {
    let probe = Tensor::zeros([], (Kind::Float, Device::Cpu)).set_requires_grad(true);
    let records = (&probe + 1.).requires_grad();
    let before = RETRIED.replace(true);
    let restores = tch::no_grad_guard();
    let work = || if records { tch::with_grad(work) } else { work() };
    let done = catch_unwind(AssertUnwindSafe(work));
    drop(restores);
    RETRIED.set(before);
    done.map_err(|panic| match said(&*panic) {
        text if exhausted(text) => text.to_owned(),
        _ => resume_unwind(panic), // the hook has said what and where
    })
}

/// Ends the work of `what`, whose pass of one image failed with `cause`. Where this pass is part of a
/// larger one, that is made again, and nobody is told yet.
pub(crate) fn give_up(what: &str, cause: &str) -> ! {
    let clause = format!("{GIVEN_UP}not even one image per pass{what} fits");
    let text = match given_up(cause) {
        Some(inner) => format!("{clause}: {inner}"),
        None => format!("{clause}\n{cause}"),
    };
    if RETRIED.get() {
        resume_unwind(Box::new(text));
    }
    panic!("{text}")
}
