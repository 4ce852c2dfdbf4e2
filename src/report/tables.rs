//! The numbers for other programs: `results.json`, everything that was read, and `results.csv`, the
//! rows of every result with where they come from.

use super::Inputs;
use ::results::Table;
use anyhow::Result;

/// Every result as one JSON array.
pub(super) fn json(inputs: &Inputs) -> Result<String> {
    let all: Vec<_> = inputs.results.iter().map(|found| &found.record).collect();
    Ok(serde_json::to_string_pretty(&all)? + "\n")
}

/// The rows of every result, in the same order.
pub(super) fn csv(inputs: &Inputs) -> Result<String> {
    let mut all = Table::default();
    for found in &inputs.results {
        all.rows.extend(found.record.sourced(&found.path.display().to_string()).rows);
    }
    all.csv()
}
