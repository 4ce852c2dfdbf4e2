//! The matrix of one metric as text.

use crate::results::{TransferResult, UNDEFINED};
use explain::similarity::in_tables;
use std::fmt::Write;
use tensorfile::words::count;

/// Characters a line may have before columns get numbers for names.
const WIDEST: usize = 110;

/// The first similarity of tables, of every row and column.
pub(super) fn table(result: &TransferResult) -> String {
    let (rows, mut columns) = (result.labels(&result.sources), result.labels(&result.targets));
    let metric = in_tables()[0].name;
    let corner = "attacked \\ judged";
    let width = |all: &[String], least: usize| {
        all.iter().map(|label| label.chars().count()).fold(least, usize::max)
    };
    let mut text = format!(
        "{metric}, {}: {}, {}\n",
        result.over(),
        result.title(),
        count(result.images, "image")
    );
    let shown = |from: usize, to: usize| {
        let value = result.cell(from, to).and_then(|cell| cell.value(metric));
        value.map_or(UNDEFINED.into(), |value| format!("{value:.3}"))
    };
    let left = width(&rows, corner.len());
    if left + columns.len() * (width(&columns, 6) + 2) > WIDEST {
        for (column, number) in columns.iter_mut().zip(1..) {
            let _ = writeln!(text, "({number}) {column}");
            *column = format!("({number})");
        }
    }
    let some =
        (0..rows.len()).any(|from| (0..columns.len()).any(|to| shown(from, to) == UNDEFINED));
    let cell = width(&columns, if some { UNDEFINED.len() } else { 6 });
    let _ = write!(text, "{corner:<left$}");
    for column in &columns {
        let _ = write!(text, "  {column:>cell$}");
    }
    for (from, row) in rows.iter().enumerate() {
        let _ = write!(text, "\n{row:<left$}");
        for to in 0..columns.len() {
            let _ = write!(text, "  {:>cell$}", shown(from, to));
        }
    }
    for cell in &result.cells {
        let most = cell.eps.iter().filter_map(|at| Some(at.metrics.get(metric)?.undefined)).max();
        if let Some(n) = most.filter(|n| *n > 0) {
            let (from, to) = (&rows[cell.from], &columns[cell.to]);
            let images = count(result.images, "image");
            let _ = write!(text, "\n{from}, {to}: {UNDEFINED} at {n} of {images}");
        }
    }
    text
}
