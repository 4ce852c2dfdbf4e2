//! What a command found, in the one form that files of every kind have.

use crate::{Keys, ModelCard, Origin, Quantity, Table, keys};
use anyhow::{Context, Result, ensure};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// A result: numbers, what they are, and where they come from.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// The command that found it, such as `attack`.
    pub kind: String,
    /// How it was made; none where that was not kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub origin: Option<Origin>,
    /// The models that rows name, in the order of the command.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub models: Vec<ModelCard>,
    /// Data, as the user wrote it; empty without.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub data: String,
    /// Number of images; none without.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub images: Option<u64>,
    /// Resolved settings, for the reader.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub settings: BTreeMap<String, Value>,
    /// What the numbers are, in the order of tables.
    pub quantities: Vec<Quantity>,
    /// The numbers.
    pub rows: Table,
    /// What a kind has beside its numbers, such as names of files.
    #[serde(flatten)]
    pub rest: Map<String, Value>,
}

impl Record {
    /// Whether `value` is a result in this form.
    pub fn is(value: &Value) -> bool {
        value.get("kind").is_some_and(Value::is_string)
            && ["quantities", "rows"].iter().all(|key| value.get(key).is_some_and(Value::is_array))
    }

    /// Reads it from JSON. Errors: not this form, or rows of a quantity that it does not describe.
    pub fn read(value: Value) -> Result<Self> {
        let record: Record = serde_json::from_value(value).context("it has not the form")?;
        for name in record.rows.distinct(crate::QUANTITY) {
            let known = record.quantities.iter().any(|quantity| quantity.name == name);
            ensure!(known, "its rows have the quantity `{name}`, which is not in `quantities`");
        }
        let whole = record.rows.rows.iter().all(|row| !row.quantity().is_empty());
        ensure!(whole, "one of its rows has no `{}`", crate::QUANTITY);
        Ok(record)
    }

    /// What is known of the quantity called `name`.
    pub fn quantity(&self, name: &str) -> Option<&Quantity> {
        self.quantities.iter().find(|quantity| quantity.name == name)
    }

    /// The setting called `name` as text; none if it has another form.
    pub fn setting(&self, name: &str) -> Option<&str> {
        self.settings.get(name).and_then(Value::as_str)
    }

    /// The rows with the kind, the data, the provenance and what is known of their model as keys.
    pub fn sourced(&self, file: &str) -> Table {
        let mut source = keys([("file", file), ("kind", &self.kind)]);
        if !self.data.is_empty() {
            source.insert("data".into(), self.data.clone());
        }
        if let Some(Origin { commit, seed, .. }) = &self.origin {
            source.extend(keys([("commit", commit.as_str()), ("seed", &seed.to_string())]));
        }
        let mut table = self.rows.clone();
        for row in &mut table.rows {
            let model = self.models.iter().find(|card| card.name == row.key("model"));
            row.keys.extend(model.map(described).unwrap_or_default());
            row.keys.extend(source.clone());
        }
        table
    }
}

fn described(card: &ModelCard) -> Keys {
    let ModelCard { arch, training, dataset, .. } = card;
    keys([("arch", arch.as_str()), ("training", training), ("dataset", dataset)])
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn invented() -> Value {
        json!({
            "kind": "weigh",
            "quantities": [{"name": "mass", "title": "mass", "about": "in kg", "better": "lower"}],
            "rows": [{"quantity": "mass", "fruit": "pear", "mean": 0.25}],
            "scales": "kitchen",
        })
    }

    #[test]
    fn any_kind_is_read_and_written() {
        let value = invented();
        assert!(Record::is(&value) && !Record::is(&json!({"kind": "weigh"})));
        let record = Record::read(value).unwrap();
        assert_eq!(record.rest["scales"], "kitchen");
        let written = serde_json::to_value(&record).unwrap();
        assert_eq!(Record::read(written.clone()).unwrap(), record);
        assert_eq!(written["rows"][0]["mean"], 0.25);
        let sourced = record.sourced("a.json");
        assert_eq!(sourced.rows[0].keys["file"], "a.json");
        assert!(!sourced.rows[0].keys.contains_key("seed"));
    }

    #[test]
    fn rows_of_what_is_not_described_are_refused() {
        let mut value = invented();
        value["rows"][0]["quantity"] = "length".into();
        let error = Record::read(value).unwrap_err().to_string();
        assert!(error.contains("`length`"), "{error}");
        let mut value = invented();
        value["rows"][0].as_object_mut().unwrap().remove("quantity");
        assert!(Record::read(value).unwrap_err().to_string().contains("`quantity`"));
    }
}
