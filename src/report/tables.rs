//! The numbers for other programs: `results.json` (everything that was read) and `results.csv` (a
//! line for each model, method, attack, radius and metric). `transfer` and `measure` wrote their own CSV.

use super::{Found, Inputs};
use crate::results::{AtEps, csv_line};
use anyhow::Result;

/// Every result as one JSON array, attacks first.
pub(super) fn json(inputs: &Inputs) -> Result<String> {
    let attacks = inputs.results.iter().map(|found| serde_json::to_value(&found.result));
    let transfers = inputs.transfers.iter().map(|found| serde_json::to_value(&found.result));
    let measures = inputs.measures.iter().map(|found| serde_json::to_value(&found.result));
    let all = attacks.chain(transfers).chain(measures).collect::<Result<Vec<_>, _>>()?;
    Ok(serde_json::to_string_pretty(&all)? + "\n")
}

const COLUMNS: [&str; 23] = [
    "model",
    "arch",
    "training",
    "dataset",
    "data",
    "method",
    "attack",
    "eps",
    "eps_label",
    "metric",
    "mean",
    "stderr",
    "mean_of_successes",
    "auc",
    "success",
    "n",
    "undefined",
    "no_map",
    "images",
    "accuracy",
    "seed",
    "commit",
    "file",
];

pub(super) fn csv(inputs: &Inputs) -> String {
    let mut text = csv_line(&COLUMNS.map(str::to_owned));
    for found in &inputs.results {
        for at in &found.result.eps {
            for metric in at.metrics.keys() {
                text.push_str(&csv_line(&record(found, at, metric)));
            }
        }
    }
    text
}

fn record(found: &Found, at: &AtEps, metric: &str) -> Vec<String> {
    let result = &found.result;
    let about = [
        result.model.name.clone(),
        result.model.arch.clone(),
        result.model.training.clone(),
        result.model.dataset.clone(),
        result.data.clone(),
        result.method.clone(),
        result.attack.clone(),
    ];
    let origin = [
        result.images.to_string(),
        result.accuracy.to_string(),
        result.origin.seed.to_string(),
        result.origin.commit.clone(),
        found.path.display().to_string(),
    ];
    [&about[..], &at.record(metric, &result.auc), &origin].concat()
}
