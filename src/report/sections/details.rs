//! Every radius and setting of attacks, and where all numbers come from.

use super::view::{Best, Format, View};
use crate::report::{
    Inputs,
    group::{Entry, Group},
    html::{column, duration, scrolling},
};
use crate::results::{FLOOR, OF_NO_METRIC, Origin, QUANTITY, Table, quantities};
use ::results::Query;
use explain::similarity::in_tables;
use maud::{Markup, html};
use serde_json::Value;
use std::collections::BTreeSet;

/// A line for each model and radius.
const RADII: View = View {
    query: Query { quantities: &[], each: &[], down: &["entry", "eps"], across: &[QUANTITY] },
    format: Format::Successes,
    best: Best::No,
    arrows: false,
};

/// Settings, and every radius, folded away; empty without an attack.
pub(in crate::report) fn section(groups: &[Group]) -> Markup {
    html! {
        @for group in groups {
            details {
                summary { "Every radius: " (group.title()) }
                p class="note" {
                    "Mean ± standard error; in brackets the mean over the images whose attack succeeded."
                }
                (scrolling("every radius", &every_radius(group)))
            }
            details {
                summary { "Settings: " (group.title()) }
                (scrolling("settings", &settings(group)))
            }
        }
    }
}

fn every_radius(group: &Group) -> Markup {
    let mut rows = Table::default();
    for (e, entry) in group.entries.iter().enumerate() {
        let own = entry.found.record.rows.rows.iter().filter(|row| row.keys.contains_key("eps"));
        rows.rows.extend(own.cloned().map(|mut row| {
            row.keys.insert("entry".into(), e.to_string());
            row
        }));
    }
    let of_no_metric = |name: &&str| OF_NO_METRIC.contains(name) || name.ends_with(FLOOR);
    let found = rows.distinct(QUANTITY).into_iter().filter(|name| !of_no_metric(name));
    let mut names: Vec<&str> = found.collect();
    names.sort_unstable();
    let place = |name: &&str| in_tables().iter().position(|m| m.name == *name);
    names.sort_by_key(|name| place(name).unwrap_or(in_tables().len()));
    names.insert(0, "success");
    names.extend(rows.distinct(QUANTITY).into_iter().filter(|name| *name == "converged"));
    let view = View { query: Query { quantities: &names, ..RADII.query }, ..RADII };
    let known = quantities::of_attacks();
    html! {
        @for grid in view.query.of(&rows.rows) {
            table {
                thead { tr { (column("model")) (column("ε")) (view.heads(&grid, &known)) } }
                tbody {
                    @for (line, cells) in grid.lines.iter().zip(view.cells(&grid, &grid.lines, &known)) {
                        tr {
                            th scope="row" { (label(group, line.head[0])) }
                            td { (line.head[1]) }
                            (cells)
                        }
                    }
                }
            }
        }
    }
}

fn label<'a>(group: &'a Group, entry: &str) -> &'a str {
    let entry = entry.parse().ok().and_then(|entry: usize| group.entries.get(entry));
    entry.map_or("", |entry| entry.label.as_str())
}

/// A row a setting, a column a model.
fn settings(group: &Group) -> Markup {
    let names: BTreeSet<&String> =
        group.entries.iter().flat_map(|entry| entry.found.record.settings.keys()).collect();
    let each = |of: &dyn Fn(&Entry) -> String| group.entries.iter().map(of).collect::<Vec<_>>();
    let mut rows = vec![
        ("weights", each(&|e| e.card().name.clone())),
        ("architecture", each(&|e| e.card().arch.clone())),
        ("trained on", each(&|e| e.card().dataset.clone())),
    ];
    for name in names {
        let value = |e: &Entry| e.found.record.settings.get(name).map_or("–".into(), shown);
        rows.push((name, each(&value)));
    }
    html! {
        table class="words" {
            thead { tr {
                (column("setting"))
                @for entry in &group.entries { (column(&entry.label)) }
            } }
            tbody {
                @for (name, values) in rows {
                    tr { th scope="row" { (name) } @for value in values { td { (value) } } }
                }
            }
        }
    }
}

/// A setting as text.
pub(super) fn shown(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// Commands, versions, seeds; empty where no result has them.
pub(in crate::report) fn provenance(inputs: &Inputs) -> Markup {
    let known = inputs.results.iter().filter_map(|f| Some((&f.path, f.record.origin.as_ref()?)));
    let known: Vec<_> = known.collect();
    let cells = |origin: &Origin| {
        let version = format!("{} ({})", origin.version, origin.commit);
        [version, origin.device.clone(), origin.seed.to_string(), duration(origin.seconds)]
    };
    let heads = ["file and command", "version (commit)", "device", "seed", "time"];
    let table = html! {
        table class="words" {
            thead { tr { @for head in heads { (column(head)) } } }
            tbody {
                @for (path, origin) in &known {
                    tr {
                        th scope="row" { (path.display()) code { (origin.command) } }
                        @for cell in cells(origin) { td { (cell) } }
                    }
                }
            }
        }
    };
    if known.is_empty() {
        html! {}
    } else {
        scrolling("provenance", &table)
    }
}
