//! Columns of a table: their names and scale, which weights carry in their header, so that another
//! table is read as the one that a network was trained on.

use crate::names;
use anyhow::{Context, Result, bail, ensure};
use std::collections::BTreeMap;
use tensorfile::header;

/// Columns of a table.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Features {
    /// The names of those that are used, a channel each.
    pub names: Vec<String>,
    /// The names of the others, but for the label.
    pub dropped: Vec<String>,
    /// The name of the column with the label, where there is one.
    pub label: Option<String>,
    /// What is subtracted from each column: its mean over the rows for training, in the units of
    /// the file. Empty where that is not known.
    pub mean: Vec<f64>,
    /// What each column is divided by then: its deviation there.
    pub std: Vec<f64>,
    /// The table: the fingerprint of its numbers, and which of its rows are for training, as
    /// options say it (`split=0`).
    pub table: Option<(String, String)>,
}

impl Features {
    /// Columns of these names that nobody scaled.
    pub fn plain(names: &[&str]) -> Self {
        let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
        Features {
            mean: vec![0.; names.len()],
            std: vec![1.; names.len()],
            names,
            ..Features::default()
        }
    }

    /// Strings of a header.
    pub fn to_header(&self) -> BTreeMap<String, String> {
        let mut all = BTreeMap::from([("features".to_owned(), header::json(&self.names))]);
        let mut add = |key: &str, value: String| all.insert(key.to_owned(), value);
        if !self.mean.is_empty() {
            add("feature_mean", header::join_numbers(&self.mean));
            add("feature_std", header::join_numbers(&self.std));
        }
        if let Some(label) = &self.label {
            add("feature_label", label.clone());
        }
        if let Some((print, rows)) = &self.table {
            add("feature_table", format!("{print} {rows}"));
        }
        all
    }

    /// What a header says; none where it names no columns. Errors: lists that do not fit each other.
    pub fn from_header(all: &BTreeMap<String, String>) -> Result<Option<Self>> {
        let Some(names) = all.get("features") else { return Ok(None) };
        let names = header::names(names)?;
        let numbers = |key: &str| -> Result<Vec<f64>> {
            let Some(text) = all.get(key) else { return Ok(vec![]) };
            let found = header::numbers(text).with_context(|| format!("header `{key}`"))?;
            let (count, wanted) = (found.len(), names.len());
            ensure!(count == wanted, "header `{key}` has {count} numbers for {wanted} columns");
            Ok(found)
        };
        let (mean, std) = (numbers("feature_mean")?, numbers("feature_std")?);
        ensure!(mean.len() == std.len(), "the header has `feature_mean` or `feature_std` alone");
        let sound = mean.iter().all(|m| m.is_finite()) && std.iter().all(|s| *s > 0.);
        ensure!(sound, "header `feature_std` has a deviation that is not positive");
        let label = all.get("feature_label").cloned();
        let table = all.get("feature_table").and_then(|text| text.split_once(' '));
        let table = table.map(|(print, rows)| (print.to_owned(), rows.to_owned()));
        Ok(Some(Features { names, dropped: vec![], label, mean, std, table }))
    }

    /// Where each of these columns is among `found`. Names that differ in case or spaces are told in
    /// `notes`. Errors, with both lists: one that is not there.
    pub(crate) fn places(&self, found: &[String], notes: &mut Vec<String>) -> Result<Vec<usize>> {
        let mut places = vec![];
        for name in &self.names {
            let place = names::find(found, name);
            match place.place() {
                Some(place) => places.push(place),
                None => bail!(
                    "no column `{name}`; the network takes {}: {}; there are {}: {}",
                    self.names.len(),
                    names::few(&self.names),
                    found.len(),
                    names::few(found)
                ),
            }
            if let names::Found::Alike(place) = place {
                notes.push(format!("the column `{}` is taken for `{name}`", found[place]));
            }
        }
        let mut once = places.clone();
        once.sort_unstable();
        once.dedup();
        ensure!(once.len() == places.len(), "a column is meant by two names that the network has");
        Ok(places)
    }

    /// Whether values made by both are the same numbers.
    pub fn same_numbers(&self, other: &Features) -> bool {
        (&self.names, &self.mean, &self.std) == (&other.names, &other.mean, &other.std)
    }
}
