//! Attacks on maps: the table of all of them, how to read it, and the curves over ε.

use super::view::{Best, Format, View};
use crate::report::{
    figures::panels,
    group::{Entry, Group},
    html::{UNCHECKED, column, list, number, scrolling},
    metric::{full_area, overall, success},
};
use crate::results::{BELOW, FLOOR, Keys, QUANTITY, Row, Sample, Table, keys, quantities, starts};
use ::results::{Better, Query, inference::told_apart};
use anyhow::Result;
use explain::similarity::in_tables;
use maud::{Markup, PreEscaped, html};
use plot::{svg, swatch};
use std::collections::BTreeSet;
use tensorfile::words::count;

/// A block for each group, in it a line for each model, after Table 2 of Wang et al. 2020.
const VIEW: View = View {
    query: Query { quantities: &[], each: &[], down: &["group", "entry"], across: &[QUANTITY] },
    format: Format::Error,
    best: Best::OfColumn,
    arrows: true,
};

/// The table of every group, what it says and how to read it; empty without an attack.
pub(in crate::report) fn section(groups: &[Group]) -> Markup {
    let checked = groups.iter().flat_map(|group| &group.entries).all(|entry| entry.run().checked());
    html! {
        @if !groups.is_empty() {
            p class="note" {
                "Areas over log" sub { "2" } " ε" (most(groups))
                ", ± standard error. Arrows point to the more robust explanation. Bold: better than \
                 another model of the block and worse than none, by paired tests over the same images \
                 (5 %, Holm’s correction)."
            }
            (scrolling("results", &table(groups)))
            @if !checked { p { (UNCHECKED) } }
            (findings(groups))
            (floors(groups))
            (reading(groups))
        }
    }
}

/// Each attack as one number for each similarity, its success and the accuracy.
fn overalls(groups: &[Group]) -> Table {
    let mut rows = Table::default();
    for (g, group) in groups.iter().enumerate() {
        for (e, entry) in group.entries.iter().enumerate() {
            let of = keys([("group", g.to_string().as_str()), ("entry", &e.to_string())]);
            let values = |mut sample: Sample| {
                // Of other images nothing is paired.
                if !group.paired(entry) {
                    sample.values.clear();
                }
                sample
            };
            for similarity in in_tables() {
                let value = overall(&entry.run(), similarity.name);
                value.into_iter().for_each(|v| rows.push(&of, similarity.name, values(v)));
            }
            rows.push(&of, "success", values(success(&entry.run())));
            rows.push(&of, "accuracy", values(entry.accuracy()));
        }
    }
    rows
}

fn table(groups: &[Group]) -> Markup {
    let (rows, known) = (overalls(groups), quantities::of_attacks());
    let names: Vec<&str> =
        in_tables().iter().map(|m| m.name).chain(["success", "accuracy"]).collect();
    let view = View { query: Query { quantities: &names, ..VIEW.query }, ..VIEW };
    let grids = view.query.of(&rows.rows);
    html! {
        @for grid in &grids {
            table class="results sortable" {
                thead { tr { (column("model")) (view.heads(grid, &known)) } }
                @for (group, lines) in groups.iter().zip(grid.lines.chunk_by(|a, b| a.head[0] == b.head[0])) {
                    tbody {
                        tr { th class="group" colspan=(grid.columns.len() + 1) scope="rowgroup" {
                            span {
                                "maps of " b { (group.method) } " under " b { (group.attack) }
                                " on " b { (group.data) }
                            }
                        } }
                        @for (entry, cells) in group.entries.iter().zip(view.cells(grid, lines, &known)) {
                            tr { th scope="row" { (entry.label) small { (about(entry)) } } (cells) }
                        }
                    }
                }
            }
        }
    }
}

