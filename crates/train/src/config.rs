//! The settings of one training run, as its TOML file writes them; saved resolved beside its
//! results.

use crate::objective::Statistics;
use anyhow::{Context, Result, ensure};
use data::{Augment, Holdout};
use layers::{assign, merged, one_line, over, take_table, with_own_names};
use models::Precision;
use serde::{Deserialize, Serialize};
use std::path::Path;
use toml::{Table, Value};

mod layers;

/// Everything about a run that changes its result. Unknown keys are errors.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Seeds weights, order and augmentation.
    #[serde(default)]
    pub seed: u64,
    /// Passes over the training set.
    pub epochs: u32,
    /// Images a step.
    #[serde(default = "batch_size")]
    pub batch_size: usize,
    /// Type that affine layers compute in: `f32` or `bf16`.
    #[serde(default)]
    pub precision: Precision,
    /// Channels innermost in memory: the same numbers up to rounding, faster convolutions.
    #[serde(default = "yes")]
    pub channels_last: bool,
    /// Largest ℓ2 norm of the gradient of all weights together; none: no clipping.
    pub clip: Option<f64>,
    /// Decay of a moving average of the weights, which is then what is evaluated and saved.
    pub ema: Option<f64>,
    /// Batch norms use the statistics of the whole batch where several ranks train together; else each
    /// uses those of its share.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub sync_norm: bool,
    /// Test images attacked after each epoch, where the objective has an adversary.
    #[serde(default = "robust_images")]
    pub robust_images: usize,
    /// Where images come from.
    pub data: DataConfig,
    /// What is trained.
    pub model: ModelConfig,
    /// `name` and options of the objective; `natural` where nothing is said.
    pub objective: Table,
    /// `name` and options of the optimiser.
    pub optimizer: Table,
    /// `name` and options of the learning-rate schedule; `constant` where nothing is said.
    pub schedule: Table,
}

/// Where images come from.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct DataConfig {
    /// `KIND:PATH`, a path whose kind is recognised, or `shapes`.
    pub train: String,
    /// The same for the test images; by default the test part of `train`. Without either nothing is tested.
    pub test: Option<String>,
    /// The share of each class of `train`, which then has no test part, that is not trained on but tested on.
    pub holdout: Option<f64>,
    /// Draws which images those are; by default 0.
    pub holdout_seed: Option<u64>,
    /// The share of each class of the training images that is not trained on: `best.safetensors` is chosen by
    /// the accuracy on them. None: there is no such file.
    pub validation: Option<f64>,
    /// Random crops and flips of the training images; none: as they are.
    pub augment: Option<Augment>,
    /// Side that images of folders are resized to.
    pub size: Option<i64>,
    /// Channels that images of folders are read with, 1 or 3; by default those of the first.
    pub channels: Option<i64>,
    /// The column of a `csv:` or `arff:` table that holds the class; by default the last.
    pub label_column: Option<String>,
    /// The training labels are permuted, by seed, so that nothing is to be learnt from the images:
    /// what explanations are compared with (Adebayo et al. 2018).
    #[serde(default)]
    pub random_labels: bool,
}

impl DataConfig {
    /// How `train` is cut into two, if it is.
    pub fn holdout(&self) -> Option<Holdout> {
        let seed = self.holdout_seed.unwrap_or(0);
        self.holdout.map(|fraction| Holdout { fraction, seed })
    }

    /// How the training images are cut into two, if they are; drawn by `holdout_seed` as well.
    pub fn validation(&self) -> Option<Holdout> {
        let seed = self.holdout_seed.unwrap_or(0);
        self.validation.map(|fraction| Holdout { fraction, seed })
    }

    fn check(&self) -> Result<()> {
        let share = |share: f64| share > 0. && share < 1.;
        ensure!(
            self.validation.is_none_or(share),
            "`data.validation` is no fraction between 0 and 1, such as 0.1"
        );
        self.augment.map_or(Ok(()), |augment| augment.check())?;
        self.holdout().map_or(Ok(()), |holdout| holdout.check().context("`data`"))?;
        ensure!(
            self.holdout_seed.is_none() || self.holdout.is_some() || self.validation.is_some(),
            "`data.holdout_seed` needs `data.holdout` or `data.validation`"
        );
        ensure!(
            self.holdout.is_none() || self.test.is_none(),
            "`data.test` and `data.holdout` both say what is tested on; leave one of the two out"
        );
        Ok(())
    }
}

