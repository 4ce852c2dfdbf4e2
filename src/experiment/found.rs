//! Numbers of finished cells: what tables, figures and claims ask for.
//!
//! A path is that of a JSON pointer, `/auc/k-in`; a part `[key=value]` picks the member of a list whose
//! `key` is `value`, and `${AXIS}` stands for what was chosen.

use super::grid::{Axis, Block, Choice, Experiment, combinations, filled};
use anyhow::{Context, Result, anyhow, bail, ensure};
use serde_json::Value;
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

/// The results of a run, as far as there are any.
pub struct Results<'a> {
    pub experiment: &'a Experiment,
    pub run: &'a Path,
    /// By block and cell.
    cells: BTreeMap<(usize, String), Value>,
}

/// One choice of every axis of a block, or of all but some.
pub type Point = BTreeMap<String, Choice>;

impl<'a> Results<'a> {
    /// Reads what is there. Errors: a file that is no result.
    pub fn read(experiment: &'a Experiment, run: &'a Path) -> Result<Self> {
        let mut cells = BTreeMap::new();
        for cell in &experiment.cells {
            let path = cell.file(experiment, run);
            if path.exists() {
                let told = || format!("`{}` is no result", path.display());
                let read: Value =
                    serde_json::from_slice(&std::fs::read(&path)?).with_context(told)?;
                cells.insert((cell.block, cell.id.clone()), read["result"].clone());
            }
        }
        Ok(Results { experiment, run, cells })
    }

    /// How many cells are there, and how many there will be.
    pub fn done(&self) -> (usize, usize) {
        (self.cells.len(), self.experiment.cells.len())
    }

    /// The combinations of the axes called `names`, in this order.
    pub fn combinations(&self, block: &Block, names: &[String]) -> Result<Vec<Vec<Choice>>> {
        let axes = names.iter().map(|name| axis(block, name)).collect::<Result<Vec<_>>>()?;
        Ok(combinations(axes.into_iter()))
    }

    /// A point from the choices of `names`, and the only or the wanted choice of every other axis.
    pub fn point(
        &self,
        block: &Block,
        names: &[&str],
        choices: &[Choice],
        only: &BTreeMap<String, String>,
    ) -> Result<Point> {
        let mut point: Point =
            names.iter().map(|&name| name.to_owned()).zip(choices.iter().cloned()).collect();
        for axis in &block.axes {
            if point.contains_key(&axis.name) {
                continue;
            }
            let choice = match only.get(&axis.name) {
                Some(label) => labelled(axis, label)?,
                // A path that asks for it is told that nothing has this name.
                None if axis.within && axis.choices.len() > 1 => continue,
                None => {
                    ensure!(
                        axis.choices.len() == 1,
                        "which `{}`? Name the axis, or one of its choices in `where`",
                        axis.name
                    );
                    &axis.choices[0]
                }
            };
            point.insert(axis.name.clone(), choice.clone());
        }
        Ok(point)
    }

    /// Where the files of a point's cell are.
    pub fn folder(&self, block: &Block, point: &Point) -> Option<PathBuf> {
        let cell = self.cell(block, point)?;
        Some(self.run.join("cells").join(&block.name).join(&cell.1))
    }

    fn cell(&self, block: &Block, point: &Point) -> Option<(usize, String)> {
        let of = |axis: &Axis| point.get(&axis.name).cloned();
        let chosen: Option<Vec<Choice>> =
            block.axes.iter().filter(|axis| !axis.within).map(of).collect();
        let chosen = chosen?;
        let number = self.experiment.blocks.iter().position(|b| b.name == block.name)?;
        let cell = self
            .experiment
            .cells
            .iter()
            .find(|cell| cell.block == number && cell.choices == chosen)?;
        Some((number, cell.id.clone()))
    }

    /// What stands at `path` of a point; none where its cell is not there. Errors: its cell is there and
    /// has no such path.
    fn value(&self, block: &Block, point: &Point, path: &str) -> Result<Option<&Value>> {
        let Some(result) = self.cell(block, point).and_then(|key| self.cells.get(&key)) else {
            return Ok(None);
        };
        let chosen = |(axis, choice): (&String, &Choice)| (axis.clone(), choice.value.clone());
        at(result, &filled(path, &[&point.iter().map(chosen).collect()])?).map(Some)
    }

    /// The number there; NaN where it is undefined, `null`. Errors: something else there.
    pub fn number(&self, block: &Block, point: &Point, path: &str) -> Result<Option<f64>> {
        let number = |value: &Value| match value {
            Value::Bool(flag) => Some(f64::from(u8::from(*flag))),
            Value::Null => Some(f64::NAN),
            other => other.as_f64(),
        };
        let value = self.value(block, point, path)?;
        let told = |value: &Value| format!("`{path}` is {value}, not a number");
        value.map(|value| number(value).with_context(|| told(value))).transpose()
    }

