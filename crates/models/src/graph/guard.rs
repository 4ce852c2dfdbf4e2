//! Work on a file that nobody has tried: libtorch panics on what it cannot compute.

use anyhow::{Result, anyhow};
use std::{
    any::Any,
    cell::Cell,
    panic::{AssertUnwindSafe, catch_unwind},
};
use tch::{Device, Kind, Tensor};

thread_local! {
    static GUARDED: Cell<bool> = const { Cell::new(false) };
}

/// Whether a panic of this thread is being waited for, so that nothing need be said of it.
pub fn guarded() -> bool {
    GUARDED.get()
}

/// What `work` gives; errors and panics are of one line. Autograd is as it was before.
pub(crate) fn guard<T>(work: impl FnOnce() -> Result<T>) -> Result<T> {
    let probe = Tensor::zeros([], (Kind::Float, Device::Cpu)).set_requires_grad(true);
    let records = (&probe + 1.).requires_grad();
    let before = GUARDED.replace(true);
    let restores = tch::no_grad_guard();
    let work = || if records { tch::with_grad(work) } else { work() };
    let done = catch_unwind(AssertUnwindSafe(work));
    drop(restores);
    GUARDED.set(before);
    match done {
        Ok(made) => made.map_err(|error| anyhow!("{}", first_line(&format!("{error:#}")))),
        Err(panic) => Err(anyhow!("{}", said(&*panic))),
    }
}

fn said(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    first_line(text.or(panic.downcast_ref::<&str>().copied()).unwrap_or("it cannot be computed"))
}

/// What libtorch says, without where in its code it was found.
fn first_line(text: &str) -> String {
    let text = text.split("\\nException raised").next().unwrap_or(text);
    let text = text.lines().next().unwrap_or(text).replace("Internal torch error: ", "");
    let inner = text.split_once("Torch(\"").map(|(_, inner)| inner.trim_end_matches(['"', ')']));
    inner.unwrap_or(&text).to_owned()
}
