//! What was certified as text: a line a radius, then the pixels, then the prediction.

use crate::results::{QUANTITY, Record, Row, UNDEFINED};
use ::results::{Grid, Query};
use std::fmt::Write;
use tensorfile::words::count;

const MAPS: Query = Query {
    quantities: &["certified-k-in", "attacked-k-in", "kept"],
    each: &["method", "share"],
    down: &["eps"],
    across: &[QUANTITY],
};
const PIXELS: Query = Query {
    quantities: &["certified-in", "certified-out", "abstained", "pixel-radius", "resampled-k-in"],
    each: &["method", "share"],
    down: &[QUANTITY],
    across: &[],
};
const PREDICTION: Query = Query {
    quantities: &["smoothed-accuracy", "prediction-radius", "certified-prediction"],
    each: &[],
    down: &[QUANTITY, "eps"],
    across: &[],
};

/// Means and their intervals.
pub(super) fn table(record: &Record) -> String {
    let rows = &record.rows.rows;
    let k = record.settings.get("k").map(ToString::to_string).unwrap_or_default();
    let mut text = format!(
        "{}: means over {} with 95 % intervals; certified <= truth <= attacked, K = {k}",
        record.models[0].name,
        count(record.images.unwrap_or(0) as usize, "image")
    );
    for grid in MAPS.of(rows.iter().filter(|row| row.keys.contains_key("method"))) {
        let _ = write!(text, "\n\n{}, share {}\n{:>8}", grid.of[0], grid.of[1], "l2");
        grid.columns.iter().for_each(|column| text += &format!(" {:>22}", column[0]));
        for line in &grid.lines {
            let _ = write!(text, "\n{:>8}", line.head[0]);
            let shown = |cell: &Option<&Row>| cell.map_or(UNDEFINED.into(), Row::with_interval);
            line.cells.iter().for_each(|cell| text += &format!(" {:>22}", shown(cell)));
        }
        let own = |of: &Grid| of.of == grid.of;
        PIXELS.of(rows).iter().filter(|of| own(of)).for_each(|of| text += &plain(of));
    }
    text += "\n\nsmoothed prediction";
    PREDICTION.of(rows).iter().for_each(|grid| text += &plain(grid));
    text
}

/// A number a line.
fn plain(grid: &Grid) -> String {
    let line = |line: &::results::Line| {
        let shown = line.cells[0].map_or(UNDEFINED.into(), Row::with_interval);
        format!("\n{:>22} {shown}", line.head.join(" ").trim_end())
    };
    grid.lines.iter().map(line).collect()
}
