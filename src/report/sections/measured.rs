//! Measured explanations: a table a model, its numbers by its methods, and what each number is.

use super::attacks::drawn;
use super::view::{Best, Format, View};
use crate::report::{
    Inputs,
    html::{UNCHECKED, list, scrolling},
};
use crate::results::{QUANTITY, Record, Row, UNDEFINED, counted, keys};
use ::results::{Grid, Line, Query};
use anyhow::Result;
use maud::{Markup, html};
use plot::{Forest, Mark};
use tensorfile::words::count;

const NOTE: &str = "Means over images with 95 % intervals, Wilson's of shares and by bootstrap-t of others; ↑ higher is better, ↓ lower. Bold: \
                    better than the control `random` and worse than no other method, by paired tests over the images of a line (5 %, Holm's correction); \
                    ≈: the interval overlaps that of `random`. Images where a number is \
                    undefined or infinite are counted and in no mean.";

const VIEW: View = View {
    query: Query { quantities: &[], each: &["model"], down: &[QUANTITY], across: &["method"] },
    format: Format::Interval,
    best: Best::OfLine,
    arrows: true,
};

/// The section of the page; empty without a measurement.
pub(in crate::report) fn section(inputs: &Inputs) -> Result<Markup> {
    Ok(html! {
        @if inputs.of("measure").next().is_some() {
            p class="note" { (NOTE) }
            @for found in inputs.of("measure") { (one(&found.record)?) }
        }
    })
}

/// The rows of a metric.
fn measured(record: &Record) -> impl Iterator<Item = &Row> {
    record.rows.rows.iter().filter(|row| row.keys.contains_key("metric"))
}

fn one(record: &Record) -> Result<Markup> {
    let words = |key: &str| record.setting(key).unwrap_or("–");
    let mut settings = format!("class {}, score {}", words("target"), words("score"));
    if record.settings.contains_key("attack") {
        settings += &format!(", attack {} within {}", words("attack"), words("eps"));
    }
    let own = |name: &str| measured(record).any(|row| row.quantity() == name);
    Ok(html! {
        p {
            (counted(record)) " of " (record.data) "; "
            (settings) "."
        }
        @for grid in VIEW.query.of(measured(record)) {
            (table(record, &grid))
            (drawn(charts(record, &grid)?))
        }
        (ranks(record))
        dl {
            @for quantity in record.quantities.iter().filter(|quantity| own(&quantity.name)) {
                dt { (quantity.name) } dd { (quantity.about) }
            }
        }
    })
}

/// A chart for each number of a model: its mean and interval by each method; a line goes through that
/// of the control.
fn charts(record: &Record, grid: &Grid) -> Result<Vec<String>> {
    let chart = |line: &Line| {
        let name = VIEW.name(VIEW.query.down, &line.head, &record.quantities);
        let cells = line.cells.iter().zip(&grid.columns).enumerate();
        let mark = |(i, (cell, column)): (usize, (&Option<&Row>, &Vec<&str>))| {
            let (row, method) = ((*cell)?, column.first()?);
            Some(Mark {
                name: (*method).to_owned(),
                color_index: i,
                mean: row.number.mean?,
                interval: row.number.low.zip(row.number.high),
                told: format!("{method}: {}", row.with_interval()),
                control: *method == "random",
            })
        };
        let lines: Vec<Mark> = cells.filter_map(mark).collect();
        let quantity = line.head.first().copied().unwrap_or_default().to_owned();
        let alt = format!("{name} of {}, mean and interval by method", grid.of[0]);
        Forest { title: name, x_label: quantity, lines }.svg(&alt)
    };
    grid.lines.iter().map(chart).collect()
}

fn table(record: &Record, grid: &Grid) -> Markup {
    let model = grid.of[0];
    let lines = grid.lines.iter().map(|line| {
        let cells = VIEW.cells(grid, std::slice::from_ref(line), &record.quantities).remove(0);
        (VIEW.name(VIEW.query.down, &line.head, &record.quantities), cells)
    });
    let table = html! {
        table class="measured" {
            caption { (model) }
            thead { tr { th {} (VIEW.heads(grid, &record.quantities)) } }
            tbody { @for (name, cells) in lines { tr { th scope="row" { (name) } (cells) } } }
        }
    };
    let empty = keys([("model", model), (QUANTITY, "no-map")]);
    let empty = record.rows.filter(&empty).filter_map(|row| {
        let images = row.number.mean.filter(|count| *count > 0.)?;
        Some(format!("{} by {}", count(images as usize, "image"), row.key("method")))
    });
    let empty: Vec<String> = empty.collect();
    let checked =
        grid.lines.iter().flat_map(|line| &line.cells).flatten().all(|row| row.number.n.is_some());
    html! {
        (scrolling(model, &table))
        @if !empty.is_empty() { p { "No map, zero everywhere: " (list(&empty)) "." } }
        @if !checked { p { (UNCHECKED) } }
    }
}

fn ranks(record: &Record) -> Markup {
    let rows = keys([(QUANTITY, "rank-correlation")]);
    let each = record.rows.filter(&rows).map(|row| {
        let rho = row.number.mean.map_or(UNDEFINED.into(), |rho| format!("{rho:.2}"));
        format!("{} {rho}", row.key("method"))
    });
    let each: Vec<String> = each.collect();
    html! {
        @if !each.is_empty() {
            p {
                "Rank correlation over models of how steep the score is and how steep the maps are: "
                (list(&each)) "."
            }
        }
    }
}
