//! Experiments: a file asks a question, names the commands that answer it for every combination of a
//! grid, and says what the answer looks like: tables, figures and the paper's claims. All of them ask
//! for numbers by keys, never by place.

mod chart;
mod claims;
mod file;
mod grid;
mod lookup;
mod show;
mod step;
mod table;
mod vars;

use anyhow::Result;
use std::path::Path;

pub use chart::Chart;
pub use claims::{Interval, Judged, Told, Verdict};
pub use file::PAPER;
pub use grid::{Cell, Experiment, unplaced};
use lookup::Results;
pub use lookup::UNKNOWN;
pub use show::shown;
pub use table::{Numbers, Table};

/// What a run says, as far as it has gone.
#[derive(Debug)]
pub struct Report {
    /// Each claim of the papers, and what became of it.
    pub claims: Vec<Judged>,
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
        let claims: Vec<_> = file.claim.iter().map(|spec| spec.get_ref()).collect();
        let claims = claims::judged(&results, &claims);
        let claims = claims.map_err(|(i, error)| wrong(file.claim[i].span().start, error))?;
        Ok(Report {
            tables: tables.collect::<Result<_>>()?,
            charts: charts.collect::<Result<_>>()?,
            claims,
            done: results.done(),
        })
    }
}
