//! Transfer results: the matrices of every metric as a figure and as coloured tables of the page.

use crate::report::{
    Inputs,
    html::{UNCHECKED, column, list, scrolling},
    metric::full_area,
};
use crate::results::{Better, Matrix, Record, UNDEFINED, counted, starts};
use explain::similarity::in_tables;
use maud::{Markup, html};
use plot::{HeatCell, HeatPanel, Heatmap};

const NOTE: &str = "Images made against the maps of a row, judged on the maps of a column. Darker: \
                    the map moved more.";

/// A matrix a metric; where there are several models also the predictions that stay.
pub fn heatmap(record: &Record) -> Heatmap {
    let result = &Matrix::of(record);
    let mut panels: Vec<HeatPanel> = in_tables()
        .iter()
        .map(|metric| {
            let title = format!("{} {}  {}", metric.name, metric.better.arrow(), metric.title);
            panel(result, metric.name, metric.better, title)
        })
        .collect();
    if record.models.len() > 1 {
        panels.push(kept(result));
    }
    let begun = starts(record).map(|told| format!("; {told}")).unwrap_or_default();
    Heatmap {
        title: format!("{} ({})", result.title(), result.over()),
        note: format!("{NOTE} {}{begun}.", counted(record)),
        axes: ["attacked".into(), "judged".into()],
        rows: result.labels(&result.sources),
        columns: result.labels(&result.targets),
        panels,
    }
}

fn panel(result: &Matrix, metric: &str, better: Better, title: String) -> HeatPanel {
    let values = result.values(metric);
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
fn kept(result: &Matrix) -> HeatPanel {
    let full = full(result);
    let cell = |area: f64| HeatCell {
        text: if area.is_nan() { UNDEFINED.into() } else { format!("{:.0} %", 100. * area / full) },
        shade: 1. - area / full,
    };
    let values = result.values("kept").into_iter();
    HeatPanel {
        title: "predictions that stay ↑".into(),
        cells: values.map(|row| row.into_iter().map(cell).collect()).collect(),
    }
}

/// What a metric that is 1 at every radius comes to: its area, or 1 where there is none.
fn full(result: &Matrix) -> f64 {
    let first = result.first();
    if first.has_areas() { full_area(&first.radii()) } else { 1. }
}

/// The section of the page; empty without a transfer.
pub(in crate::report) fn section(inputs: &Inputs) -> Markup {
    html! {
        @if inputs.of("transfer").next().is_some() {
            p class="note" { (NOTE) }
            @for found in inputs.of("transfer") { (one(&found.record)) }
        }
    }
}

fn one(record: &Record) -> Markup {
    let (map, found) = (heatmap(record), Matrix::of(record));
    let names: Vec<String> = record.models.iter().map(|card| card.name.clone()).collect();
    let every =
        found.sources.iter().flat_map(|from| found.targets.iter().map(move |to| (from, to)));
    let checked = every.into_iter().all(|(from, to)| found.cell(*from, *to).checked());
    html! {
        h3 { (map.title) }
        p {
            (counted(record)) " of " (record.data) ", for "
            (list(&names)) "."
        }
        @if !checked { p { (UNCHECKED) } }
        div class="heats" { @for panel in &map.panels { (table(&map, panel)) } }
    }
}

fn table(map: &Heatmap, panel: &HeatPanel) -> Markup {
    let [attacked, judged] = &map.axes;
    let colour = |cell: &HeatCell| format!("background:#{:06X}", cell.colour());
    let table = html! {
        table class="heat" {
            caption { (panel.title) }
            thead { tr {
                th { (attacked) " ↓ " (judged) " →" }
                @for name in &map.columns { (column(name)) }
            } }
            tbody {
                @for (name, cells) in map.rows.iter().zip(&panel.cells) {
                    tr {
                        th scope="row" { (name) }
                        @for cell in cells { td style=(colour(cell)) { (cell.text) } }
                    }
                }
            }
        }
    };
    scrolling(&panel.title, &table)
}
