//! What the commands write as JSON and `report` reads: one file a command, one schema.

use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};
use tch::{Kind, Tensor};

mod measure;
mod transfer;

pub use measure::{MeasureResult, MeasuredColumn, MeasuredRow, Statistic};
pub use transfer::{Maps, TransferCell, TransferResult};

/// How a result came to be; stands in every result file.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Origin {
    /// The full command line.
    pub command: String,
    /// Version of gradproof.
    pub version: String,
    /// Commit it was built from, or `unknown`.
    pub commit: String,
    /// Device it ran on, as `doctor` names it.
    pub device: String,
    /// The one seed.
    pub seed: u64,
    /// Wall-clock seconds of the work itself.
    pub seconds: f64,
}

/// The model a result is about.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ModelCard {
    /// Short name for tables: the weights file without folder and extension.
    pub name: String,
    /// Architecture, such as `resnet20`.
    pub arch: String,
    /// Training objective, such as `natural`, `adversarial`, `ssr`; `unknown` without a header.
    pub training: String,
    /// Data the weights were trained on; `unknown` without a header.
    pub dataset: String,
    /// Class names, in order.
    pub classes: Vec<String>,
}

/// Mean and standard error over images; `successes` is the mean over successful images only.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Summary {
    /// Mean over all images; a failed image counts with its clean map.
    pub mean: f64,
    /// Standard error of that mean.
    pub stderr: f64,
    /// Mean over the images whose attack succeeded; none if none did.
    pub successes: Option<f64>,
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
    /// Of [`distances`].
    pub fn of(l2: &Tensor) -> Self {
        let [mean, least, most] =
            [l2.mean(Kind::Double), l2.min(), l2.max()].map(|t| t.double_value(&[]));
        Change { mean, least, most }
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
    /// Fraction of images with an accepted iterate, in [0, 1].
    pub success: f64,
    /// By metric name (`k-in`, `cor`, `cdl`, `cosd`, `confidence`).
    pub metrics: BTreeMap<String, Summary>,
    /// How far the images moved; none where that was not kept.
    #[serde(default)]
    pub change: Option<Change>,
    /// The per-image tensors (SPEC: `attack --out`), relative to the JSON file; none if not kept.
    pub tensors: Option<String>,
}

impl AtEps {
    /// What a line of CSV says of one metric: radius, its label, metric, mean, standard error, mean
    /// over successes, area where there is one, success.
    pub fn record(&self, metric: &str, auc: &BTreeMap<String, f64>) -> [String; 8] {
        let summary = &self.metrics[metric];
        let maybe = |number: Option<f64>| number.map(|n| n.to_string()).unwrap_or_default();
        [
            self.eps.to_string(),
            self.label.clone(),
            metric.to_owned(),
            summary.mean.to_string(),
            summary.stderr.to_string(),
            maybe(summary.successes),
            maybe(auc.get(metric).copied()),
            self.success.to_string(),
        ]
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
    /// Trapezoid over log2(255 eps) of each metric's mean, where at least two radii were run.
    pub auc: BTreeMap<String, f64>,
}

/// One epoch of `gradproof train`: a line of `log.jsonl`.
pub use train::EpochLine;

/// A radius as people write it: a whole number of 255ths where it is one.
pub fn label(eps: f64) -> String {
    let steps = eps * 255.;
    if (steps - steps.round()).abs() < 1e-6 {
        format!("{}/255", steps.round())
    } else {
        format!("{eps}")
    }
}

/// `maps.safetensors` with `-suffix` before the extension.
pub fn suffixed(path: &Path, suffix: &str) -> PathBuf {
    let part = |p: Option<&std::ffi::OsStr>| p.unwrap_or_default().to_string_lossy().into_owned();
    let (stem, extension) = (part(path.file_stem()), part(path.extension()));
    path.with_file_name(format!("{stem}-{suffix}.{extension}"))
}

/// A line of CSV as in RFC 4180: it ends in CR LF; fields with commas, quotes or line ends are
/// quoted.
pub fn csv_line(fields: &[String]) -> String {
    let quoted = |field: &String| match field.contains([',', '"', '\r', '\n']) {
        true => format!("\"{}\"", field.replace('"', "\"\"")),
        false => field.clone(),
    };
    fields.iter().map(quoted).collect::<Vec<_>>().join(",") + "\r\n"
}
