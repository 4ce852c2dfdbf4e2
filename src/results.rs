//! What the commands write as JSON and `report` reads: one file a command, one schema.

use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};
use tch::{Kind, Tensor};

mod measure;
pub mod tidy;
mod transfer;

pub use ::results::{ModelCard, Origin, UNDEFINED, effect, label};
pub use measure::{MeasureResult, MeasuredColumn, MeasuredRow, Statistic};
pub use tidy::Tidy;
pub use transfer::{Maps, TransferCell, TransferResult};

/// Mean and standard error over the images where a number is defined.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Summary {
    /// Mean; a failed image counts with its clean map. None if there is no number.
    pub mean: Option<f64>,
    /// Standard error of that mean; none of fewer than two images.
    pub stderr: Option<f64>,
    /// Mean over the images whose attack succeeded; none if none did.
    pub successes: Option<f64>,
    /// Images of which this is the mean; none where that was not kept.
    #[serde(default)]
    pub n: Option<u64>,
    /// Images without a number: they, or the attacked ones, have no map.
    #[serde(default)]
    pub undefined: u64,
}

impl Summary {
    /// Of per-image values `[N]`, NaN where undefined; `success` says where the attack succeeded.
    pub fn of(values: &Tensor, success: Option<&Tensor>) -> Self {
        let values = values.to_kind(Kind::Double);
        let defined = values.isnan().logical_not();
        let pick = |which: &Tensor| values.masked_select(which);
        let mean = |t: &Tensor| (t.numel() > 0).then(|| t.mean(Kind::Double).double_value(&[]));
        let all = pick(&defined);
        let n = all.numel();
        let stderr = || all.std(true).double_value(&[]) / (n as f64).sqrt();
        Summary {
            mean: mean(&all),
            stderr: (n > 1).then(stderr),
            successes: success.and_then(|s| mean(&pick(&defined.logical_and(&s.gt(0.))))),
            n: Some(n as u64),
            undefined: (values.numel() - n) as u64,
        }
    }

    /// For people: `0.271 ± 0.020`; without an error where there is none.
    pub fn shown(&self) -> String {
        match (self.mean, self.stderr) {
            (None, _) => UNDEFINED.into(),
            (Some(mean), None) => format!("{mean:.3}"),
            (Some(mean), Some(stderr)) => format!("{mean:.3} ± {stderr:.3}"),
        }
    }
}

/// How far attacked images are from the clean ones: ℓ2, of pixels in [0, 1].
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Change {
    /// Mean over all images.
    pub mean: f64,
    /// The smallest of them.
    pub least: f64,
    /// The largest of them.
    pub most: f64,
}

impl Change {
    /// Of [`distances`]; none of none.
    pub fn of(l2: &Tensor) -> Option<Self> {
        if l2.numel() == 0 {
            return None;
        }
        let [mean, least, most] =
            [l2.mean(Kind::Double), l2.min(), l2.max()].map(|t| t.double_value(&[]));
        Some(Change { mean, least, most })
    }
}

/// The ℓ2 distance, f64 `[N]`, of images from images, both `[N, C, H, W]`.
pub fn distances(clean: &Tensor, attacked: &Tensor) -> Tensor {
    let apart = (attacked - clean).to_kind(Kind::Double).flatten(1, -1).square();
    apart.sum_dim_intlist([1].as_slice(), false, Kind::Double).sqrt()
}

/// One radius of an attack.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct AtEps {
    /// Radius in pixel units of [0, 1].
    pub eps: f64,
    /// The radius as people write it: `8/255`.
    pub label: String,
    /// Fraction of the images with a map that have an accepted iterate, in [0, 1]; none if no image
    /// has a map.
    pub success: Option<f64>,
    /// Images without a map, or without one to aim at: in no mean.
    #[serde(default)]
    pub no_map: u64,
    /// By metric name (`k-in`, `cor`, `cdl`, `cosd`, `confidence`).
    pub metrics: BTreeMap<String, Summary>,
    /// How far the images moved; none where that was not kept.
    #[serde(default)]
    pub change: Option<Change>,
    /// The per-image tensors (SPEC: `attack --out`), relative to the JSON file; none if not kept.
    pub tensors: Option<String>,
}

impl AtEps {
    /// Whether images without a map were told from others: files do not say so that were written before
    /// they were, in which such an image counts as one whose map no attack moves.
    pub fn checked(&self) -> bool {
        self.metrics.values().all(|summary| summary.n.is_some())
    }
}

/// What `gradproof attack` found.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct AttackResult {
    /// How it was made.
    pub origin: Origin,
    /// On which model.
    pub model: ModelCard,
    /// Data attacked, as the user wrote it.
    pub data: String,
    /// Number of images.
    pub images: usize,
    /// Clean accuracy on exactly these images, in [0, 1].
    pub accuracy: f64,
    /// Attribution method, such as `gxi`.
    pub method: String,
    /// Attack, such as `topk`.
    pub attack: String,
    /// Resolved settings of the attack, for the reader.
    pub settings: BTreeMap<String, serde_json::Value>,
    /// In ascending order of `eps`.
    pub eps: Vec<AtEps>,
    /// Trapezoid over log2(255 eps) of each metric's mean, where at least two radii were run; none
    /// where a mean is undefined.
    pub auc: BTreeMap<String, Option<f64>>,
}

/// One epoch of `gradproof train`: a line of `log.jsonl`.
pub use train::EpochLine;

/// `maps.safetensors` with `-suffix` before the extension.
pub fn suffixed(path: &Path, suffix: &str) -> PathBuf {
    let part = |p: Option<&std::ffi::OsStr>| p.unwrap_or_default().to_string_lossy().into_owned();
    let (stem, extension) = (part(path.file_stem()), part(path.extension()));
    path.with_file_name(format!("{stem}-{suffix}.{extension}"))
}
