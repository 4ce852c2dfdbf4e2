//! How alike two heat maps are, for whole batches on the device; a file each, and the list of them. A
//! value that nothing says is undefined, NaN: of a pair where either has no mass, and what compares
//! orders also where either is constant.

mod centre;
mod cosine;
mod entry;
mod spearman;
mod top_k;

pub use centre::centre_distance;
pub use cosine::cosine_distance;
pub use entry::Similarity;
pub use spearman::{ranks, spearman};
pub use top_k::{check_k, default_k, overlap, top_intersection};

/// Every similarity, sorted by name.
pub const SIMILARITIES: &[Similarity] =
    &[centre::ENTRY, spearman::ENTRY, cosine::ENTRY, top_k::ENTRY];

/// All of them in the order of tables and pages, the one that stands for the others first.
pub fn in_tables() -> Vec<&'static Similarity> {
    let mut all: Vec<_> = SIMILARITIES.iter().collect();
    all.sort_by_key(|similarity| similarity.place);
    all
}
