//! Tables in the form of the paper's, its printed numbers beside ours.

use super::{
    file::TableSpec,
    found::{Results, axis, known},
    grid::Choice,
};
use anyhow::{Context, Result, ensure};

/// A table, ready to be written in any form.
#[derive(Debug)]
pub struct Table {
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
    pub ours: Option<f64>,
    pub printed: Option<f64>,
}

impl Table {
    /// Errors: names that nothing has, numbers that do not fit.
    pub fn new(results: &Results, spec: &TableSpec) -> Result<Self> {
        let told = || format!("no step is called `{}`", spec.step);
        let block = results.experiment.block(&spec.step).with_context(told)?;
        let down = results.combinations(block, &spec.rows)?;
        let across = results.combinations(block, &spec.columns)?;
        let names: Vec<&str> = spec.rows.iter().chain(&spec.columns).map(String::as_str).collect();
        for (at, numbers) in &spec.published {
            let told = || format!("`published.\"{at}\"`");
            let labels: Vec<&str> = at.split(',').collect();
            let (found, wanted) = (labels.len(), names.len());
            ensure!(found == wanted, "{}: {found} labels for {wanted} axes", told());
            for (name, label) in names.iter().zip(labels) {
                known(axis(block, name)?, label).with_context(told)?;
            }
            let (found, wanted) = (numbers.len(), spec.values.len());
            ensure!(found == wanted, "{}: {found} numbers for {wanted} values", told());
        }
        let labels =
            |choices: &[Choice]| choices.iter().map(|c| c.label.clone()).collect::<Vec<_>>();
        let columns = across.iter().flat_map(|choices| {
            spec.values.iter().map(|value| (labels(choices), value.name.clone()))
        });
        let mut lines = vec![];
        for row in &down {
            let mut numbers = vec![];
            for column in &across {
                let choices = [&row[..], column].concat();
                let printed = spec.published.get(&labels(&choices).join(","));
                let point = results.point(block, &names, &choices, &spec.only)?;
                for (i, value) in spec.values.iter().enumerate() {
                    let ours = results.number(block, &point, &value.path);
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
