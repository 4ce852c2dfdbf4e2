//! The report: every result below some folders as one self-contained HTML page, with its figures as
//! PNG and its numbers as JSON and CSV beside it. It computes no metric, it only shows them.

mod collect;
mod document;
mod experiment;
mod figures;
mod group;
mod html;
mod metric;
mod page;
mod pictures;
mod sections;
mod summary;
mod tables;

use crate::results::{EpochLine, Record};
use anyhow::Result;
use std::path::{Path, PathBuf};

pub use collect::collect;
pub use experiment::experiment;
pub use sections::transfers::heatmap;
pub use summary::{Claimed, Summary};

/// What a report is made of.
#[derive(Debug, Default)]
pub struct Inputs {
    /// Results: attacks, transfers, measurements, then other kinds; of each kind in the order of their
    /// paths.
    pub results: Vec<Found>,
    /// Trainings that left a log, in the order of their paths.
    pub trainings: Vec<Training>,
    /// Folders of finished experiments, in order; what is in them is on their own pages.
    runs: Vec<(PathBuf, Summary)>,
}

impl Inputs {
    /// The results of one kind.
    fn of(&self, kind: &str) -> impl Iterator<Item = &Found> {
        self.results.iter().filter(move |found| found.record.kind == kind)
    }
}

/// One result and where it was found.
#[derive(Debug)]
pub struct Found {
    /// The JSON file.
    pub path: PathBuf,
    /// What it says.
    pub record: Record,
    /// Some of its images; none if it is of no attack, it kept none, or the file with them is gone.
    pub wall: Option<Wall>,
}

/// Attacked images at one radius.
#[derive(Debug)]
pub struct Wall {
    /// The radius, such as `8/255`.
    pub eps: String,
    /// The first images of the run: none is picked.
    pub rows: Vec<plot::AttackedImage>,
}

/// The log of one training.
#[derive(Debug)]
pub struct Training {
    /// Folder of the log.
    pub name: String,
    /// In ascending order of epochs.
    pub epochs: Vec<EpochLine>,
}

/// Writes `index.html`, `results.json`, `results.csv` and the figures into `dir`, the page last;
/// returns its path. Files of the same names are replaced. Errors: `dir` is not writable.
pub fn write(dir: &Path, inputs: &Inputs) -> Result<PathBuf> {
    figures::write(dir, inputs, &group::groups(inputs))?;
    for (name, text) in numbers(inputs)? {
        save(&dir.join(name), &text)?;
    }
    let path = dir.join("index.html");
    save(&path, &index(dir, inputs)?)?;
    Ok(path)
}

/// The files with the numbers: their names and what is in them.
pub fn numbers(inputs: &Inputs) -> Result<[(&'static str, String); 2]> {
    Ok([("results.json", tables::json(inputs)?), ("results.csv", tables::csv(inputs)?)])
}

/// The page of [`write()`], for `dir`.
pub fn index(dir: &Path, inputs: &Inputs) -> Result<String> {
    page::page(inputs, &group::groups(inputs), dir)
}

fn save(path: &Path, text: &str) -> Result<()> {
    tensorfile::atomic::write(path, |file| Ok(file.write_all(text.as_bytes())?))
}

#[cfg(test)]
mod tests;
