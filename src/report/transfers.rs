//! Transfer results: the matrices of every metric as a figure and as coloured tables of the page.

use super::html::{UNCHECKED, list, scrolling, text};
use super::metric::full_area;
use super::{Inputs, Transferred};
use crate::results::{AtEps, TransferCell, TransferResult, UNDEFINED};
use explain::{Better, similarity::in_tables};
use plot::{HeatCell, HeatPanel, Heatmap};
use tensorfile::words::count;

const NOTE: &str = "Images made against the maps of a row, judged on the maps of a column. Darker: \
                    the map moved more.";

/// A matrix a metric; where there are several models also the predictions that stay.
pub fn heatmap(result: &TransferResult) -> Heatmap {
    let mut panels: Vec<HeatPanel> = in_tables()
        .iter()
        .map(|metric| {
            let title = format!("{} {}  {}", metric.name, metric.better.arrow(), metric.title);
            panel(result, metric.name, metric.better, title)
        })
        .collect();
    if result.models.len() > 1 {
        panels.push(kept(result));
    }
    Heatmap {
        title: format!("{} ({})", result.title(), result.over()),
        note: format!("{NOTE} {}.", count(result.images, "image")),
        axes: ["attacked".into(), "judged".into()],
        rows: result.labels(&result.sources),
        columns: result.labels(&result.targets),
        panels,
    }
}

fn panel(result: &TransferResult, metric: &str, better: Better, title: String) -> HeatPanel {
    let values = values(result, metric);
    let full = full(result);
    let largest = values.iter().flatten().copied().fold(f64::MIN_POSITIVE, f64::max);
    let shade = |value: f64| match better {
        Better::Higher => 1. - value / full,
        Better::Lower | Better::Neither => value / largest,
    };
    let cell = |value: &f64| HeatCell {
        text: if value.is_nan() { UNDEFINED.into() } else { format!("{value:.2}") },
        shade: shade(*value),
    };
    HeatPanel { title, cells: values.iter().map(|row| row.iter().map(cell).collect()).collect() }
}

/// Shares of predictions that stay: means over the radii, not areas.
fn kept(result: &TransferResult) -> HeatPanel {
    let full = full(result);
    let cell = |area: f64| HeatCell {
        text: if area.is_nan() { UNDEFINED.into() } else { format!("{:.0} %", 100. * area / full) },
        shade: 1. - area / full,
    };
    let values = values(result, "kept").into_iter();
    HeatPanel {
        title: "predictions that stay ↑".into(),
        cells: values.map(|row| row.into_iter().map(cell).collect()).collect(),
    }
}

fn values(result: &TransferResult, metric: &str) -> Vec<Vec<f64>> {
    let value = |from, to| {
        let cell: Option<&TransferCell> = result.cell(from, to);
        cell.and_then(|cell| cell.value(metric)).unwrap_or(f64::NAN)
    };
    let row = |from| (0..result.targets.len()).map(|to| value(from, to)).collect();
    (0..result.sources.len()).map(row).collect()
}

/// What a metric that is 1 at every radius comes to: its area, or 1 where there is none.
fn full(result: &TransferResult) -> f64 {
    let cell = &result.cells[0];
    if cell.auc.is_empty() { 1. } else { full_area(&cell.eps) }
}

/// The section of the page; empty without a transfer.
pub(super) fn section(inputs: &Inputs) -> String {
    if inputs.transfers.is_empty() {
        return String::new();
    }
    let each: String = inputs.transfers.iter().map(one).collect();
    format!("<p class=\"note\">{NOTE}</p>{each}")
}

fn one(found: &Transferred) -> String {
    let map = heatmap(&found.result);
    let (models, images) = (&found.result.models, count(found.result.images, "image"));
    let names: Vec<String> = models.iter().map(|card| card.name.clone()).collect();
    let tables: String = map.panels.iter().map(|panel| table(&map, panel)).collect();
    let checked = found.result.cells.iter().flat_map(|cell| &cell.eps).all(AtEps::checked);
    let old = if checked { String::new() } else { format!("<p>{UNCHECKED}</p>") };
    format!(
        "<h3>{}</h3><p>{images} of {}, for {}.</p>{old}<div class=\"heats\">{tables}</div>\n",
        text(&map.title),
        text(&found.result.data),
        text(&list(&names))
    )
}

fn table(map: &Heatmap, panel: &HeatPanel) -> String {
    let head: String =
        map.columns.iter().map(|name| format!("<th scope=\"col\">{}</th>", text(name))).collect();
    let row = |(name, cells): (&String, &Vec<HeatCell>)| {
        let cells: String = cells
            .iter()
            .map(|cell| {
                format!("<td style=\"background:#{:06X}\">{}</td>", cell.colour(), text(&cell.text))
            })
            .collect();
        format!("<tr><th scope=\"row\">{}</th>{cells}</tr>", text(name))
    };
    let rows: String = map.rows.iter().zip(&panel.cells).map(row).collect();
    let [attacked, judged] = &map.axes;
    let table = format!(
        "<table class=\"heat\"><caption>{}</caption><thead><tr><th>{attacked} ↓ {judged} →</th>{head}\
         </tr></thead><tbody>{rows}</tbody></table>",
        text(&panel.title)
    );
    scrolling(&panel.title, &table)
}
