//! What was measured as text: a block a model, a line a number, a column a method.

use crate::results::{QUANTITY, Record, Row, UNDEFINED, counted, keys};
use ::results::{Grid, Query};
use std::fmt::Write;

/// Characters a line may have before further methods get lines of their own.
const WIDEST: usize = 110;

/// A block for each model.
const BLOCKS: Query =
    Query { quantities: &[], each: &["model"], down: &[QUANTITY], across: &["method"] };

/// Means and their intervals.
pub(super) fn table(record: &Record) -> String {
    let mut text = format!(
        "means over {} of {} with 95 % intervals; ↑ higher is better, ↓ lower",
        counted(record),
        record.data
    );
    let measured = record.rows.rows.iter().filter(|row| row.keys.contains_key("metric"));
    for grid in BLOCKS.of(measured) {
        for together in fitting(&grid) {
            text += "\n\n";
            text += &block(record, &grid, together);
        }
    }
    let ranks = keys([(QUANTITY, "rank-correlation")]);
    let mut ranks = record.rows.filter(&ranks).peekable();
    if ranks.peek().is_some() {
        text += "\n\nrank correlation of lipschitz and model-lipschitz over models";
    }
    for row in ranks {
        let rho = row.number.mean.map_or(UNDEFINED.into(), |rho| format!("{rho:.2}"));
        let _ = write!(text, "\n{}: {rho}", row.key("method"));
    }
    text
}

/// Columns side by side, as many as a line holds.
fn fitting(grid: &Grid) -> Vec<std::ops::Range<usize>> {
    let cells = (0..grid.columns.len()).flat_map(|i| column(grid, i));
    let each = cells.map(|cell| cell.chars().count()).max().unwrap_or(0) + 2;
    let (step, all) = ((WIDEST.saturating_sub(24) / each).max(1), grid.columns.len());
    (0..all).step_by(step).map(|first| first..(first + step).min(all)).collect()
}

fn block(record: &Record, grid: &Grid, together: std::ops::Range<usize>) -> String {
    let head = |name: &str| {
        let arrow = record.quantity(name).map_or("", |quantity| quantity.better.arrow());
        format!("{name} {arrow}")
    };
    let heads = grid.lines.iter().map(|line| head(line.head[0]));
    let columns: Vec<Vec<String>> =
        std::iter::once([grid.of[0].to_owned()].into_iter().chain(heads).collect())
            .chain(together.map(|i| column(grid, i)))
            .collect();
    let width =
        |cells: &Vec<String>| cells.iter().map(|cell| cell.chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = columns.iter().map(width).collect();
    let line = |i: usize| {
        let cells = columns.iter().zip(&widths);
        let padded = cells.map(|(cells, &width)| format!("{:<width$}", cells[i]));
        padded.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    (0..columns[0].len()).map(line).collect::<Vec<_>>().join("\n")
}

/// A method and its numbers.
fn column(grid: &Grid, i: usize) -> Vec<String> {
    let shown = |row: Option<&Row>| row.map(Row::with_interval).unwrap_or_default();
    let values = grid.lines.iter().map(|line| shown(line.cells[i]));
    [grid.columns[i][0].to_owned()].into_iter().chain(values).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::results::stored::assert_printed;

    #[test]
    fn the_printed_table_is_the_snapshot() {
        assert_printed("measure", table);
    }
}
