//! One JSON line an epoch.

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, fs, path::Path};

/// One epoch: a line of `log.jsonl`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EpochLine {
    /// Epochs finished, from 1.
    pub epoch: u32,
    /// Mean of every loss part, and `total`.
    pub loss: BTreeMap<String, f64>,
    /// Accuracy on the training batches as they were seen, in [0, 1].
    pub train_accuracy: f64,
    /// Accuracy on the test images, in [0, 1].
    pub test_accuracy: Option<f64>,
    /// Learning rate of the last step.
    pub learning_rate: f64,
    /// Seconds of this epoch, evaluation included.
    pub seconds: f64,
    /// Training images a second.
    pub images_per_second: f64,
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
        all.extend(self.loss.iter().map(|(part, v)| (format!("loss/{part}"), *v)));
        all
    }
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
