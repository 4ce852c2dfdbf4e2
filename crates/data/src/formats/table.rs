//! Tables, `csv:` and `arff:`: a row is an image of as many channels as there are columns of numbers
//! and of one pixel, [D, 1, 1]. Columns are scaled to mean 0 and variance 1 in the rows for
//! training; for a network that knows its columns they are found by name and scaled as its own were.

mod arff;
mod cells;
mod columns;
mod csv;
mod label;
mod rows;
mod selection;
mod text;

use crate::{Dataset, Features, Loader, Options};
use anyhow::{Context, Result, ensure};
pub(crate) use rows::rows_of;
pub(crate) use selection::Selection;
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

/// What a file of a table is.
#[derive(Clone, Copy)]
pub(crate) enum Format {
    /// Weka's, with declared columns.
    Arff,
    /// Lines of cells, names first.
    Csv,
}

/// The loader of tables.
pub(crate) struct TableFile {
    format: Format,
    selection: Selection,
}

impl TableFile {
    /// Errors: an option is unknown or does not fit the others.
    pub fn new(format: Format, options: toml::Table) -> Result<Self> {
        Ok(TableFile { format, selection: Selection::new(options)? })
    }
}

impl Loader for TableFile {
    fn load(&self, path: &Path, options: &Options) -> Result<Dataset> {
        let kind = match self.format {
            Format::Arff => "arff",
            Format::Csv => "csv",
        };
        let told = || format!("`{}`", path.display());
        ensure!(path.is_file(), "{} is a folder; `{kind}:` reads one file", told());
        let bytes = crate::read::maybe_gz(path)?;
        let table = match self.format {
            Format::Arff => arff::parse(&bytes),
            Format::Csv => csv::parse(&bytes),
        };
        let table = table.with_context(told)?;
        let file = path.file_name().unwrap_or_default().to_string_lossy();
        let mut set = table
            .dataset(&format!("{kind}:{file}"), &self.selection, options)
            .with_context(told)?;
        set.notes.iter_mut().for_each(|note| *note = format!("`{file}`: {note}"));
        Ok(set)
    }
}

impl Table {
    fn dataset(&self, name: &str, selection: &Selection, options: &Options) -> Result<Dataset> {
        let mut notes = self.notes.clone();
        let trained = options.features.as_ref();
        let (n, least) = (self.rows.len(), if trained.is_some() { 1 } else { 2 });
        let rows = count(n, "row");
        ensure!(n >= least, "it has {rows}; training and testing need at least 2");
        let label = self.label(options, &mut notes)?;
        let (classes, labels) = self.classes(label, trained.is_some(), &mut notes)?;
        let columns = match trained {
            Some(trained) => {
                self.those_of(trained, label, selection.columns.as_ref(), &mut notes)?
            }
            None => self.numbers(label, selection.columns.as_ref(), &mut notes)?,
        };
        self.told_infinite(&columns, &mut notes);
        self.told_missing(&columns, &mut notes);
        let print = self.fingerprint(&columns);
        let part = self.part(selection, options, &print, &mut notes)?;
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
