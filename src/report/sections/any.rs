//! Results of every kind that has no section of its own: a table of all their numbers.

use super::view::{Best, Format, View};
use crate::report::{Found, Inputs, html::scrolling};
use crate::results::{QUANTITY, Table};
use ::results::Query;
use maud::{Markup, html};
use tensorfile::words::count;

/// Kinds with a section of their own.
const OWN: &[&str] = &["attack", "transfer", "measure"];

/// The section of the page; empty without one.
pub(in crate::report) fn section(inputs: &Inputs) -> Markup {
    let others = || inputs.results.iter().filter(|found| !OWN.contains(&&*found.record.kind));
    html! {
        @if others().next().is_some() {
            p class="note" {
                "Means with 95 % intervals, where they are known; ↑ higher is better, ↓ lower."
            }
            @for found in others() { (one(found)) }
        }
    }
}

fn one(found: &Found) -> Markup {
    let record = &found.record;
    let (same, differ) = record.rows.keys();
    let value = |key: &str| record.rows.distinct(key).concat();
    let mut about: Vec<String> =
        same.into_iter().map(|key| format!("{key} {}", value(key))).collect();
    if let Some(images) = record.images {
        about.push(format!("{} of {}", count(images as usize, "image"), record.data));
    }
    html! {
        h3 { (record.kind) ": " (found.path.display()) }
        @if !about.is_empty() { p { (about.join(", ")) "." } }
        (scrolling(&record.kind, &table(&record.rows, &differ, &record.quantities)))
        dl {
            @for quantity in &record.quantities {
                dt { (quantity.name) " " (quantity.better.arrow()) } dd { (quantity.about) }
            }
        }
    }
}

/// A line for each combination of `keys`, a column for each quantity.
fn table(rows: &Table, keys: &[&str], quantities: &[crate::results::Quantity]) -> Markup {
    let query = Query { down: keys, across: &[QUANTITY], ..Query::default() };
    let view = View { query, format: Format::Interval, best: Best::No, arrows: true };
    html! {
        @for grid in query.of(&rows.rows) {
            table class="measured sortable" {
                thead { tr {
                    @for key in keys { th scope="col" { (key) } }
                    (view.heads(&grid, quantities))
                } }
                tbody {
                    @for (line, cells) in
                        grid.lines.iter().zip(view.cells(&grid, &grid.lines, quantities)) {
                        tr { @for value in &line.head { th scope="row" { (value) } } (cells) }
                    }
                }
            }
        }
    }
}
