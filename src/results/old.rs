//! Results as files of 0.1 have them, with a form for each kind instead of rows or beside them. They
//! are read for one release.

use super::{AtEps, quantities};
use ::results::{
    Better, Keys, ModelCard, Number, Origin, Quantity, Record, Row, Sample, Table, keys,
};
use anyhow::{Context, Result, ensure};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use std::{collections::BTreeMap, path::Path};

/// The result in the JSON file `path`, which holds `value`; none if it is something else. Errors: what
/// is called, or begins, like a result and is none.
pub fn record(value: Value, path: &Path) -> Result<Option<Record>> {
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    let named = ["attack", "transfer"].into_iter().find(|kind| stem.starts_with(kind));
    let alike = |keys: &[&str]| keys.iter().all(|key| value.get(key).is_some());
    let kind = [
        ("transfer", alike(&["origin", "attack", "cells"])),
        ("measure", alike(&["origin", "columns", "rows"])),
        ("attack", alike(&["origin", "attack", "eps"])),
    ];
    let kind = kind.iter().find(|(_, alike)| *alike).map(|(kind, _)| *kind);
    if kind.is_none() && Record::is(&value) {
        let told = || format!("`{}` is not a result", path.display());
        return Record::read(one_model(value)).with_context(told).map(Some);
    }
    let Some(kind) = kind.or(named) else { return Ok(None) };
    let told = || format!("`{}` is not a result of `gradproof {kind}`", path.display());
    let record = match kind {
        "attack" => serde_json::from_value(value).map(Attack::record).with_context(told)?,
        "transfer" => serde_json::from_value(value).map(Transfer::record).with_context(told)??,
        _ => measured(value).with_context(told)?,
    };
    Ok(Some(record))
}

/// `model`, a card, becomes the one of `models`.
fn one_model(mut value: Value) -> Value {
    if let Some(fields) = value.as_object_mut().filter(|fields| !fields.contains_key("models"))
        && fields.get("model").is_some_and(Value::is_object)
        && let Some(card) = fields.remove("model")
    {
        fields.insert("models".into(), json!([card]));
    }
    value
}

#[derive(Deserialize)]
struct Summary {
    mean: Option<f64>,
    stderr: Option<f64>,
    successes: Option<f64>,
    n: Option<u64>,
    #[serde(default)]
    undefined: u64,
}

impl From<Summary> for Number {
    fn from(summary: Summary) -> Self {
        let Summary { mean, stderr, successes, n, undefined } = summary;
        Number { mean, stderr, mean_of_successes: successes, n, undefined, ..Number::default() }
    }
}

#[derive(Deserialize)]
struct Change {
    mean: f64,
    least: f64,
    most: f64,
}

#[derive(Deserialize)]
struct Radius {
    eps: f64,
    label: String,
    success: Option<f64>,
    #[serde(default)]
    no_map: u64,
    metrics: BTreeMap<String, Summary>,
    change: Option<Change>,
    tensors: Option<String>,
}

impl From<Radius> for AtEps {
    fn from(of: Radius) -> Self {
        let change = |Change { mean, least, most }| {
            let (min, max) = (Some(least), Some(most));
            Number { min, max, ..Number::exact(mean) }.into()
        };
        let metrics =
            of.metrics.into_iter().map(|(name, summary)| (name, Number::from(summary).into()));
        AtEps {
            eps: of.eps,
            label: of.label,
            success: Number { mean: of.success, ..Number::default() }.into(),
            no_map: of.no_map,
            metrics: metrics.collect(),
            change: of.change.map(change),
        }
    }
}

#[derive(Deserialize)]
struct Attack {
    origin: Origin,
    model: ModelCard,
    data: String,
    images: u64,
    accuracy: f64,
    method: String,
    attack: String,
    settings: BTreeMap<String, Value>,
    eps: Vec<Radius>,
    auc: BTreeMap<String, Option<f64>>,
}

impl Attack {
    fn record(self) -> Record {
        let named = |at: &Radius| Some((at.label.clone(), at.tensors.clone()?.into()));
        let tensors: Map<String, Value> = self.eps.iter().filter_map(named).collect();
        let eps: Vec<AtEps> = self.eps.into_iter().map(AtEps::from).collect();
        let mut rows = Table::default();
        let maps = [("model", &self.model.name), ("method", &self.method)];
        let of = keys(
            [maps[0], maps[1], ("attack", &self.attack)].map(|(key, value)| (key, value.as_str())),
        );
        AtEps::push(&mut rows, &of, &eps, &areas(self.auc));
        accuracy(&mut rows, &self.model, self.accuracy, self.images);
        Record {
            kind: "attack".into(),
            origin: Some(self.origin),
            models: vec![self.model],
            data: self.data,
            images: Some(self.images),
            settings: self.settings,
            quantities: quantities::found(quantities::of_attacks(), &rows),
            rows,
            rest: Map::from_iter([("tensors".to_owned(), Value::Object(tensors))]),
        }
    }
}

/// Areas of which the mean alone is known.
fn areas(auc: BTreeMap<String, Option<f64>>) -> BTreeMap<String, Sample> {
    let of = |mean| Number { mean, ..Number::default() }.into();
    auc.into_iter().map(|(name, mean)| (name, of(mean))).collect()
}

fn accuracy(rows: &mut Table, model: &ModelCard, share: f64, images: u64) {
    let number = Number { n: Some(images), ..Number::exact(share) };
    rows.push(&keys([("model", model.name.as_str())]), "accuracy", number);
}

