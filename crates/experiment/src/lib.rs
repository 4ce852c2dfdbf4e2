//! Experiments: a file asks a question, names the commands that answer it for every combination of a
//! grid, and says what the answer looks like: tables, figures and the paper's claims. All of them ask
//! for numbers by keys, never by place.

mod chart;
mod claims;
mod file;
mod grid;
mod lookup;
mod step;
mod table;
mod vars;

use anyhow::Result;
use std::path::Path;

pub use chart::Chart;
use claims::verdict;
pub use claims::{Verdict, shown};
pub use file::PAPER;
pub use grid::{Cell, Experiment};
use lookup::Results;
pub use lookup::UNKNOWN;
pub use table::{Numbers, Table};

/// What a run says, as far as it has gone.
#[derive(Debug)]
pub struct Report {
    /// Each claim of the papers, and what became of it.
    pub claims: Vec<(String, Verdict)>,
    /// In the order of the file.
    pub tables: Vec<Table>,
    /// Figures, in the order of the file.
    pub charts: Vec<Chart>,
    /// How many cells are there, and of how many.
    pub done: (usize, usize),
}

impl Report {
    /// From the cells in `run`; `expected` are the rows that the command of each will have. Errors,
    /// also before there is any cell: a table, a figure or a claim that asks for what is not there,
    /// with its line.
    pub fn new(
        experiment: &Experiment,
        run: &Path,
        expected: &[Option<results::Table>],
    ) -> Result<Self> {
        let results = Results::read(experiment, run, expected)?;
        let file = &experiment.file;
        let wrong = |start, error| experiment.source.wrong(start, error);
        let tables = file.table.iter().map(|spec| {
            Table::new(&results, spec.get_ref()).map_err(|error| wrong(spec.span().start, error))
        });
        let charts = file.figure.iter().map(|spec| {
            Chart::new(&results, spec.get_ref()).map_err(|error| wrong(spec.span().start, error))
        });
        let claims = file.claim.iter().map(|spec| {
            let claim = spec.get_ref();
            let found = verdict(&results, claim);
            Ok((claim.text.clone(), found.map_err(|error| wrong(spec.span().start, error))?))
        });
        Ok(Report {
            tables: tables.collect::<Result<_>>()?,
            charts: charts.collect::<Result<_>>()?,
            claims: claims.collect::<Result<_>>()?,
            done: results.done(),
        })
    }
}
