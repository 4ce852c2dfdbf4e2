//! The page itself: one HTML file without a script and without any other file.

use super::group::{Entry, Group};
use super::html::{duration, error, list, number, percent, scrolling, text};
use super::{Inputs, experiment, measured, section, transfers};
use crate::results::{AtEps, AttackResult, UNDEFINED};
use anyhow::Result;
use explain::similarity::in_tables;
use plot::dark_rules;
use serde_json::Value;
use std::{collections::BTreeSet, path::Path};
use tensorfile::words::count;

const STYLE: &str = include_str!("style.css");

/// The whole page.
pub(super) fn page(inputs: &Inputs, groups: &[Group], dir: &Path) -> Result<String> {
    let parts = [
        ("experiments", "Experiments", experiment::index(&inputs.runs, dir)),
        ("results", "Results", results(groups)),
        ("curves", "Curves over ε", section::curves(groups)?),
        ("transfer", "Transfer", transfers::section(inputs)),
        ("measured", "Measured", measured::section(inputs)),
        ("pictures", "Pictures", section::walls(groups)?),
        ("training", "Training", section::trainings(inputs)?),
        ("settings", "Settings and all numbers", details(groups)),
        ("provenance", "Where the numbers come from", provenance(inputs)),
    ];
    let title = match groups.is_empty() && inputs.transfers.is_empty() && inputs.measures.is_empty()
    {
        true if !inputs.runs.is_empty() => "What do the papers' claims come to?",
        true => "How did the trainings go?",
        false => "How robust are the explanations?",
    };
    let footer = "The same numbers for other programs: <code>results.json</code> and \
                  <code>results.csv</code> beside this page; the figures as PNG files.";
    Ok(document(title, &text(&summary(inputs, groups)), &parts, footer))
}

/// An HTML page of sections, each an id, a title and what stands there; empty ones are left out.
pub(super) fn document(
    title: &str,
    lead: &str,
    parts: &[(&str, &str, String)],
    footer: &str,
) -> String {
    let shown = parts.iter().filter(|(_, _, html)| !html.is_empty());
    let links: String =
        shown.clone().map(|(id, title, _)| format!("<a href=\"#{id}\">{title}</a>")).collect();
    let sections: String = shown
        .map(|(id, title, html)| {
            format!("<section id=\"{id}\"><h2>{title}</h2>\n{html}</section>\n")
        })
        .collect();
    let (dark, title) = (dark_rules(), text(title));
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n\
         <title>gradproof report</title>\n<style>\n{STYLE}\
         @media screen and (prefers-color-scheme: dark) {{\n{dark}}}\n</style>\n</head>\n<body>\n\
         <header>\n<p class=\"brand\">gradproof report</p>\n<h1>{title}</h1>\n\
         <p class=\"lead\">{lead}</p>\n<nav aria-label=\"sections\">{links}</nav>\n</header>\n\
         <main>\n{sections}</main>\n\
         <footer>{footer}</footer>\n\
         </body>\n</html>\n"
    )
}