#[derive(Deserialize)]
struct Maps {
    model: usize,
    method: String,
}

#[derive(Deserialize)]
struct Cell {
    from: usize,
    to: usize,
    eps: Vec<Radius>,
    auc: BTreeMap<String, Option<f64>>,
}

#[derive(Deserialize)]
struct Transfer {
    origin: Origin,
    models: Vec<ModelCard>,
    accuracy: Vec<f64>,
    data: String,
    images: u64,
    attack: String,
    settings: BTreeMap<String, Value>,
    sources: Vec<Maps>,
    targets: Vec<Maps>,
    cells: Vec<Cell>,
}

impl Transfer {
    fn record(self) -> Result<Record> {
        let mut rows = Table::default();
        for cell in self.cells {
            let maps = |all: &[Maps], at: usize| -> Result<[String; 2]> {
                let maps = all.get(at).context("a cell is of no row or of no column")?;
                let model = self.models.get(maps.model).context("a row is of no model")?;
                Ok([model.name.clone(), maps.method.clone()])
            };
            let (from, to) = (maps(&self.sources, cell.from)?, maps(&self.targets, cell.to)?);
            let of = keys([
                ("from_model", from[0].as_str()),
                ("from_method", &from[1]),
                ("model", &to[0]),
                ("method", &to[1]),
                ("attack", &self.attack),
            ]);
            let eps: Vec<AtEps> = cell.eps.into_iter().map(AtEps::from).collect();
            AtEps::push(&mut rows, &of, &eps, &areas(cell.auc));
        }
        ensure!(self.accuracy.len() == self.models.len(), "a model has no accuracy");
        for (card, share) in self.models.iter().zip(self.accuracy) {
            accuracy(&mut rows, card, share, self.images);
        }
        Ok(Record {
            kind: "transfer".into(),
            origin: Some(self.origin),
            models: self.models,
            data: self.data,
            images: Some(self.images),
            settings: self.settings,
            quantities: quantities::found(quantities::of_attacks(), &rows),
            rows,
            rest: Map::new(),
        })
    }
}

#[derive(Deserialize)]
struct Statistic {
    mean: Option<f64>,
    low: Option<f64>,
    high: Option<f64>,
    median: Option<f64>,
    spread: Option<[f64; 5]>,
    n: Option<u64>,
    #[serde(default)]
    undefined: u64,
    #[serde(default)]
    reasons: BTreeMap<String, u64>,
    infinite: u64,
}

#[derive(Deserialize)]
struct Column {
    key: String,
    metric: String,
    about: String,
    higher_is_better: bool,
}

#[derive(Deserialize)]
struct Line {
    model: usize,
    method: String,
    empty_maps: u64,
    values: BTreeMap<String, Statistic>,
}

#[derive(Deserialize)]
struct Measure {
    origin: Origin,
    models: Vec<ModelCard>,
    data: String,
    images: u64,
    settings: BTreeMap<String, Value>,
    columns: Vec<Column>,
    measured: Vec<Line>,
    rank_correlation: BTreeMap<String, Option<f64>>,
}

/// What was called `rows` in 0.1 was called `measured` when rows were another thing.
fn measured(mut value: Value) -> Result<Record> {
    let fields = value.as_object_mut().context("it is no object")?;
    if !fields.contains_key("measured")
        && let Some(rows) = fields.remove("rows")
    {
        fields.insert("measured".into(), rows);
    }
    let old: Measure = serde_json::from_value(value)?;
    let mut rows = Table::default();
    for mut line in old.measured {
        let Some(model) = old.models.get(line.model) else {
            anyhow::bail!("a row of `{}` is of model {}", line.method, line.model);
        };
        let mut of = keys([("model", model.name.as_str()), ("method", &line.method)]);
        rows.push(&of, "no-map", Number::exact(line.empty_maps as f64));
        for column in &old.columns {
            of.insert("metric".into(), column.metric.clone());
            let told = || format!("a row of `{}` has no `{}`", line.method, column.key);
            let value = line.values.remove(&column.key).with_context(told)?;
            rows.rows.push(row(&of, &column.key, value));
        }
    }
    for (method, rho) in &old.rank_correlation {
        let rho = Number { mean: *rho, ..Number::default() };
        rows.push(&keys([("method", method.as_str())]), "rank-correlation", rho);
    }
    let better = |higher| if higher { Better::Higher } else { Better::Lower };
    let column = |c: &Column| Quantity::new(&c.key, &c.key, &c.about, better(c.higher_is_better));
    let own = quantities::found(quantities::of_measures().into(), &rows);
    Ok(Record {
        kind: "measure".into(),
        origin: Some(old.origin),
        models: old.models,
        data: old.data,
        images: Some(old.images),
        settings: old.settings,
        quantities: old.columns.iter().map(column).chain(own).collect(),
        rows,
        rest: Map::new(),
    })
}

fn row(of: &Keys, quantity: &str, value: Statistic) -> Row {
    let [min, q1, q2, q3, max] = value.spread.map_or([None; 5], |five| five.map(Some));
    let Statistic { mean, low, high, median, n, undefined, infinite, reasons, .. } = value;
    let counts = Number { n, undefined, infinite, ..Number::default() };
    let number = Number { mean, low, high, median, min, q1, q2, q3, max, ..counts };
    Row { reasons, ..Row::new(of, quantity, number) }
}
