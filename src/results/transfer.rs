//! What `gradproof transfer` found: a matrix of attacked maps against judged maps, as JSON and CSV.

use super::{AtEps, ModelCard, Origin};
use anyhow::{Result, ensure};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The maps of one model by one method: a row or a column of the matrix.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Maps {
    /// Place of the model among [`TransferResult::models`].
    pub model: usize,
    /// Attribution method, such as `gxi`.
    pub method: String,
}

/// What the images made against one row do to the maps of one column.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct TransferCell {
    /// Row: place among [`TransferResult::sources`].
    pub from: usize,
    /// Column: place among [`TransferResult::targets`].
    pub to: usize,
    /// In ascending order of `eps`. `success` is that of the attack on the row's maps; the metrics
    /// are of the column's maps. Beside those of [`AtEps`] stands `kept`: the share of images
    /// whose prediction by the column's model stays.
    pub eps: Vec<AtEps>,
    /// Trapezoid over log2(255 eps) of each metric's mean, where at least two radii were run; none
    /// where a mean is undefined.
    pub auc: BTreeMap<String, Option<f64>>,
}

/// What `gradproof transfer` found.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct TransferResult {
    /// How it was made.
    pub origin: Origin,
    /// In the order of the command.
    pub models: Vec<ModelCard>,
    /// Clean accuracy of each model on exactly these images, in [0, 1].
    pub accuracy: Vec<f64>,
    /// Data attacked, as the user wrote it.
    pub data: String,
    /// Number of images.
    pub images: usize,
    /// Attack, such as `topk`.
    pub attack: String,
    /// Resolved settings of the attack, for the reader.
    pub settings: BTreeMap<String, serde_json::Value>,
    /// Rows: whose maps were attacked.
    pub sources: Vec<Maps>,
    /// Columns: whose maps were judged.
    pub targets: Vec<Maps>,
    /// Every row's every column.
    pub cells: Vec<TransferCell>,
}

impl TransferCell {
    /// A metric's area over the radii, or its mean at the largest one where there is no area; none
    /// where it is undefined.
    pub fn value(&self, metric: &str) -> Option<f64> {
        let largest = || self.eps.last()?.metrics.get(metric)?.mean;
        self.auc.get(metric).map_or_else(largest, |area| *area)
    }
}

impl TransferResult {
    /// Errors: a file that does not hang together.
    pub fn check(&self) -> Result<()> {
        let (rows, columns) = (self.sources.len(), self.targets.len());
        ensure!(rows > 0 && columns > 0, "it has no row or no column");
        let models = self.models.len();
        let known = |maps: &Maps| maps.model < models;
        ensure!(
            self.sources.iter().chain(&self.targets).all(known) && self.accuracy.len() == models,
            "its rows and columns are not those of its {models} models"
        );
        for row in 0..rows {
            for column in 0..columns {
                let cell = self.cell(row, column).is_some_and(|cell| !cell.eps.is_empty());
                ensure!(cell, "the cell of row {row} and column {column} is not there");
            }
        }
        Ok(())
    }

    /// The cell of a row and a column.
    pub fn cell(&self, from: usize, to: usize) -> Option<&TransferCell> {
        self.cells.iter().find(|cell| cell.from == from && cell.to == to)
    }

    /// `model: method`; without what is the same in every row and column.
    pub fn labels(&self, all: &[Maps]) -> Vec<String> {
        let everyone = || self.sources.iter().chain(&self.targets);
        let first = &self.sources[0];
        let one_method = everyone().all(|maps| maps.method == first.method);
        let label = |maps: &Maps| {
            let model = &self.models[maps.model].name;
            match (self.models.len() == 1, one_method) {
                (true, _) => maps.method.clone(),
                (false, true) => model.clone(),
                (false, false) => format!("{model}: {}", maps.method),
            }
        };
        all.iter().map(label).collect()
    }

    /// Such as `topk on maps of resnet20 by gxi, shapes`: with what the labels leave out.
    pub fn title(&self) -> String {
        let method = &self.sources[0].method;
        let same = self.sources.iter().chain(&self.targets).all(|maps| maps.method == *method);
        let about = match (self.models.as_slice(), same) {
            ([one], _) => one.name.clone(),
            (_, true) => format!("maps by {method}"),
            _ => "maps".into(),
        };
        // Of a path its end.
        let data = self.data.trim_end_matches('/').rsplit('/').next().unwrap_or_default();
        format!("{} on {about}, {data}", self.attack)
    }

    /// What [`TransferCell::value`] is: `area over ε 2/255 to 16/255`, or `ε 8/255`.
    pub fn over(&self) -> String {
        let cell = &self.cells[0];
        let mut radii = cell.eps.iter().filter(|at| cell.auc.is_empty() || at.eps > 0.);
        match (radii.next(), radii.next_back(), cell.auc.is_empty()) {
            (Some(first), Some(last), false) => {
                format!("area over ε {} to {}", first.label, last.label)
            }
            (Some(one), None, _) | (_, Some(one), true) => format!("ε {}", one.label),
            _ => String::new(),
        }
    }
}
