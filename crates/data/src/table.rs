//! Tables, `csv:` and `arff:`: a row is an image of as many channels as there are columns of numbers
//! and of one pixel, [D, 1, 1]. Columns are scaled to mean 0 and variance 1.

mod arff;
mod csv;

use crate::{Dataset, Options, Split, dataset::Features, keyed};
use anyhow::{Context, Result, bail, ensure};
use rand::seq::SliceRandom;
use std::path::Path;
use tch::{Kind, Tensor};

/// A label with more values than this is a number to be predicted, not a class.
const MOST_CLASSES: usize = 1000;

/// A table as a file writes it. Every row has as many cells as there are columns.
struct Table {
    columns: Vec<Column>,
    /// Cells, and the line each row begins at.
    rows: Vec<(u64, Vec<String>)>,
}

struct Column {
    name: String,
    kind: Kinds,
}

/// What a file declares of a column.
#[derive(Debug, PartialEq)]
enum Kinds {
    /// Nothing: its cells say.
    Any,
    /// These words, in this order.
    Words(Vec<String>),
    /// No numbers.
    Text,
}

/// What follows the path: `PATH,columns=complete,split=0`.
#[derive(Debug, PartialEq)]
struct Settings {
    columns: Choice,
    /// Seeds which rows are for training.
    split: u64,
}

#[derive(Debug, PartialEq)]
enum Choice {
    /// All that hold numbers.
    Numbers,
    /// Those of them that lack none.
    Complete,
    Named(Vec<String>),
}

/// Whether a cell holds nothing.
fn is_missing(cell: &str) -> bool {
    matches!(cell, "" | "?" | "NA" | "N/A" | "NaN" | "nan" | "null")
}

/// A finite number; `told` names the cell.
fn number(cell: &str) -> Option<f64> {
    cell.parse().ok().filter(|value: &f64| value.is_finite())
}

/// Reads `rest`, a path and perhaps settings, as the kind `csv` or `arff`.
pub(crate) fn load(kind: &str, rest: &str, options: &Options) -> Result<Dataset> {
    let (path, settings) = Settings::parse(kind, rest)?;
    let path = Path::new(path);
    let hint =
        if rest.contains('=') { "; settings behind a path are columns and split" } else { "" };
    ensure!(path.exists(), "no such file or folder: `{}`{hint}", path.display());
    let told = || format!("`{}`", path.display());
    ensure!(path.is_file(), "{} is a folder; `{kind}:` reads one file", told());
    let bytes = crate::read::maybe_gz(path)?;
    let table = if kind == "arff" { arff::parse(&bytes) } else { csv::parse(&bytes) };
    let table = table.with_context(told)?;
    let file = path.file_name().unwrap_or_default().to_string_lossy();
    table.dataset(&format!("{kind}:{file}"), &settings, options).with_context(told)
}

impl Settings {
    fn parse<'a>(kind: &str, rest: &'a str) -> Result<(&'a str, Self)> {
        let mut settings = Settings { columns: Choice::Numbers, split: 0 };
        let starts = |key: &str| rest.find(&format!(",{key}="));
        let end = ["columns", "split"].into_iter().filter_map(starts).min();
        let (path, given) = rest.split_at(end.unwrap_or(rest.len()));
        for part in given.split(',').filter(|part| !part.is_empty()) {
            let known =
                format!("known: columns, split, as in `{kind}:PATH,columns=complete,split=0`");
            match part.split_once('=') {
                Some(("split", seed)) => {
                    let told = || format!("`{part}` is not a whole number from 0 on");
                    settings.split = seed.trim().parse().with_context(told)?;
                }
                Some(("columns", "complete")) => settings.columns = Choice::Complete,
                Some(("columns", names)) => {
                    let names = names.split('+').map(|name| name.trim().to_owned()).collect();
                    settings.columns = Choice::Named(names);
                }
                _ => bail!("`{kind}` has no setting `{part}`; {known}"),
            }
        }
        Ok((path, settings))
    }
}

/// Which rows a split has: a fifth, drawn by `seed`, is for testing.
pub(crate) fn rows_of(split: Split, n: usize, seed: u64) -> Vec<usize> {
    let mut order: Vec<usize> = (0..n).collect();
    order.shuffle(&mut keyed::generator(keyed::Purpose::Split, [seed, n as u64, 0]));
    let test = (n / 5).max(1);
    if split == Split::Train { order.split_off(test) } else { order[..test].to_vec() }
}

impl Table {
    fn dataset(&self, name: &str, settings: &Settings, options: &Options) -> Result<Dataset> {
        let n = self.rows.len();
        ensure!(n >= 2, "it has {n} rows; training and testing need at least 2");
        let label = self.label(options.label_column.as_deref())?;
        let (classes, labels) = self.classes(label)?;
        let (columns, dropped) = self.numbers(label, &settings.columns)?;
        let train = rows_of(Split::Train, n, settings.split);
        let rows = rows_of(options.split, n, settings.split);
        let planes: Result<Vec<Tensor>> =
            columns.iter().map(|&c| self.scaled(c, &train, &rows)).collect();
        let images = Tensor::stack(&planes?, 1).view([rows.len() as i64, -1, 1, 1]);
        let labels: Vec<i64> = rows.iter().map(|&row| labels[row]).collect();
        let names =
            |columns: &[usize]| columns.iter().map(|&c| self.columns[c].name.clone()).collect();
        let (name, labels) =
            (format!("{name},split={}", settings.split), Tensor::from_slice(&labels));
        let features = Some(Features { names: names(&columns), dropped: names(&dropped) });
        Ok(Dataset { features, ..Dataset::new(name, images, labels, classes) })
    }