/// How large an area can be, if that is the same everywhere.
fn most(groups: &[Group]) -> String {
    let entries = groups.iter().flat_map(|g| &g.entries);
    let mut areas = entries.map(|e| full_area(&e.run().radii())).filter(|area| *area > 0.);
    match areas.next() {
        Some(first) if areas.all(|a| (a - first).abs() < 1e-6) => {
            let shown = format!("{first:.2}");
            let shown = shown.trim_end_matches('0').trim_end_matches('.');
            let bounded = in_tables().into_iter().filter(|m| m.better == Better::Higher);
            let names: Vec<&str> = bounded.map(|m| m.name).collect();
            format!(" ({}: at most {shown})", names.join(" and "))
        }
        _ => String::new(),
    }
}

fn about(entry: &Entry) -> String {
    let run = entry.run();
    let radii = match run.radii().as_slice() {
        [(_, one)] => format!("means at ε {one}"),
        [(_, first), .., (_, last)] => {
            format!("{} radii, ε {first} to {last}", run.radii().len())
        }
        [] => String::new(),
    };
    let none = match run.no_map() {
        _ if !run.checked() => ", not checked for maps".into(),
        0 => String::new(),
        count => format!(", {count} of them without a map and left out"),
    };
    let begun = starts(&entry.found.record).map(|told| format!("; {told}")).unwrap_or_default();
    format!("{}, {}{none}, {radii}{begun}", entry.card().arch, count(entry.images(), "image"))
}

/// Which numbers draws alone may explain.
fn floors(groups: &[Group]) -> Markup {
    let mut items = vec![];
    for (group, entry) in groups.iter().flat_map(|g| g.entries.iter().map(move |e| (g, e))) {
        let run = entry.run();
        for (eps, similarity) in run
            .radii()
            .into_iter()
            .flat_map(|(_, eps)| in_tables().into_iter().map(move |s| (eps, s)))
        {
            let number = |ending| run.number(eps, &format!("{}{ending}", similarity.name));
            if number(BELOW).and_then(|below| below.mean) == Some(0.) {
                let [value, floor] = ["", FLOOR].map(|e| number(e).and_then(|n| n.mean));
                let shown = |v: Option<f64>| v.map_or("undefined".into(), |v| format!("{v:.3}"));
                items.push(format!(
                    "{}, maps of {} at {eps}: {} {} is not below its floor, {}",
                    entry.label,
                    group.method,
                    similarity.title,
                    shown(value),
                    shown(floor)
                ));
            }
        }
    }
    html! {
        @if !items.is_empty() {
            p class="note" {
                "Numbers that the method's draws alone may explain; the floor is that of clean maps under \
                 other draws:"
            }
            ul { @for item in &items { li { (item) } } }
        }
    }
}

/// One sentence a group: who is more robust than whom, where a paired test tells them apart.
fn findings(groups: &[Group]) -> Markup {
    let first = in_tables()[0];
    let mut items = vec![];
    for group in groups {
        let checked = group.entries.iter().filter(|entry| entry.run().checked());
        let mut ranked: Vec<(Row, &str)> = checked
            .filter_map(|entry| {
                let mut sample = overall(&entry.run(), first.name)?;
                if !group.paired(entry) {
                    sample.values.clear();
                }
                sample.mean.filter(|mean| mean.is_finite())?;
                Some((Row::new(&Keys::new(), first.name, sample), entry.label.as_str()))
            })
            .collect();
        let mean = |row: &Row| row.number.mean.unwrap_or(f64::NAN);
        ranked.sort_by(|a, b| mean(&a.0).total_cmp(&mean(&b.0)));
        if first.better == Better::Higher {
            ranked.reverse();
        }
        if ranked.len() > 1 {
            let order = tiers(&ranked, first.better);
            items.push(html! { li { b { (group.method) } " under " (group.attack) ": " (order) } });
        }
    }
    html! {
        @if !items.is_empty() {
            p { "From the most to the least robust maps, by " (first.name) ":" }
            ul class="findings" { @for item in items { (item) } }
        }
    }
}

