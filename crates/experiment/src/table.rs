//! Tables in the form of the paper's, its printed numbers beside ours.

use super::{
    file::{TableSpec, ValueSpec},
    lookup::{Query, Results, named, pairs},
    step::Choice,
};
use anyhow::{Context, Result, ensure};

/// A table, ready to be written in any form.
#[derive(Debug)]
pub struct Table {
    /// Above the table.
    pub title: String,
    /// Names of the axes down.
    pub rows: Vec<String>,
    /// For each column: the labels of its choices, the name of its number.
    pub columns: Vec<(Vec<String>, String)>,
    /// Labels of each row, and its numbers: ours, the paper's.
    pub lines: Vec<(Vec<String>, Vec<Numbers>)>,
}

/// What was measured here, NaN where it is undefined, and what is printed, where known.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Numbers {
    /// Measured here.
    pub ours: Option<f64>,
    /// Printed in the paper.
    pub printed: Option<f64>,
}

impl Table {
    /// Errors: names that nothing has, numbers that do not fit.
    pub fn new<'s>(results: &'s Results, spec: &'s TableSpec) -> Result<Self> {
        let step = results.experiment.step(&spec.step)?;
        let down = results.combinations(step, &spec.rows)?;
        let across = results.combinations(step, &spec.columns)?;
        let names: Vec<&str> = spec.rows.iter().chain(&spec.columns).map(String::as_str).collect();
        for (at, numbers) in &spec.published {
            let context = || format!("`published.\"{at}\"`");
            let labels: Vec<&str> = at.split(',').collect();
            let (found, wanted) = (labels.len(), names.len());
            ensure!(found == wanted, "{}: {found} labels for {wanted} axes", context());
            for (name, label) in names.iter().zip(labels) {
                step.axis(name)?.choice(label).with_context(context)?;
            }
            let (found, wanted) = (numbers.len(), spec.values.len());
            ensure!(found == wanted, "{}: {found} numbers for {wanted} values", context());
        }
        let labels =
            |choices: &[Choice]| choices.iter().map(|c| c.label.clone()).collect::<Vec<_>>();
        let columns = across.iter().flat_map(|choices| {
            spec.values.iter().map(|value| (labels(choices), value.name.clone()))
        });
        let query = |value: &'s ValueSpec| {
            let query = Query::new(step, pairs(&spec.common).chain(pairs(&value.query)));
            query.with_context(|| format!("value `{}`", value.name))
        };
        let queries = spec.values.iter().map(query).collect::<Result<Vec<_>>>()?;
        let mut lines = vec![];
        for row in &down {
            let mut numbers = vec![];
            for column in &across {
                let choices = [&row[..], column].concat();
                let printed = spec.published.get(&labels(&choices).join(","));
                let chosen = named(names.iter().copied(), &choices);
                for (i, (value, query)) in spec.values.iter().zip(&queries).enumerate() {
                    let ours = results.number(query, &chosen);
                    let ours = ours.with_context(|| format!("value `{}`", value.name))?;
                    numbers.push(Numbers { ours, printed: printed.map(|printed| printed[i]) });
                }
            }
            lines.push((labels(row), numbers));
        }
        let (title, rows) = (spec.title.clone(), spec.rows.clone());
        Ok(Table { title, rows, columns: columns.collect(), lines })
    }
}
