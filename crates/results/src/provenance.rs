//! Where a result comes from.

use serde::{Deserialize, Serialize};

/// How a result came to be; stands in every result file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Origin {
    /// The full command line.
    pub command: String,
    /// Version of gradproof.
    pub version: String,
    /// Commit it was built from, or `unknown`.
    pub commit: String,
    /// Device it ran on, as `doctor` names it.
    pub device: String,
    /// Type that linear and convolution layers computed in; empty in older results.
    #[serde(default)]
    pub precision: String,
    /// The one seed.
    pub seed: u64,
    /// Wall-clock seconds of the work itself.
    pub seconds: f64,
}

/// A model that a result is about.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
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
