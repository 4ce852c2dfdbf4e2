//! What commands find, as rows: what several kinds have in common, and results of old files.

use std::path::{Path, PathBuf};
use tch::{Kind, Tensor};
use tensorfile::words::count;

mod attacked;
mod check;
mod convergence;
mod floor;
mod matrix;
mod old;
pub mod quantities;
mod statistic;
#[cfg(test)]
pub mod stored;

pub use ::results::{
    Better, Keys, ModelCard, Number, Origin, QUANTITY, Quantity, Record, Row, Sample, Table,
    UNDEFINED, effect, keys, label,
};
pub use attacked::{AUC, AtEps, Attacked, OF_NO_METRIC, OF_OTHERS, at_radius, auc, starts};
pub use check::check;
pub use convergence::Convergence;
pub use floor::{BELOW, FLOOR, Floor};
pub use matrix::Matrix;
pub use old::record;
pub use statistic::{change, of_images, of_shares};

/// One epoch of `gradproof train`: a line of `log.jsonl`.
pub use train::EpochLine;

/// The ℓ2 distance, f64 `[N]`, of images from images, both `[N, C, H, W]`.
pub fn distances(clean: &Tensor, attacked: &Tensor) -> Tensor {
    let apart = (attacked - clean).to_kind(Kind::Double).flatten(1, -1).square();
    apart.sum_dim_intlist([1].as_slice(), false, Kind::Double).sqrt()
}

/// How many images a result is of: `12 images`.
pub fn counted(record: &Record) -> String {
    count(record.images.unwrap_or(0) as usize, "image")
}

/// `maps.safetensors` with `-suffix` before the extension.
pub fn suffixed(path: &Path, suffix: &str) -> PathBuf {
    let part = |p: Option<&std::ffi::OsStr>| p.unwrap_or_default().to_string_lossy().into_owned();
    let (stem, extension) = (part(path.file_stem()), part(path.extension()));
    path.with_file_name(format!("{stem}-{suffix}.{extension}"))
}
