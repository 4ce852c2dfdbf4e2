//! What training minimises: (model, images, labels) -> named loss parts.

use anyhow::{Result, ensure};
use models::{
    Classifier, Model, Precision, Training,
    registry::{self, Entry},
};
use serde::Deserialize;
use tch::{Reduction, Tensor};
use toml::Table;

/// One training step, as an objective sees it.
pub struct Step<'a> {
    /// The network being trained, with gradients into its weights.
    pub model: &'a Classifier,
    /// Images in [0, 1], f32 `[N, C, H, W]`.
    pub x: &'a Tensor,
    /// Labels, i64 `[N]`.
    pub y: &'a Tensor,
    /// Type that affine layers compute in.
    pub precision: Precision,
}

impl Step<'_> {
    /// Logits of a training pass on `x` (batch statistics, running ones moved), f32 `[N, K]`.
    pub fn train_logits(&self, x: &Tensor) -> Tensor {
        let ops = Training { activation: self.model.activation(), precision: self.precision };
        self.model.forward(x, &ops)
    }
}

/// The named parts of a loss, whose sum is minimised.
pub struct Loss {
    /// Name and scalar, with a graph into the weights.
    pub parts: Vec<(&'static str, Tensor)>,
    /// Logits on the images the weights are fitted to, for the training accuracy.
    pub logits: Tensor,
}

/// A training objective.
pub trait Objective {
    /// The loss of one batch.
    fn loss(&self, step: &Step) -> Loss;
}

/// Every objective, sorted by name.
pub const OBJECTIVES: &[Entry<dyn Objective>] = &[Entry {
    name: "natural",
    about: "cross-entropy; options: label_smoothing (0, in [0, 1))",
    build: |t| {
        let natural: Natural = registry::options(t)?;
        let smoothing = natural.label_smoothing;
        ensure!((0. ..1.).contains(&smoothing), "`label_smoothing` is {smoothing}, not in [0, 1)");
        Ok(Box::new(natural))
    },
}];

/// The objective that `table` asks for.
pub fn objective(table: &Table) -> Result<Box<dyn Objective>> {
    registry::build("objective", OBJECTIVES, table.clone())
}

/// Cross-entropy with optional label smoothing (Szegedy et al. 2016).
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Natural {
    #[serde(default)]
    label_smoothing: f64,
}

impl Objective for Natural {
    fn loss(&self, step: &Step) -> Loss {
        let logits = step.train_logits(step.x);
        let none = None::<Tensor>;
        let ce =
            logits.cross_entropy_loss(step.y, none, Reduction::Mean, -100, self.label_smoothing);
        Loss { parts: vec![("cross-entropy", ce)], logits }
    }
}
