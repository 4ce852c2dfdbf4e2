//! A result file: what a command found, as rows, and where it comes from.

use crate::{Keys, ModelCard, Origin, Quantity, Table};
use anyhow::{Result, ensure};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A file of tensors or a picture that belongs to a result.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Attachment {
    /// Its path, relative to the result file.
    pub path: String,
    /// What it is of.
    #[serde(flatten)]
    pub keys: Keys,
}

/// What a command found.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Findings {
    /// The command: `attack`, `transfer`, `measure`, ….
    pub kind: String,
    /// How it was made.
    pub origin: Origin,
    /// The models that rows name, in the order of the command.
    pub models: Vec<ModelCard>,
    /// The data, as the user wrote it.
    pub data: String,
    /// Number of images.
    pub images: usize,
    /// Resolved settings, for the reader.
    pub settings: BTreeMap<String, serde_json::Value>,
    /// What the numbers are, in the order of tables.
    pub quantities: Vec<Quantity>,
    /// The numbers.
    pub rows: Table,
    /// Files that belong to it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<Attachment>,
}

impl Findings {
    /// Errors: a row without a quantity, of a quantity that is not listed, or of a model that is not.
    pub fn check(&self) -> Result<()> {
        for row in &self.rows.rows {
            let quantity = row.quantity();
            let known = self.quantities.iter().any(|q| q.name == quantity);
            ensure!(known, "a row is of the quantity `{quantity}`, which is not in `quantities`");
            let model = row.key("model");
            let known = model.is_empty() || self.models.iter().any(|card| card.name == model);
            ensure!(known, "a row is of the model `{model}`, which is not in `models`");
        }
        Ok(())
    }

    /// The quantity called `name`.
    pub fn quantity(&self, name: &str) -> Option<&Quantity> {
        self.quantities.iter().find(|quantity| quantity.name == name)
    }

    /// The model called `name`.
    pub fn model(&self, name: &str) -> Option<&ModelCard> {
        self.models.iter().find(|card| card.name == name)
    }

    /// The mean of the one row that has these keys; none if there is no such row, or it is undefined.
    pub fn mean(&self, keys: &Keys) -> Option<f64> {
        self.rows.only(keys).ok()?.number.mean
    }
}