    /// The five numbers there: least, quartiles, largest; none where they are undefined. Errors:
    /// something else there.
    pub fn five(&self, block: &Block, point: &Point, path: &str) -> Result<Option<[f64; 5]>> {
        let five = |value: &Value| -> Option<[f64; 5]> {
            let list = value.as_array()?.iter().map(Value::as_f64).collect::<Option<Vec<_>>>()?;
            list.try_into().ok()
        };
        let value = self.value(block, point, path)?.filter(|value| !value.is_null());
        let told = |value: &Value| format!("`{path}` is {value}, not five numbers");
        value.map(|value| five(value).with_context(|| told(value))).transpose()
    }
}

/// The axis of `block` called `name`.
pub fn axis<'a>(block: &'a Block, name: &str) -> Result<&'a Axis> {
    let known: Vec<&str> = block.axes.iter().map(|axis| axis.name.as_str()).collect();
    block.axes.iter().find(|axis| axis.name == name).with_context(|| {
        format!("step `{}` has no axis `{name}`; it has {}", block.name, known.join(", "))
    })
}

/// The choice of `axis` called `label`; none where only other scales have it.
pub fn known<'a>(axis: &'a Axis, label: &str) -> Result<Option<&'a Choice>> {
    let found = axis.choices.iter().find(|choice| choice.label == label);
    let labels: Vec<&str> = axis.choices.iter().map(|choice| choice.label.as_str()).collect();
    ensure!(
        found.is_some() || axis.elsewhere.contains(label),
        "axis `{}` has no choice `{label}`; it has {}",
        axis.name,
        labels.join(", ")
    );
    Ok(found)
}

/// The same where there has to be one.
fn labelled<'a>(axis: &'a Axis, label: &str) -> Result<&'a Choice> {
    let told = || format!("axis `{}` has `{label}` at other scales only", axis.name);
    known(axis, label)?.with_context(told)
}

/// What stands at `path` of `value`.
fn at<'v>(value: &'v Value, path: &str) -> Result<&'v Value> {
    let Some(path) = path.strip_prefix('/') else { bail!("path `{path}` does not begin with /") };
    let mut found = value;
    let mut rest = path;
    while !rest.is_empty() {
        let (part, behind) = match rest.strip_prefix('[') {
            Some(_) => rest.split_once(']').map(|(part, behind)| (&part[1..], behind)),
            None => Some(rest.split_once('/').map_or((rest, ""), |(part, behind)| (part, behind))),
        }
        .with_context(|| format!("`[` without `]` in path `{path}`"))?;
        let picked = match rest.starts_with('[') {
            true => member(found, part),
            false => match found {
                Value::Array(list) => part.parse().ok().and_then(|i: usize| list.get(i)),
                other => other.get(part),
            },
        };
        found = picked.ok_or_else(|| anyhow!("no `{part}` of path `{path}` in {}", keys(found)))?;
        rest = behind.strip_prefix('/').unwrap_or(behind);
    }
    Ok(found)
}

fn member<'v>(list: &'v Value, part: &str) -> Option<&'v Value> {
    let (key, wanted) = part.split_once('=')?;
    let is = |value: &Value| match &value[key] {
        Value::String(text) => text == wanted,
        Value::Number(number) => wanted == number.to_string(),
        _ => false,
    };
    list.as_array()?.iter().find(|value| is(value))
}

fn keys(value: &Value) -> String {
    match value {
        Value::Object(map) => map.keys().cloned().collect::<Vec<_>>().join(", "),
        Value::Array(list) => format!("a list of {}", list.len()),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn paths_lead_to_numbers() {
        let result =
            json!({ "auc": { "k-in": 0.5 }, "eps": [{ "label": "8/255", "x": 2 }], "of": [3, 4] });
        let number = |path: &str| at(&result, path).map(|value| value.as_f64().unwrap());
        assert_eq!(number("/auc/k-in").unwrap(), 0.5);
        assert_eq!(number("/eps/[label=8/255]/x").unwrap(), 2.);
        assert_eq!(number("/eps/[x=2]/x").unwrap(), 2.);
        assert_eq!(number("/of/1").unwrap(), 4.);
        for (path, told) in [
            ("auc", "begin with /"),
            ("/auc/cor", "no `cor`"),
            ("/eps/[label=4/255]/x", "no `label=4/255`"),
            ("/eps/[label", "without `]`"),
            ("/of/2", "a list of 2"),
        ] {
            let error = number(path).unwrap_err().to_string();
            assert!(error.contains(told), "{path}: {error}");
        }
    }
}
