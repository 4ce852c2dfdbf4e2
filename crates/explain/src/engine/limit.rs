//! How many images a pass may have after memory was exhausted.

use std::sync::{
    Arc,
    atomic::{AtomicI64, Ordering},
};
use tensorfile::words::count;

/// Images per pass that there was memory for until now. Batches made of one another share it, and so
/// may threads that work on different images.
#[derive(Clone, Debug)]
pub struct ChunkLimit {
    pub(super) what: Arc<str>,
    images: Arc<AtomicI64>,
    warn: fn(&str),
}

impl ChunkLimit {
    /// No limit yet. Each time it is lowered, `warn` is given one line for the user.
    pub fn new(warn: fn(&str)) -> Self {
        ChunkLimit { what: "".into(), images: Arc::new(AtomicI64::new(i64::MAX)), warn }
    }

    /// No limit yet for the passes of the method or metric called `name`; nobody is warned.
    pub(crate) fn named(name: &str) -> Self {
        ChunkLimit { what: format!(" of `{name}`").into(), ..ChunkLimit::new(|_| ()) }
    }

    /// The same limit, whose warnings go where those of `other` go.
    pub(super) fn warning_as(&self, other: &Self) -> Self {
        ChunkLimit { warn: other.warn, ..self.clone() }
    }

    /// Images per pass at most.
    pub(super) fn images(&self) -> i64 {
        self.images.load(Ordering::Relaxed)
    }

    /// Lowers the limit after passes of `tried` images; once, if several threads found that out.
    pub(super) fn lower(&self, tried: i64, images: i64) {
        if self.images.fetch_min(images, Ordering::Relaxed) <= images {
            return;
        }
        (self.warn)(&format!(
            "warning: no memory for passes of {}{}; from now on they have {images} at most",
            count(tried, "image"),
            self.what
        ));
    }
}
