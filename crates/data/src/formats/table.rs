//! Tables, `csv:` and `arff:`: a row is an image of as many channels as there are columns of numbers
//! and of one pixel, [D, 1, 1]. Columns are scaled to mean 0 and variance 1 in the rows for
//! training; for a network that knows its columns they are found by name and scaled as its own were.

mod arff;
mod cells;
mod columns;
mod csv;
mod label;
mod rows;
mod text;

use crate::{Dataset, Features, Options};
use anyhow::{Context, Result, bail, ensure};
pub(crate) use rows::rows_of;
use std::path::Path;
use tch::{Kind, Tensor};
use tensorfile::words::count;

/// A table as a file writes it. Every row has as many cells as there are columns.
struct Table {
    columns: Vec<Column>,
    rows: Vec<Row>,
    /// What the user should know of how it was read.
    notes: Vec<String>,
}

struct Row {
    /// The line it begins at.
    line: u64,
    cells: Vec<String>,
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
    split: Option<u64>,
    /// Whether all rows are taken; none: where the table is another one than a network knows.
    all_rows: Option<bool>,
}

#[derive(Debug, PartialEq)]
enum Choice {
    /// All that hold numbers.
    Numbers,
    /// Those of them that lack none.
    Complete,
    Named(Vec<String>),
}

/// Reads `rest`, a path and perhaps settings, as the kind `csv` or `arff`.
pub(crate) fn load(kind: &str, rest: &str, options: &Options) -> Result<Dataset> {
    let (path, settings) = Settings::parse(kind, rest)?;
    let path = Path::new(path);
    let hint = match rest.contains('=') {
        true => "; settings behind a path are columns, rows and split",
        false => "",
    };
    ensure!(path.exists(), "no such file or folder: `{}`{hint}", path.display());
    let told = || format!("`{}`", path.display());
    ensure!(path.is_file(), "{} is a folder; `{kind}:` reads one file", told());
    let bytes = crate::read::maybe_gz(path)?;
    let table = if kind == "arff" { arff::parse(&bytes) } else { csv::parse(&bytes) };
    let table = table.with_context(told)?;
    let file = path.file_name().unwrap_or_default().to_string_lossy();
    let mut set =
        table.dataset(&format!("{kind}:{file}"), &settings, options).with_context(told)?;
    set.notes.iter_mut().for_each(|note| *note = format!("`{file}`: {note}"));
    Ok(set)
}

impl Settings {
    fn parse<'a>(kind: &str, rest: &'a str) -> Result<(&'a str, Self)> {
        let mut settings = Settings { columns: Choice::Numbers, split: None, all_rows: None };
        let starts = |key: &str| rest.find(&format!(",{key}="));
        let end = ["columns", "rows", "split"].into_iter().filter_map(starts).min();
        let (path, given) = rest.split_at(end.unwrap_or(rest.len()));
        for part in given.split(',').filter(|part| !part.is_empty()) {
            let known = format!(
                "known: columns, rows, split, as in `{kind}:PATH,columns=complete,split=0` or \
                 `{kind}:PATH,rows=all`"
            );
            match part.split_once('=') {
                Some(("split", seed)) => {
                    let told = || format!("`{part}` is not a whole number from 0 on");
                    settings.split = Some(seed.trim().parse().with_context(told)?);
                }
                Some(("rows", "all")) => settings.all_rows = Some(true),
                Some(("rows", "split")) => settings.all_rows = Some(false),
                Some(("rows", _)) => bail!("`{part}` is neither `rows=all` nor `rows=split`"),
                Some(("columns", "complete")) => settings.columns = Choice::Complete,
                Some(("columns", names)) => {
                    let names = names.split('+').map(|name| name.trim().to_owned()).collect();
                    settings.columns = Choice::Named(names);
                }
                _ => bail!("`{kind}` has no setting `{part}`; {known}"),
            }
        }
        let both = settings.all_rows == Some(true) && settings.split.is_some();
        ensure!(!both, "`rows=all` and `split=` do not fit each other: all rows, or a fifth");
        Ok((path, settings))
    }
}