/// What is trained.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct ModelConfig {
    /// Architecture name, where `weights` does not say it; an ONNX file is its own.
    pub arch: Option<String>,
    /// Normalisation: `cifar10`, `imagenet`, `mnist`, `none` or `MEAN/STD`.
    pub normalise: Option<String>,
    /// Weights to start from instead of random ones: fine-tuning.
    pub weights: Option<String>,
    /// Batch norms keep the running statistics of `weights` and train with them.
    #[serde(default)]
    pub frozen_norm: bool,
}

fn batch_size() -> usize {
    128
}

fn robust_images() -> usize {
    500
}

fn yes() -> bool {
    true
}

impl Config {
    /// From a TOML file, the files it `extends`, the `[scale.NAME]` part of any of them that
    /// `scale` names, and `key=value` settings that go over all of it (`optimizer.name=…`).
    /// Errors: unreadable files, not TOML, unknown keys, values out of range.
    pub fn read(path: &Path, scale: Option<&str>, set: &[String]) -> Result<Self> {
        let merged = merged(path, 0)?;
        Self::from_table(merged, scale, set).with_context(|| format!("`{}`", path.display()))
    }

    /// The same from text that extends nothing.
    pub fn parse(text: &str, set: &[String]) -> Result<Self> {
        let table = toml::from_str(text).map_err(|e| one_line(&e, text));
        Self::from_table(with_own_names(table?)?, None, set)
    }

    fn from_table(mut table: Table, scale: Option<&str>, set: &[String]) -> Result<Self> {
        let scales = take_table(&mut table, "scale")?;
        if let Some(name) = scale {
            let known = || scales.keys().cloned().collect::<Vec<_>>().join(", ");
            let told = || format!("no scale `{name}`; known: {}", known());
            over(&mut table, scales.get(name).and_then(Value::as_table).with_context(told)?);
        }
        for pair in set {
            assign(&mut table, pair).with_context(|| format!("`--set {pair}`"))?;
        }
        for (part, name) in [("objective", "natural"), ("schedule", "constant")] {
            let part = table.entry(part).or_insert_with(|| Table::new().into());
            if let Some(part) = part.as_table_mut() {
                part.entry("name").or_insert_with(|| name.into());
            }
        }
        let config: Config = registry::options(table)?;
        config.check()?;
        Ok(config)
    }

    fn check(&self) -> Result<()> {
        ensure!(self.epochs > 0, "`epochs` is 0; it must be positive");
        ensure!(self.batch_size > 0, "`batch_size` is {}; it must be positive", self.batch_size);
        self.data.check()?;
        let positive = self.clip.is_none_or(|c| c > 0. && c.is_finite());
        ensure!(positive, "`clip` must be positive");
        ensure!(
            self.model.arch.is_some() || self.model.weights.is_some(),
            "`model.arch` names no architecture, and `model.weights` nothing to go on with"
        );
        ensure!(
            !self.model.frozen_norm || self.model.weights.is_some(),
            "`model.frozen_norm` needs `model.weights`: the running statistics of new weights fit \
             no network"
        );
        self.check_sync_norm()?;
        ensure!(self.ema.is_none_or(|d| (0. ..1.).contains(&d)), "`ema` must be in [0, 1)");
        Ok(())
    }

    /// Errors: `sync_norm` where it would not reach, or where there is nothing to share.
    fn check_sync_norm(&self) -> Result<()> {
        if !self.sync_norm {
            return Ok(());
        }
        ensure!(
            !self.model.frozen_norm,
            "`sync_norm`: `model.frozen_norm` leaves nothing to share"
        );
        for (key, batch) in [("norm", "batch"), ("attack_mode", "train")] {
            let asked = self.objective.get(key).map(|word| word.clone().try_into());
            ensure!(
                asked != Some(Ok(Statistics::Batch)),
                "`sync_norm` shares the statistics of the training pass, not those of \
                 `objective.{key} = \"{batch}\"`, whose gradients are differentiated again or taken \
                 by every rank as often as it needs; leave one of the two out"
            );
        }
        Ok(())
    }

    /// The resolved settings one by one: `optimizer.learning_rate`, in order.
    pub fn flat(&self) -> Vec<(String, Value)> {
        fn leaves(path: &str, value: Value, found: &mut Vec<(String, Value)>) {
            match value {
                Value::Table(table) => {
                    for (key, value) in table {
                        let dot = if path.is_empty() { "" } else { "." };
                        leaves(&format!("{path}{dot}{key}"), value, found);
                    }
                }
                value => found.push((path.to_owned(), value)),
            }
        }
        let mut found = vec![];
        leaves("", Value::try_from(self).expect("a config is a table"), &mut found);
        found
    }

    /// The resolved settings as TOML.
    pub fn to_toml(&self) -> String {
        toml::to_string(self).expect("a config is a table")
    }
}
