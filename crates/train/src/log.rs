//! One JSON line an epoch.

pub mod tensorboard;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeMap,
    fs,
    path::Path,
    time::{SystemTime, UNIX_EPOCH},
};
use tch::{Kind, Tensor};

/// One epoch: a line of `log.jsonl`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EpochLine {
    /// Epochs finished, from 1.
    pub epoch: u32,
    /// Mean of every loss part, and `total`.
    pub loss: BTreeMap<String, f64>,
    /// What the objective observed of each training image, by name.
    #[serde(default)]
    pub observed: BTreeMap<String, Quantiles>,
    /// Accuracy on the training batches as they were seen, in [0, 1].
    pub train_accuracy: f64,
    /// Accuracy on the test images, in [0, 1]; none where nothing is tested.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub test_accuracy: Option<f64>,
    /// Accuracy on the images held out to choose the best weights by, in [0, 1]; none where there are none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub validation_accuracy: Option<f64>,
    /// Accuracy on attacked test images, in [0, 1], where the objective has an adversary.
    #[serde(default)]
    pub robust_accuracy: Option<f64>,
    /// Steps left out because their loss was not finite.
    #[serde(default)]
    pub skipped: u64,
    /// The loss on the way.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub steps: Vec<Reading>,
    /// Learning rate of the last step.
    pub learning_rate: f64,
    /// Seconds of this epoch, evaluation included.
    pub seconds: f64,
    /// Training images a second.
    pub images_per_second: f64,
    /// When it ended, in seconds of Unix time; 0 in logs that do not say it.
    #[serde(default)]
    pub ended: f64,
}

/// The loss over a few steps of an epoch.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Reading {
    /// Steps of the run so far.
    pub step: u64,
    /// Mean `total` over the images of the steps since the reading before.
    pub loss: f64,
    /// Seconds since the epoch began.
    pub seconds: f64,
}

/// A distribution over images in three numbers; for heavy tails the mean alone says little.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Quantiles {
    /// Arithmetic mean.
    pub mean: f64,
    /// Half of the values are below.
    pub median: f64,
    /// Nine tenths of the values are below.
    pub p90: f64,
}

impl Quantiles {
    /// Of values `[N]`, at least one; order statistics, not interpolated.
    pub fn of(values: &Tensor) -> Self {
        let sorted = values.to_kind(Kind::Double).sort(0, false).0;
        let last = sorted.size()[0] - 1;
        let at = |q: f64| sorted.double_value(&[(q * last as f64).round() as i64]);
        let mean = sorted.mean(Kind::Double).double_value(&[]);
        Quantiles { mean, median: at(0.5), p90: at(0.9) }
    }
}

impl EpochLine {
    /// Every number with its TensorBoard tag.
    pub fn scalars(&self) -> Vec<(String, f64)> {
        let mut all = vec![
            ("accuracy/train".to_owned(), self.train_accuracy),
            ("learning_rate".to_owned(), self.learning_rate),
            ("images_per_second".to_owned(), self.images_per_second),
        ];
        all.extend(self.test_accuracy.map(|a| ("accuracy/test".to_owned(), a)));
        all.extend(self.validation_accuracy.map(|a| ("accuracy/validation".to_owned(), a)));
        all.extend(self.robust_accuracy.map(|a| ("accuracy/robust".to_owned(), a)));
        for (name, q) in &self.observed {
            let tagged = [("mean", q.mean), ("median", q.median), ("p90", q.p90)];
            all.extend(tagged.map(|(of, value)| (format!("{name}/{of}"), value)));
        }
        all.extend(self.loss.iter().map(|(part, v)| (format!("loss/{part}"), *v)));
        all
    }
}

/// The epoch of the highest validation accuracy, of equal ones the first, and that accuracy.
pub fn best(lines: &[EpochLine]) -> Option<(u32, f64)> {
    let validated = lines.iter().filter_map(|line| Some((line.epoch, line.validation_accuracy?)));
    validated.reduce(|best, next| if next.1 > best.1 { next } else { best })
}

/// Unix time, in seconds.
pub(crate) fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0., |since| since.as_secs_f64())
}

/// Reads a log. Errors: no such file, a line that is not one of ours.
pub fn read(path: &Path) -> Result<Vec<EpochLine>> {
    let text =
        fs::read_to_string(path).with_context(|| format!("cannot read `{}`", path.display()))?;
    let line = |(i, text): (usize, &str)| {
        serde_json::from_str(text).with_context(|| format!("`{}` line {}", path.display(), i + 1))
    };
    text.lines().enumerate().map(line).collect()
}

/// Writes a whole log; a killed run never leaves half a line.
pub fn write(path: &Path, lines: &[EpochLine]) -> Result<()> {
    tensorfile::atomic::write(path, |file| {
        for line in lines {
            serde_json::to_writer(&mut *file, line)?;
            file.write_all(b"\n")?;
        }
        Ok(())
    })
}
