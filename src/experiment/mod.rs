//! Experiments: a file asks a question, names the commands that answer it for every combination of a
//! grid, and says what the answer looks like: tables, figures and the paper's claims.

mod chart;
mod claims;
mod file;
mod found;
mod grid;
mod table;

use anyhow::Result;
use std::path::Path;

pub use chart::Chart;
pub use claims::{Verdict, shown, verdict};
pub use found::Results;
pub use grid::{Cell, Experiment};
pub use table::{Numbers, Table};

/// What a run says, as far as it has gone.
#[derive(Debug)]
pub struct Answer {
    /// Each claim of the papers, and what became of it.
    pub claims: Vec<(String, Verdict)>,
    pub tables: Vec<Table>,
    pub charts: Vec<Chart>,
    /// How many cells are there, and of how many.
    pub done: (usize, usize),
}

impl Answer {
    /// From the cells in `run`. Errors: a table, a figure or a claim that asks for what is not there,
    /// with its line.
    pub fn new(experiment: &Experiment, run: &Path) -> Result<Self> {
        let results = Results::read(experiment, run)?;
        let file = &experiment.file;
        let at = |start, error| experiment.source.wrong(start, error);
        let tables = file.table.iter().map(|spec| {
            Table::new(&results, spec.get_ref()).map_err(|error| at(spec.span().start, error))
        });
        let charts = file.figure.iter().map(|spec| {
            Chart::new(&results, spec.get_ref()).map_err(|error| at(spec.span().start, error))
        });
        let claims = file.claim.iter().map(|spec| {
            let claim = spec.get_ref();
            let found = verdict(&results, claim);
            Ok((claim.text.clone(), found.map_err(|error| at(spec.span().start, error))?))
        });
        Ok(Answer {
            tables: tables.collect::<Result<_>>()?,
            charts: charts.collect::<Result<_>>()?,
            claims: claims.collect::<Result<_>>()?,
            done: results.done(),
        })
    }
}
