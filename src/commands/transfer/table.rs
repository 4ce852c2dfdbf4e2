//! The matrix of one metric as text.

use crate::results::{Matrix, UNDEFINED, counted, starts};
use explain::similarity::in_tables;
use std::fmt::Write;

/// Characters a line may have before columns get numbers for names.
const WIDEST: usize = 110;

/// The first similarity of tables, of every row and column.
pub(super) fn table(result: &Matrix) -> String {
    let (rows, mut columns) = (result.labels(&result.sources), result.labels(&result.targets));
    let metric = in_tables()[0].name;
    let corner = "attacked \\ judged";
    let width = |all: &[String], least: usize| {
        all.iter().map(|label| label.chars().count()).fold(least, usize::max)
    };
    let images = counted(result.record);
    let mut text = format!("{metric}, {}: {}, {}\n", result.over(), result.title(), images);
    let values = result.values(metric);
    let shown = |from: usize, to: usize| match values[from][to] {
        value if value.is_nan() => UNDEFINED.into(),
        value => format!("{value:.3}"),
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
    starts(result.record).iter().for_each(|told| text = format!("{text}\n{told}"));
    for (from, row) in result.sources.iter().zip(&rows) {
        for (to, column) in result.targets.iter().zip(&columns) {
            let cell = result.cell(*from, *to);
            let radii = cell.radii().into_iter();
            let most = radii.filter_map(|(_, eps)| Some(cell.number(eps, metric)?.undefined)).max();
            if let Some(n) = most.filter(|n| *n > 0) {
                let _ = write!(text, "\n{row}, {column}: {UNDEFINED} at {n} of {images}");
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::results::stored::assert_printed;

    #[test]
    fn printed_tables_are_the_snapshots() {
        for name in ["transfer", "transfer-methods"] {
            assert_printed(name, |record| table(&Matrix::of(record)));
        }
    }
}
