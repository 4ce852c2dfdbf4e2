//! The numbers for other programs: `results.json`, everything that was read, and `results.csv`, the
//! rows of every result with where they come from.

use super::Inputs;
use crate::results::{ModelCard, Origin, Tidy};
use ::results::{Keys, Table, keys};
use anyhow::Result;
use std::path::Path;

/// Every result as one JSON array, attacks first.
pub(super) fn json(inputs: &Inputs) -> Result<String> {
    let attacks = inputs.results.iter().map(|found| found.result.json());
    let transfers = inputs.transfers.iter().map(|found| found.result.json());
    let measures = inputs.measures.iter().map(|found| found.result.json());
    let all = attacks.chain(transfers).chain(measures).collect::<Result<Vec<_>>>()?;
    Ok(serde_json::to_string_pretty(&all)? + "\n")
}

/// The rows of every result, in the same order.
pub(super) fn csv(inputs: &Inputs) -> Result<String> {
    let mut all = Table::default();
    for found in &inputs.results {
        let result = &found.result;
        let models = std::slice::from_ref(&result.model);
        add(&mut all, result, models, source(&found.path, &result.origin, &result.data));
    }
    for found in &inputs.transfers {
        let result = &found.result;
        add(&mut all, result, &result.models, source(&found.path, &result.origin, &result.data));
    }
    for found in &inputs.measures {
        let result = &found.result;
        add(&mut all, result, &result.models, source(&found.path, &result.origin, &result.data));
    }
    all.csv()
}

/// Where the rows of a result come from.
fn source(path: &Path, origin: &Origin, data: &str) -> Keys {
    let (file, seed) = (path.display().to_string(), origin.seed.to_string());
    keys([("file", &file), ("commit", &origin.commit), ("seed", &seed), ("data", data)])
}

/// Adds the rows of `result` with what is known of their model.
fn add<T: Tidy>(all: &mut Table, result: &T, models: &[ModelCard], mut source: Keys) {
    source.insert("kind".into(), T::KIND.into());
    for mut row in result.rows().1.rows {
        row.keys.extend(source.clone());
        if let Some(card) = models.iter().find(|card| card.name == row.key("model")) {
            let ModelCard { arch, training, dataset, .. } = card;
            row.keys.extend(keys([("arch", arch), ("training", training), ("dataset", dataset)]));
        }
        all.rows.push(row);
    }
}
