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
    /// Its images, of an explanation once for each method; none if it kept none, or their files are
    /// gone.
    pub walls: Vec<Wall>,
}

/// Images with maps of one method, attacked at one radius or as they are.
#[derive(Debug)]
pub struct Wall {
    /// The radius, such as `8/255`; empty of images as they are.
    pub eps: String,
    /// The method of the maps.
    pub method: String,
    /// The file with the tensors.
    pub file: PathBuf,
    /// All images of the run, as far as there is room: none is picked.
    pub rows: Vec<Shown>,
    /// The first of attacked ones, as they are drawn into a file.
    pub first: Vec<plot::AttackedImage>,
}

/// One image of a [`Wall`] and what is known of it.
#[derive(Debug)]
pub struct Shown {
    /// Its place in the tensors, from 0.
    pub index: usize,
    /// The class of the data.
    pub label: String,
    /// The class that is explained.
    pub class: String,
    /// Whether the attack succeeded: `yes`, `no`, `no map`; empty of images as they are.
    pub success: &'static str,
    /// Numbers by name.
    pub numbers: Vec<(String, f64)>,
    /// Pictures and their titles.
    pub pictures: Vec<(&'static str, plot::Picture)>,
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
    inputs.runs.iter().try_for_each(|(run, _)| linked(run, dir))?;
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

/// Shows the link back on the page of a run, where the index lies a folder above it.
fn linked(run: &Path, dir: &Path) -> Result<()> {
    let (page, above) = (run.join("index.html"), run.join(".."));
    let same = above.canonicalize().ok().zip(dir.canonicalize().ok()).is_some_and(|(a, b)| a == b);
    let Ok(text) = std::fs::read_to_string(&page) else { return Ok(()) };
    let hidden = document::hidden_link(experiment::INDEX);
    if !same || !text.contains(&hidden) {
        return Ok(());
    }
    save(&page, &text.replace(&hidden, &hidden.replace(" hidden", "")))
}

fn save(path: &Path, text: &str) -> Result<()> {
    tensorfile::atomic::write(path, |file| Ok(file.write_all(text.as_bytes())?))
}

#[cfg(test)]
mod tests;
