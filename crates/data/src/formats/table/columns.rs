//! The columns of numbers of a table, and their scale.

use super::{
    Kinds, Table,
    cells::{is_infinite, is_missing, looks_like_a_number, number},
    selection::Columns,
};
use crate::{Features, names};
use anyhow::{Context, Result, bail, ensure};

impl Table {
    /// The columns that are used and those that are not.
    pub(super) fn numbers(
        &self,
        label: usize,
        choice: Option<&Columns>,
        notes: &mut Vec<String>,
    ) -> Result<Vec<usize>> {
        let has_missing = |c: usize| self.cells(c).any(|(_, cell)| is_missing(cell));
        if let Some(Columns::Named(names)) = choice {
            return names.iter().map(|name| self.named(name, label)).collect();
        }
        let others = (0..self.columns.len()).filter(|&c| c != label);
        let (used, odd): (Vec<usize>, Vec<usize>) =
            others.partition(|&c| self.not_a_number(c).is_none());
        let complete = choice == Some(&Columns::Complete);
        let used: Vec<usize> = used.into_iter().filter(|&c| !complete || !has_missing(c)).collect();
        ensure!(!used.is_empty(), "no column besides the label holds numbers{}", self.why(&odd));
        odd.iter().for_each(|&c| notes.extend(self.nearly_numbers(c)));
        Ok(used)
    }

    /// A column of numbers by its name.
    fn named(&self, name: &str, label: usize) -> Result<usize> {
        let c = self.place(name)?;
        ensure!(c != label, "the column `{name}` is the label");
        match self.not_a_number(c) {
            Some(why) => bail!("the column `{name}` holds no numbers: {why}"),
            None => Ok(c),
        }
    }

    /// The columns that a network takes, in its order.
    pub(super) fn those_of(
        &self,
        trained: &Features,
        label: usize,
        choice: Option<&Columns>,
        notes: &mut Vec<String>,
    ) -> Result<Vec<usize>> {
        let others: Vec<usize> = (0..self.columns.len()).filter(|&c| c != label).collect();
        let found: Vec<String> = others.iter().map(|&c| self.columns[c].name.clone()).collect();
        if let Some(Columns::Named(names)) = choice {
            let missing =
                trained.names.iter().find(|name| names::find(names, name).place().is_none());
            if let Some(missing) = missing {
                bail!(
                    "`columns=` leaves out `{missing}`; the network takes {}: {}",
                    trained.names.len(),
                    names::few(&trained.names)
                );
            }
        }
        let places = trained.places(&found, notes)?;
        let left_out = (0..found.len()).filter(|place| !places.contains(place));
        let left_out = left_out.filter(|&p| self.is_missed(others[p], trained, choice));
        let left_out: Vec<&String> = left_out.map(|place| &found[place]).collect();
        if !left_out.is_empty() {
            notes.push(format!(
                "columns that the network was not trained on are left out: {}",
                names::few(left_out)
            ));
        }
        let used: Vec<usize> = places.into_iter().map(|place| others[place]).collect();
        for &c in &used {
            let empty = self.cells(c).all(|(_, cell)| is_missing(cell));
            if let Some(why) = self.not_a_number(c).filter(|_| !empty) {
                bail!("the network takes `{}` as numbers: {why}", self.columns[c].name)
            }
        }
        Ok(used)
    }

    /// Whether who knows what the network takes may miss this column: it holds numbers, or nearly, is
    /// among those that were asked for, and was not left out of the part for training, where that was
    /// said.
    fn is_missed(&self, column: usize, trained: &Features, choice: Option<&Columns>) -> bool {
        let name = &self.columns[column].name;
        let asked = match choice {
            Some(Columns::Named(names)) => names.contains(name),
            _ => true,
        };
        let numbers = self.not_a_number(column).is_none() || self.nearly_numbers(column).is_some();
        asked && numbers && !trained.dropped.contains(name)
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

    /// What is said of a column that is left out though most of its cells are numbers to people.
    fn nearly_numbers(&self, column: usize) -> Option<String> {
        let why = self.not_a_number(column).filter(|_| self.columns[column].kind == Kinds::Any)?;
        let present = || self.cells(column).filter(|(_, cell)| !is_missing(cell));
        let (all, alike) =
            (present().count(), present().filter(|(_, cell)| looks_like_a_number(cell)).count());
        let name = &self.columns[column].name;
        (2 * alike >= all).then(|| {
            let numbers = present().filter(|(_, cell)| number(cell).is_some()).count();
            format!("the column `{name}` is left out: {why} ({numbers} of {all} cells are numbers)")
        })
    }

    fn why(&self, columns: &[usize]) -> String {
        let first = columns.iter().find_map(|&c| self.nearly_numbers(c));
        first.map_or(String::new(), |why| format!("; {why}"))
    }

    /// Mean and deviation of a column in the rows `train`. Errors: no value there, or too large ones.
    pub(super) fn scale(&self, column: usize, train: &[usize]) -> Result<(f64, f64)> {
        let value = |row: &usize| number(&self.rows[*row].cells[column]);
        let known: Vec<f64> = train.iter().filter_map(value).collect();
        let name = &self.columns[column].name;
        ensure!(!known.is_empty(), "the column `{name}` is empty in all rows for training");
        let mean = known.iter().sum::<f64>() / known.len() as f64;
        let variance = known.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / known.len() as f64;
        ensure!(variance.is_finite(), "the numbers of the column `{name}` are too large to square");
        // A column of one value alone becomes 0.
        Ok((mean, if variance > 0. { variance.sqrt() } else { 1. }))
    }

    /// Rows of a column from its mean, in units of its deviation; that mean where a value is
    /// missing.
    pub(super) fn scaled(
        &self,
        column: usize,
        (mean, std): (f64, f64),
        rows: &[usize],
    ) -> Vec<f64> {
        let value = |row: &usize| number(&self.rows[*row].cells[column]);
        rows.iter().map(|row| value(row).map_or(0., |v| (v - mean) / std)).collect()
    }

    /// What is said of infinite numbers in columns that are used.
    pub(super) fn told_infinite(&self, columns: &[usize], notes: &mut Vec<String>) {
        for &c in columns {
            let mut infinite = self.cells(c).filter(|(_, cell)| is_infinite(cell));
            if let Some((line, cell)) = infinite.next() {
                notes.push(format!(
                    "infinite numbers in the column `{}` count as missing: {}, such as `{cell}` in line \
                     {line}",
                    self.columns[c].name,
                    1 + infinite.count()
                ));
            }
        }
    }

    /// What is said of columns that are used and lack values.
    pub(super) fn told_missing(&self, columns: &[usize], notes: &mut Vec<String>) {
        let lacking: Vec<String> = columns
            .iter()
            .map(|&c| (c, self.cells(c).filter(|(_, cell)| is_missing(cell)).count()))
            .filter(|(_, missing)| *missing > 0)
            .map(|(c, missing)| {
                format!("{} ({missing} of {})", self.columns[c].name, self.rows.len())
            })
            .collect();
        if !lacking.is_empty() {
            notes.push(format!(
                "missing values count as the mean of their column: {}",
                names::few(&lacking)
            ));
        }
    }

    /// The place of the column with this name.
    pub(super) fn place(&self, name: &str) -> Result<usize> {
        let all: Vec<String> = self.columns.iter().map(|column| column.name.clone()).collect();
        let found = names::find(&all, name).place();
        found.with_context(|| format!("no column `{name}`; columns: {}", all.join(", ")))
    }
}