/// One sentence: what was done.
fn summary(inputs: &Inputs, groups: &[Group]) -> String {
    let entries = || groups.iter().flat_map(|group| &group.entries);
    let Some(first) = entries().next() else {
        let trained = inputs.trainings.len();
        if let Some(found) = inputs.transfers.first() {
            let all = count(inputs.transfers.len(), "matrix");
            return format!(
                "{all} of transferred attacks, on {} of {}.",
                count(found.result.images, "image"),
                found.result.data
            );
        }
        if let Some(found) = inputs.measures.first() {
            let (result, rows) = (&found.result, &found.result.measured);
            let methods: BTreeSet<String> = rows.iter().map(|row| row.method.clone()).collect();
            return format!(
                "The maps of {} were measured on {} of {}.",
                list(&methods.into_iter().collect::<Vec<_>>()),
                count(result.images, "image"),
                result.data
            );
        }
        if !inputs.runs.is_empty() {
            return format!(
                "{}, each with a page of its own.",
                count(inputs.runs.len(), "experiment")
            );
        }
        return format!("{} logged; no attack was run.", count(trained, "training"));
    };
    let models: BTreeSet<(usize, &str)> = entries().map(|e| (e.slot, e.label.as_str())).collect();
    let models: Vec<String> = models.into_iter().map(|(_, label)| label.to_owned()).collect();
    let set = |of: &dyn Fn(&AttackResult) -> String| -> String {
        let all: BTreeSet<String> = entries().map(|e| of(e.result())).collect();
        list(&all.into_iter().collect::<Vec<_>>())
    };
    let radii = entries().flat_map(|e| &e.result().eps);
    let mut radii: Vec<(&str, f64)> = radii.map(|at| (at.label.as_str(), at.eps)).collect();
    radii.sort_by(|a, b| a.1.total_cmp(&b.1));
    radii.dedup_by(|a, b| a.0 == b.0);
    let radii: Vec<String> = radii.into_iter().map(|(label, _)| label.to_owned()).collect();
    let most = entries().map(|e| e.result().images).max().unwrap_or(first.result().images);
    format!(
        "The maps of {} were attacked with {} at ε = {}, on {} of {}, for {}: {}.",
        set(&|r| r.method.clone()),
        set(&|r| r.attack.clone()),
        list(&radii),
        count(most, "image"),
        set(&|r| r.data.clone()),
        count(models.len(), "model"),
        list(&models)
    )
}

fn results(groups: &[Group]) -> String {
    if groups.is_empty() {
        return String::new();
    }
    section::table(groups) + &reading(groups)
}

fn reading(groups: &[Group]) -> String {
    let sizes: BTreeSet<String> = groups
        .iter()
        .flat_map(|group| &group.entries)
        .filter_map(|entry| entry.result().settings.get("k").map(shown))
        .collect();
    let k = match sizes.len() {
        0 => String::new(),
        _ => format!(" Here k = {}.", text(&list(&sizes.into_iter().collect::<Vec<_>>()))),
    };
    let metrics: String = in_tables()
        .iter()
        .map(|m| format!("<dt>{} {}</dt><dd>{}.</dd>", m.name, m.better.arrow(), m.about))
        .collect();
    format!(
        "<aside><h3>How to read this</h3>\
         <p>An attack changes every pixel by at most ε (or the image by an ℓ2 distance of ε) so that the \
         model’s prediction stays and its explanation moves. Each map is compared with the one before \
         the attack, as a heat map: the share of the attribution on each pixel.{k} The table gives \
         the area under each metric over log<sub>2</sub> ε, so that every doubling of the radius \
         weighs the same; the curves show each radius.</p>\
         <dl>{metrics}<dt>success ↓</dt><dd>the share of images, averaged over the radii, for which \
         the attack found a changed map under an unchanged prediction. An image without one counts \
         with its clean map; an image that has no map, zero everywhere, counts nowhere.</dd><dt>accuracy ↑</dt><dd>of the model on these images, before any \
         attack.</dd></dl>\
         <p>The standard error of an area is the area under the standard errors, which is the most it \
         can be.</p></aside>"
    )
}

/// Settings, and every radius, folded away.
fn details(groups: &[Group]) -> String {
    let mut html = String::new();
    for group in groups {
        let title = text(&group.title());
        html.push_str(&format!(
            "<details><summary>Every radius: {title}</summary><p class=\"note\">Mean ± standard error; in \
             brackets the mean over the images whose attack succeeded.</p>{}</details>\n\
             <details><summary>Settings: {title}</summary>{}</details>\n",
            scrolling("every radius", &every_radius(group)),
            scrolling("settings", &settings(group))
        ));
    }
    html
}

