//! Results as rows: what every kind of result has in common, for tables, CSV and experiments.

use super::{
    AtEps, AttackResult, Change, EpochLine, MeasureResult, Statistic, Summary, TransferResult,
};
use anyhow::{Context, Result};
use explain::{Similarity, similarity::SIMILARITIES};
use results::{Better, Keys, Number, Quantity, Table, keys};
use serde::Serialize;
use serde_json::Value;
use std::collections::BTreeMap;

/// The ending of the name of an area over log2(255 ε).
pub const AUC: &str = "-auc";

/// A result that has rows.
pub trait Tidy: Serialize {
    /// The command that finds it.
    const KIND: &'static str;

    /// What its numbers are, and the numbers.
    fn rows(&self) -> (Vec<Quantity>, Table);

    /// As JSON: its own fields, `kind`, `quantities` and `rows`.
    fn json(&self) -> Result<Value> {
        let (quantities, rows) = self.rows();
        described(serde_json::to_value(self)?, Self::KIND, &quantities, &rows)
    }
}

/// `value`, an object, with `kind`, `quantities` and `rows`.
pub fn described(value: Value, kind: &str, quantities: &[Quantity], rows: &Table) -> Result<Value> {
    let Value::Object(mut fields) = value else { anyhow::bail!("a result is an object") };
    fields.insert("kind".into(), kind.into());
    fields.insert("quantities".into(), serde_json::to_value(quantities)?);
    fields.insert("rows".into(), serde_json::to_value(rows)?);
    Ok(Value::Object(fields))
}

impl From<&Summary> for Number {
    fn from(summary: &Summary) -> Self {
        let Summary { mean, stderr, successes, n, undefined } = *summary;
        Number { mean, stderr, mean_of_successes: successes, n, undefined, ..Number::default() }
    }
}

impl From<&Statistic> for Number {
    fn from(of: &Statistic) -> Self {
        let [min, q1, q2, q3, max] = match of.spread {
            Some(five) => five.map(Some),
            None => [None; 5],
        };
        let Statistic { mean, low, high, median, n, undefined, infinite, .. } = *of;
        let counts = Number { n, undefined, infinite, ..Number::default() };
        Number { mean, low, high, median, min, q1, q2, q3, max, ..counts }
    }
}

impl From<&Change> for Number {
    fn from(change: &Change) -> Self {
        let Change { mean, least, most } = *change;
        Number { mean: Some(mean), min: Some(least), max: Some(most), ..Number::default() }
    }
}

/// A radius as keys: its label and its value.
pub fn at_radius(of: &Keys, eps: f64, label: &str) -> Keys {
    let mut of = of.clone();
    of.extend(keys([("eps", label), ("eps_value", &eps.to_string())]));
    of
}

/// How far images moved.
pub fn l2_change() -> Quantity {
    let about = "l2 distance of the attacked from the clean image, pixels in [0, 1]";
    Quantity::new("l2-change", "l2 norm of the change", about, Better::Neither)
}

/// Clean accuracy.
pub fn accuracy() -> Quantity {
    let about = "share of the images that are classified correctly, in [0, 1]";
    Quantity::new("accuracy", "clean accuracy", about, Better::Higher)
}

/// The quantities of attacks on maps.
pub fn of_attacks() -> Vec<Quantity> {
    let mut all = vec![];
    for similarity in SIMILARITIES {
        let Similarity { name, title, about, better, .. } = similarity;
        all.push(Quantity::new(name, title, about, *better));
    }
    let own = [
        ("confidence", "probability of the clean prediction after the attack", Better::Neither),
        ("kept", "share of the images whose prediction stays", Better::Higher),
        ("success", "share of the images with a map whose attack succeeded", Better::Lower),
        ("no-map", "number of images without a map: they are in no mean", Better::Neither),
    ];
    all.extend(own.map(|(name, about, better)| Quantity::new(name, name, about, better)));
    all.push(l2_change());
    let area = |q: &Quantity| {
        let name = format!("{}{AUC}", q.name);
        let about = format!("area over log2(255 eps) of the mean of: {}", q.about);
        Quantity::new(&name, &name, &about, q.better)
    };
    let areas: Vec<Quantity> = all.iter().take(SIMILARITIES.len() + 2).map(area).collect();
    all.extend(areas);
    all.push(accuracy());
    all
}

/// Of [`of_attacks`] those that `rows` have.
fn found(rows: &Table) -> Vec<Quantity> {
    let names = rows.distinct(results::QUANTITY);
    of_attacks().into_iter().filter(|q| names.contains(&q.name.as_str())).collect()
}

/// The rows of an attack on the maps that `of` names.
fn attacked(rows: &mut Table, of: &Keys, eps: &[AtEps], auc: &BTreeMap<String, Option<f64>>) {
    for at in eps {
        let of = at_radius(of, at.eps, &at.label);
        for (name, summary) in &at.metrics {
            rows.push(&of, name, summary.into());
        }
        let with_map = at.metrics.values().filter_map(|s| Some(s.n? + s.undefined)).max();
        let n = with_map.map(|all| all - at.no_map.min(all));
        rows.push(&of, "success", Number { mean: at.success, n, ..Number::default() });
        rows.push(&of, "no-map", Number::exact(at.no_map as f64));
        if let Some(change) = &at.change {
            rows.push(&of, "l2-change", change.into());
        }
    }
    for (name, area) in auc {
        rows.push(of, &format!("{name}{AUC}"), Number { mean: *area, ..Number::default() });
    }
}