    /// The place of the label: of the column with this name, the last where none is given.
    fn label(&self, name: Option<&str>) -> Result<usize> {
        name.map_or(Ok(self.columns.len() - 1), |name| {
            self.place(name).with_context(|| format!("`--label-column {name}`"))
        })
    }

    fn place(&self, name: &str) -> Result<usize> {
        let names = || self.columns.iter().map(|c| c.name.as_str()).collect::<Vec<_>>().join(", ");
        let found = self.columns.iter().position(|column| column.name == name);
        found.with_context(|| format!("no column `{name}`; columns: {}", names()))
    }

    fn cells(&self, column: usize) -> impl Iterator<Item = (u64, &str)> {
        self.rows.iter().map(move |(line, cells)| (*line, cells[column].as_str()))
    }

    /// The names of the classes, as declared or sorted (by value, if they are numbers), and that of
    /// each row.
    fn classes(&self, label: usize) -> Result<(Vec<String>, Vec<i64>)> {
        let Column { name, kind } = &self.columns[label];
        if let Some((line, _)) = self.cells(label).find(|(_, cell)| is_missing(cell)) {
            bail!("line {line}: no value in the label column `{name}`");
        }
        let classes = match kind {
            Kinds::Words(words) => words.clone(),
            _ => {
                let mut found: Vec<&str> = self.cells(label).map(|(_, cell)| cell).collect();
                let value = |cell: &&str| number(cell).unwrap_or(f64::INFINITY);
                found.sort_by(|a, b| value(a).total_cmp(&value(b)).then(a.cmp(b)));
                found.dedup();
                found.into_iter().map(str::to_owned).collect()
            }
        };
        let (count, hint) = (classes.len(), "name another with `--label-column`");
        ensure!(count >= 2, "the label column `{name}` has one value alone; {hint}");
        ensure!(
            count <= MOST_CLASSES,
            "the label column `{name}` has {count} values, more than {MOST_CLASSES}; {hint}"
        );
        let class = |(line, cell): (u64, &str)| {
            let place = classes.iter().position(|class| class == cell);
            let told = || format!("line {line}: `{cell}` is not a value of the label `{name}`");
            Ok(place.with_context(told)? as i64)
        };
        let labels: Result<Vec<i64>> = self.cells(label).map(class).collect();
        Ok((classes, labels?))
    }

    /// The columns that are used and those that are not.
    fn numbers(&self, label: usize, choice: &Choice) -> Result<(Vec<usize>, Vec<usize>)> {
        let has_missing = |c: usize| self.cells(c).any(|(_, cell)| is_missing(cell));
        let is_used = |c: usize| self.not_a_number(c).is_none();
        let used: Vec<usize> = match choice {
            Choice::Named(names) => {
                let place = |name: &String| {
                    let c = self.place(name)?;
                    ensure!(c != label, "the column `{name}` is the label");
                    match self.not_a_number(c) {
                        Some(why) => bail!("the column `{name}` holds no numbers: {why}"),
                        None => Ok(c),
                    }
                };
                names.iter().map(place).collect::<Result<_>>()?
            }
            choice => (0..self.columns.len())
                .filter(|&c| c != label && is_used(c))
                .filter(|&c| *choice == Choice::Numbers || !has_missing(c))
                .collect(),
        };
        ensure!(!used.is_empty(), "no column besides the label holds numbers");
        let rest = (0..self.columns.len()).filter(|c| *c != label && !used.contains(c)).collect();
        Ok((used, rest))
    }

    /// Why a column is not one of numbers; none if it is.
    fn not_a_number(&self, column: usize) -> Option<String> {
        if self.columns[column].kind != Kinds::Any {
            return Some("it is declared as words".into());
        }
        let mut present = self.cells(column).filter(|(_, cell)| !is_missing(cell)).peekable();
        if present.peek().is_none() {
            return Some("it is empty".into());
        }
        let word = present.find(|(_, cell)| number(cell).is_none());
        word.map(|(line, cell)| format!("line {line} has `{cell}`"))
    }

    /// Rows of a column in units of its standard deviation in the rows `train`, from their mean; that
    /// mean where a value is missing. f32 `[N]`.
    fn scaled(&self, column: usize, train: &[usize], rows: &[usize]) -> Result<Tensor> {
        let value = |row: &usize| number(&self.rows[*row].1[column]);
        let known: Vec<f64> = train.iter().filter_map(value).collect();
        let name = &self.columns[column].name;
        ensure!(!known.is_empty(), "the column `{name}` is empty in all rows for training");
        let mean = known.iter().sum::<f64>() / known.len() as f64;
        let variance = known.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / known.len() as f64;
        // A column of one value alone becomes 0.
        let std = if variance > 0. { variance.sqrt() } else { 1. };
        let of = |row: &usize| value(row).map_or(0., |v| (v - mean) / std);
        Ok(Tensor::from_slice(&rows.iter().map(of).collect::<Vec<_>>()).to_kind(Kind::Float))
    }
}