/// Numbers in their order; between neighbours `then` where each is better than all that follow.
fn tiers(ranked: &[(Row, &str)], way: Better) -> String {
    let rows: Vec<&Row> = ranked.iter().map(|(row, _)| row).collect();
    let better = told_apart(&rows, way);
    let mut told: Vec<Vec<String>> = vec![];
    for (i, (row, label)) in ranked.iter().enumerate() {
        let apart = (0..i).all(|before| (i..ranked.len()).all(|after| better[before][after]));
        let shown = format!("{label} ({})", number(row.number.mean.unwrap_or(f64::NAN)));
        match told.last_mut() {
            Some(tier) if !apart => tier.push(shown),
            _ => told.push(vec![shown]),
        }
    }
    let tier = |tier: &Vec<String>| match tier.len() {
        1 => tier[0].clone(),
        _ => format!("{}, not told apart", list(tier)),
    };
    told.iter().map(tier).collect::<Vec<_>>().join("; then ")
}

fn reading(groups: &[Group]) -> Markup {
    let entries = groups.iter().flat_map(|group| &group.entries);
    let sizes = entries.filter_map(|entry| entry.found.record.settings.get("k"));
    let sizes: BTreeSet<String> = sizes.map(super::details::shown).collect();
    let sizes: Vec<String> = sizes.into_iter().collect();
    let k = if sizes.is_empty() { String::new() } else { format!(" Here k = {}.", list(&sizes)) };
    html! {
        aside {
            h3 { "How to read this" }
            p {
                "An attack changes every pixel by at most ε (or the image by an ℓ2 distance of ε) so that \
                 the model’s prediction stays and its explanation moves. Each map is compared with the one \
                 before the attack, as a heat map: the share of the attribution on each pixel." (k)
                " The table gives the area under each metric over log" sub { "2" } " ε, so that every \
                 doubling of the radius weighs the same; the curves show each radius."
            }
            dl {
                @for m in in_tables() {
                    dt { (m.name) " " (m.better.arrow()) } dd { (m.about) "." }
                }
                dt { "success ↓" }
                dd {
                    "the share of images, averaged over the radii, for which the attack found a changed \
                     map under an unchanged prediction. An image without one counts with its clean map; \
                     an image that has no map, zero everywhere, counts nowhere."
                }
                dt { "accuracy ↑" }
                dd { "of the model on these images, before any attack." }
            }
            p {
                "The standard error of an area is the area under the standard errors, which is the most \
                 it can be."
            }
        }
    }
}

/// The curves over ε, a chart a metric; empty if no run has two radii.
pub(in crate::report) fn curves(groups: &[Group]) -> Result<Markup> {
    let mut parts = vec![];
    for group in groups {
        let panels = panels(group);
        if panels.is_empty() {
            continue;
        }
        let names = group.entries.iter().map(|e| (e.slot, e.label.clone())).collect::<Vec<_>>();
        let lines = list(&names.iter().map(|(_, name)| name.clone()).collect::<Vec<_>>());
        let charts = panels
            .iter()
            .map(|panel| svg(panel, &format!("{}, over ε, for {lines}", panel.title)))
            .collect::<Result<Vec<_>>>()?;
        let legend = legend(&names)?;
        parts.push(html! { h3 { (group.title()) } (legend) (drawn(charts)) });
    }
    Ok(html! { @for part in parts { (part) } })
}

/// Charts side by side.
pub(in crate::report) fn drawn(charts: Vec<String>) -> Markup {
    html! { div class="charts" { @for chart in charts { (PreEscaped(chart)) } } }
}

/// What the colours of charts are.
pub(in crate::report) fn legend(names: &[(usize, String)]) -> Result<Markup> {
    let each = names.iter().map(|(slot, name)| Ok((PreEscaped(swatch(*slot)?), name)));
    let each = each.collect::<Result<Vec<_>>>()?;
    Ok(html! { ul class="legend" { @for (swatch, name) in each { li { (swatch) (name) } } } })
}