fn every_radius(group: &Group) -> String {
    let radii = || group.entries.iter().flat_map(|entry| &entry.result().eps);
    let names: BTreeSet<&String> = radii().flat_map(|at| at.metrics.keys()).collect();
    let mut names: Vec<&String> = names.into_iter().collect();
    let rank = |name: &String| in_tables().iter().position(|m| m.name == name);
    names.sort_by_key(|name| rank(name).unwrap_or(in_tables().len()));
    let head: String =
        names.iter().map(|name| format!("<th scope=\"col\">{}</th>", text(name))).collect();
    let mut rows = String::new();
    for entry in &group.entries {
        for at in &entry.result().eps {
            let cells: String = names.iter().map(|name| cell(at, name)).collect();
            rows.push_str(&format!(
                "<tr><th scope=\"row\">{}</th><td>{}</td><td>{}</td>{cells}</tr>",
                text(&entry.label),
                text(&at.label),
                percent(at.success.unwrap_or(f64::NAN))
            ));
        }
    }
    format!(
        "<table><thead><tr><th scope=\"col\">model</th><th scope=\"col\">ε</th>\
         <th scope=\"col\">success</th>{head}</tr></thead><tbody>{rows}</tbody></table>"
    )
}

fn cell(at: &AtEps, name: &str) -> String {
    let Some(summary) = at.metrics.get(name) else { return "<td>–</td>".into() };
    let successes = summary.successes.map(|mean| format!(" ({})", number(mean)));
    let left_out = match (summary.mean, summary.undefined) {
        (None, _) | (_, 0) => String::new(),
        (_, count) => format!(", {count} {UNDEFINED}"),
    };
    format!(
        "<td>{} <small>{}{}{left_out}</small></td>",
        number(summary.mean.unwrap_or(f64::NAN)),
        error(summary.stderr),
        successes.unwrap_or_default()
    )
}

/// A row a setting, a column a model.
fn settings(group: &Group) -> String {
    let names: BTreeSet<&String> =
        group.entries.iter().flat_map(|entry| entry.result().settings.keys()).collect();
    let row = |name: &String, values: Vec<String>| {
        let cells: String = values.iter().map(|v| format!("<td>{}</td>", text(v))).collect();
        format!("<tr><th scope=\"row\">{}</th>{cells}</tr>", text(name))
    };
    let each = |of: &dyn Fn(&Entry) -> String| group.entries.iter().map(of).collect::<Vec<_>>();
    let mut rows = String::new();
    for (name, values) in [
        ("weights", each(&|e| e.result().model.name.clone())),
        ("architecture", each(&|e| e.result().model.arch.clone())),
        ("trained on", each(&|e| e.result().model.dataset.clone())),
    ] {
        rows.push_str(&row(&name.to_owned(), values));
    }
    for name in names {
        let value = |e: &Entry| e.result().settings.get(name).map_or("–".into(), shown);
        rows.push_str(&row(name, each(&value)));
    }
    let head = each(&|e| format!("<th scope=\"col\">{}</th>", text(&e.label))).concat();
    format!(
        "<table class=\"words\"><thead><tr><th scope=\"col\">setting</th>{head}</tr></thead>\
         <tbody>{rows}</tbody></table>"
    )
}

fn shown(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// Commands, versions, seeds.
fn provenance(inputs: &Inputs) -> String {
    let mut rows = String::new();
    let attacks = inputs.results.iter().map(|found| (&found.path, &found.result.origin));
    let transfers = inputs.transfers.iter().map(|found| (&found.path, &found.result.origin));
    let measures = inputs.measures.iter().map(|found| (&found.path, &found.result.origin));
    for (path, origin) in attacks.chain(transfers).chain(measures) {
        let cells = [
            format!("{} ({})", origin.version, origin.commit),
            origin.device.clone(),
            origin.seed.to_string(),
            duration(origin.seconds),
        ];
        let cells: String = cells.iter().map(|c| format!("<td>{}</td>", text(c))).collect();
        rows.push_str(&format!(
            "<tr><th scope=\"row\">{}<code>{}</code></th>{cells}</tr>",
            text(&path.display().to_string()),
            text(&origin.command)
        ));
    }
    if rows.is_empty() {
        return rows;
    }
    scrolling(
        "provenance",
        &format!(
            "<table class=\"words\"><thead><tr><th scope=\"col\">file and command</th>\
             <th scope=\"col\">version (commit)</th><th scope=\"col\">device</th>\
             <th scope=\"col\">seed</th><th scope=\"col\">time</th></tr></thead>\
             <tbody>{rows}</tbody></table>"
        ),
    )
}
