//! What was measured as text: a block a model, a line a number, a column a method.

use crate::results::{MeasureResult, MeasuredRow, UNDEFINED};
use std::fmt::Write;
use tensorfile::words::count;

/// Characters a line may have before further methods get lines of their own.
const WIDEST: usize = 110;

/// Means and their intervals.
pub(super) fn table(result: &MeasureResult) -> String {
    let mut text = format!(
        "means over {} of {} with 95 % intervals; ↑ higher is better, ↓ lower",
        count(result.images, "image"),
        result.data
    );
    for (i, model) in result.models.iter().enumerate() {
        let rows: Vec<_> = result.measured.iter().filter(|row| row.model == i).collect();
        for together in fitting(result, &rows) {
            text += "\n\n";
            text += &block(result, &model.name, together);
        }
    }
    if !result.rank_correlation.is_empty() {
        text += "\n\nrank correlation of lipschitz and model-lipschitz over models";
        for (method, rho) in &result.rank_correlation {
            let rho = rho.map_or(UNDEFINED.into(), |rho| format!("{rho:.2}"));
            let _ = write!(text, "\n{method}: {rho}");
        }
    }
    text
}

/// Methods side by side, as many as a line holds.
fn fitting<'a>(result: &MeasureResult, rows: &'a [&'a MeasuredRow]) -> Vec<&'a [&'a MeasuredRow]> {
    let widest = rows.iter().flat_map(|row| column(result, row)).map(|cell| cell.chars().count());
    let each = widest.max().unwrap_or(0) + 2;
    rows.chunks((WIDEST.saturating_sub(24) / each).max(1)).collect()
}

fn block(result: &MeasureResult, model: &str, rows: &[&MeasuredRow]) -> String {
    let heads = result.columns.iter().map(|c| format!("{} {}", c.key, c.better().arrow()));
    let columns: Vec<Vec<String>> =
        std::iter::once([model.to_owned()].into_iter().chain(heads).collect())
            .chain(rows.iter().map(|row| column(result, row)))
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
fn column(result: &MeasureResult, row: &MeasuredRow) -> Vec<String> {
    let values = result.columns.iter().map(|c| row.values[&c.key].shown());
    [row.method.clone()].into_iter().chain(values).collect()
}