impl Table {
    fn dataset(&self, name: &str, settings: &Settings, options: &Options) -> Result<Dataset> {
        let mut notes = self.notes.clone();
        let trained = options.features.as_ref();
        let (n, least) = (self.rows.len(), if trained.is_some() { 1 } else { 2 });
        let rows = count(n, "row");
        ensure!(n >= least, "it has {rows}; training and testing need at least 2");
        let label = self.label(options, &mut notes)?;
        let (classes, labels) = self.classes(label, trained.is_some(), &mut notes)?;
        let columns = match trained {
            Some(trained) => self.those_of(trained, label, &settings.columns, &mut notes)?,
            None => self.numbers(label, &settings.columns, &mut notes)?,
        };
        self.told_infinite(&columns, &mut notes);
        self.told_missing(&columns, &mut notes);
        let print = self.fingerprint(&columns);
        let part = self.part(settings, options, &print, &mut notes)?;
        let scales: Vec<(f64, f64)> = match trained.filter(|trained| !trained.mean.is_empty()) {
            Some(trained) => {
                trained.mean.iter().copied().zip(trained.std.iter().copied()).collect()
            }
            None => {
                columns.iter().map(|&c| self.scale(c, &part.training)).collect::<Result<_>>()?
            }
        };
        let plane = |(&c, &scale): (&usize, &(f64, f64))| {
            Tensor::from_slice(&self.scaled(c, scale, &part.rows)).to_kind(Kind::Float)
        };
        let planes: Vec<Tensor> = columns.iter().zip(&scales).map(plane).collect();
        let images = Tensor::stack(&planes, 1).view([part.rows.len() as i64, -1, 1, 1]);
        let labels: Vec<i64> = part.rows.iter().map(|&row| labels[row]).collect();
        let is_rest = |c: &usize| *c != label && !columns.contains(c);
        let names = |c: usize| self.columns[c].name.clone();
        let (mean, std) = scales.into_iter().unzip();
        let found = || columns.iter().map(|&c| names(c)).collect();
        let features = Features {
            names: trained.map_or_else(found, |trained| trained.names.clone()),
            dropped: (0..self.columns.len()).filter(is_rest).map(names).collect(),
            label: Some(names(label)),
            mean,
            std,
            table: Some((print, part.setting.clone())),
        };
        let (name, labels) = (format!("{name},{}", part.setting), Tensor::from_slice(&labels));
        let set = Dataset::new(name, images, labels, classes);
        Ok(Dataset { features: Some(features), whole: part.whole, notes, ..set })
    }

    /// The place of the label: of the column that is asked for, that the network was trained with, or
    /// else of the last.
    fn label(&self, options: &Options, notes: &mut Vec<String>) -> Result<usize> {
        if let Some(name) = &options.label_column {
            return self.place(name).with_context(|| format!("`--label-column {name}`"));
        }
        let last = self.columns.len() - 1;
        let Some(trained) = &options.features else { return Ok(last) };
        let Some(name) = &trained.label else { return Ok(last) };
        let names: Vec<String> = self.columns.iter().map(|column| column.name.clone()).collect();
        if let Some(place) = crate::names::find(&names, name).place() {
            return Ok(place);
        }
        ensure!(
            crate::names::find(&trained.names, &names[last]).place().is_none(),
            "no column `{name}`, which held the class in training; name the one that does with \
             `--label-column` (there are {}: {})",
            names.len(),
            crate::names::few(&names)
        );
        notes.push(format!("the class is taken from `{}`, as no column is `{name}`", names[last]));
        Ok(last)
    }

    fn cells(&self, column: usize) -> impl Iterator<Item = (u64, &str)> + Clone {
        self.rows.iter().map(move |row| (row.line, row.cells[column].as_str()))
    }
}