impl Tidy for AttackResult {
    const KIND: &'static str = "attack";

    fn rows(&self) -> (Vec<Quantity>, Table) {
        let mut rows = Table::default();
        let of =
            keys([("model", &self.model.name), ("method", &self.method), ("attack", &self.attack)]);
        attacked(&mut rows, &of, &self.eps, &self.auc);
        let right = Number { n: Some(self.images as u64), ..Number::exact(self.accuracy) };
        rows.push(&keys([("model", &self.model.name)]), "accuracy", right);
        (found(&rows), rows)
    }
}

impl Tidy for TransferResult {
    const KIND: &'static str = "transfer";

    fn rows(&self) -> (Vec<Quantity>, Table) {
        let mut rows = Table::default();
        for cell in &self.cells {
            let (from, to) = (&self.sources[cell.from], &self.targets[cell.to]);
            let of = keys([
                ("from_model", &self.models[from.model].name),
                ("from_method", &from.method),
                ("model", &self.models[to.model].name),
                ("method", &to.method),
                ("attack", &self.attack),
            ]);
            attacked(&mut rows, &of, &cell.eps, &cell.auc);
        }
        for (card, &accuracy) in self.models.iter().zip(&self.accuracy) {
            let right = Number { n: Some(self.images as u64), ..Number::exact(accuracy) };
            rows.push(&keys([("model", &card.name)]), "accuracy", right);
        }
        (found(&rows), rows)
    }
}

/// The quantities of `measure` that are of no metric.
pub fn of_measures() -> [Quantity; 2] {
    let about = "number of images without a map: it is zero everywhere";
    let ranks = "Spearman's rho over models of the means of lipschitz and model-lipschitz";
    [
        Quantity::new("no-map", "images without a map", about, Better::Neither),
        Quantity::new("rank-correlation", "rank correlation", ranks, Better::Higher),
    ]
}

impl Tidy for MeasureResult {
    const KIND: &'static str = "measure";

    fn rows(&self) -> (Vec<Quantity>, Table) {
        let mut rows = Table::default();
        for row in &self.measured {
            let mut of = keys([("model", &self.models[row.model].name), ("method", &row.method)]);
            rows.push(&of, "no-map", Number::exact(row.empty_maps as f64));
            for column in &self.columns {
                of.insert("metric".into(), column.metric.clone());
                rows.push(&of, &column.key, (&row.values[&column.key]).into());
            }
        }
        for (method, rho) in &self.rank_correlation {
            let rho = Number { mean: *rho, ..Number::default() };
            rows.push(&keys([("method", method)]), "rank-correlation", rho);
        }
        let quantity =
            |c: &super::MeasuredColumn| Quantity::new(&c.key, &c.key, &c.about, c.better());
        let names = rows.distinct(results::QUANTITY);
        let own = of_measures().into_iter().filter(|q| names.contains(&q.name.as_str()));
        let all = self.columns.iter().map(quantity).chain(own).collect();
        (all, rows)
    }
}

/// The quantities of a training's last epoch, and what they are there.
pub fn of_training(last: &EpochLine) -> (Vec<Quantity>, Table) {
    let mut rows = Table::default();
    let images = "share of the images that are classified correctly, in [0, 1]: ";
    let mut quantities = vec![];
    for (name, of, value) in [
        ("train-accuracy", "training images as they were seen", Some(last.train_accuracy)),
        ("test-accuracy", "test images", last.test_accuracy),
        ("robust-accuracy", "attacked test images", last.robust_accuracy),
    ] {
        quantities.push(Quantity::new(name, name, &format!("{images}{of}"), Better::Higher));
        value.iter().for_each(|value| rows.push(&Keys::new(), name, Number::exact(*value)));
    }
    quantities.push(Quantity::new("loss", "loss", "mean of a part of the loss", Better::Lower));
    for (part, &loss) in &last.loss {
        rows.push(&keys([("part", part)]), "loss", Number::exact(loss));
    }
    for (name, of) in &last.observed {
        let about = "observed by the objective at each training image";
        quantities.push(Quantity::new(name, name, about, Better::Neither));
        let (median, p90) = (Some(of.median), Some(of.p90));
        rows.push(&Keys::new(), name, Number { median, p90, ..Number::exact(of.mean) });
    }
    (quantities, rows)
}

/// The typed fields of a result file, and its rows. Files of 0.1 have no rows of this kind; what is
/// called so there in `measure`'s is its typed field.
pub fn typed(mut value: Value) -> Result<Value> {
    let fields = value.as_object_mut().context("a result is an object")?;
    let tidy = fields.remove("kind").is_some();
    if let Some(rows) = fields.remove("rows").filter(|_| !tidy) {
        fields.insert("measured".into(), rows);
    }
    fields.remove("quantities");
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn an_old_file_is_read_as_a_new_one() {
        let old = json!({ "rows": [1], "columns": [] });
        let new = json!({ "kind": "measure", "rows": [2], "measured": [1], "columns": [] });
        assert_eq!(typed(old).unwrap(), json!({ "measured": [1], "columns": [] }));
        assert_eq!(typed(new).unwrap(), json!({ "measured": [1], "columns": [] }));
    }
}
