//! What weights say of the data they are asked about: whether these are the images they were
//! trained on, and how a table is read for them.

use crate::cli::Reading;
use data::{Dataset, Features, Holdout, Split, names::few};
use std::collections::BTreeMap;
use tensorfile::words::count;
use toml::Table;

/// What is said where the data at `spec` are those of the training that the weights' header tells
/// of, and not its test part. Whoever asks for `--split train` knows.
pub fn on_these(
    header: &BTreeMap<String, String>,
    (spec, reading): (&str, &Reading),
    data: &Dataset,
) -> Option<String> {
    let config = header.get("config")?.parse::<Table>().ok()?;
    let of = config.get("data")?;
    let train = of.get("train")?.as_str()?;
    let own = of.get("holdout").and_then(toml::Value::as_float).map(|fraction| Holdout {
        fraction,
        seed: of.get("holdout_seed").and_then(toml::Value::as_integer).unwrap_or(0) as u64,
    });
    let asked = reading.held_out();
    let whole = data.whole || asked.is_some() && asked != own;
    // Of tables their loader says it.
    let told = reading.split == Split::Train || data.features.is_some();
    (whole && !told && data::same_place(spec, train)).then(|| match own {
        Some(Holdout { fraction, seed }) => format!(
            "the weights were trained on images of `{spec}`: only those that `--holdout {fraction} \
             --holdout-seed {seed}` takes are a test of them"
        ),
        None => {
            format!("the weights were trained on all of `{spec}`: its images are no test of them")
        }
    })
}

/// What is said of a table that is taken as it is, for want of the weights' word.
pub fn by_place(columns: Option<&Features>, data: &Dataset) -> Option<String> {
    let features = data.features.as_ref().filter(|features| features.table.is_some())?;
    let scaled = format!(
        "`{}` ({}) is scaled by the table's own mean and deviation (`,rows=all` takes every row)",
        data.name,
        count(data.len(), "row")
    );
    match columns {
        None => Some(format!(
            "the weights do not name their columns: those of the table are taken as they stand \
             ({}), and {scaled}",
            few(&features.names)
        )),
        Some(columns) if columns.mean.is_empty() => {
            Some(format!("the weights do not say how their columns were scaled: {scaled}"))
        }
        Some(_) => None,
    }
}
