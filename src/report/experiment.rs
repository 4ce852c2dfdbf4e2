//! The page of an experiment, as HTML and as Markdown: the question, what became of the paper's claims,
//! tables and figures in the paper's form with its printed numbers beside ours, settings and cost.

use super::document::{Head, document};
use super::html::{column, duration, scrolling, source};
use super::save;
use super::sections::attacks::{drawn, legend as legend_of};
use super::summary::{SUMMARY, Summary};
use anyhow::{Context, Result};
use experiment::{Cell, Chart, Experiment, Judged, Numbers, Report, Table, Verdict, shown};
use maud::{Markup, html};
use plot::{Figure, svg};
use results::UNDEFINED;
use serde_json::Value;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use tensorfile::words;

/// Where the index of experiments is, seen from the page of one.
pub(super) const INDEX: &str = "../index.html";

/// Writes `index.html`, `results.md`, `results.csv` and the figures into `run`, the page last; returns
/// its path.
pub fn experiment(experiment: &Experiment, run: &Path, report: &Report) -> Result<PathBuf> {
    let figures = report.charts.iter().enumerate().map(|(i, chart)| draw(run, i + 1, chart));
    let figures = figures.collect::<Result<Vec<_>>>()?;
    save(&run.join("results.md"), &markdown(experiment, report, run)?)?;
    save(&run.join("results.csv"), &csv(report))?;
    let summary = Summary::new(experiment, report);
    save(&run.join(SUMMARY), &(serde_json::to_string_pretty(&summary)? + "\n"))?;
    let html = page(experiment, report, &figures, run)?;
    let index = run.join("index.html");
    save(&index, &html)?;
    Ok(index)
}

/// The class of a claim's mark.
fn mark(verdict: &Verdict) -> &'static str {
    match verdict {
        Verdict::Holds(_) => "holds",
        Verdict::Fails(_) => "fails",
        _ => "open",
    }
}

/// Writes the PNG of a figure; returns what stands on the page.
fn draw(run: &Path, number: usize, chart: &Chart) -> Result<Markup> {
    let file = run.join(format!("figure-{number}.png"));
    match chart {
        Chart::Panels { title, panels, legend } => {
            let figure =
                Figure { title: title.clone(), panels: panels.clone(), legend: legend.clone() };
            plot::chart(&file, &figure)?;
            let charts = panels
                .iter()
                .map(|panel| svg(panel, &format!("{title}: {}", panel.title)))
                .collect::<Result<_>>()?;
            let names = if legend.is_empty() {
                html! {}
            } else {
                legend_of(legend)?
            };
            Ok(html! { h3 { (title) } (names) (drawn(charts)) })
        }
        Chart::Heatmap(map) => {
            plot::heatmap(&file, map)?;
            let picture = embedded(&file, &map.title)?;
            Ok(html! { figure { (picture) } })
        }
        Chart::Pictures { title, files } => {
            let each = files
                .iter()
                .map(|(caption, file)| {
                    Ok((caption, embedded(file, &format!("{title}: {caption}"))?))
                })
                .collect::<Result<Vec<_>>>()?;
            Ok(html! {
                h3 { (title) }
                @for (caption, picture) in each {
                    figure { (picture) figcaption { (caption) } }
                }
            })
        }
    }
}

/// A PNG inside the page.
fn embedded(file: &Path, alt: &str) -> Result<Markup> {
    let bytes = fs::read(file).with_context(|| format!("cannot read `{}`", file.display()))?;
    Ok(html! { img class="wide" src=(source(&bytes)) alt=(alt); })
}

fn page(
    experiment: &Experiment,
    report: &Report,
    figures: &[Markup],
    run: &Path,
) -> Result<String> {
    let file = &experiment.file;
    let notes = html! {
        @if !file.notes.is_empty() { p { (file.notes) } }
        (settings(experiment, run))
    };
    let parts = [
        ("claims", "Claims", claims(report)),
        ("figures", "Figures", html! { @for figure in figures { (figure) } }),
        ("tables", "Tables", html! { @for table in &report.tables { (html_table(table)) } }),
        ("settings", "Settings and cost", notes),
    ];
    let from = match file.reproduces.is_empty() {
        true => String::new(),
        false => format!(" After {}.", file.reproduces.join("; ")),
    };
    let lead = format!("{}{from} Scale: {}.{}", file.question, experiment.scale, part(report));
    let footer = html! {
        "The same numbers for other programs: " code { "results.csv" } ", every result under "
        code { "cells/" } "; the figures as PNG files."
    };
    let name = format!("{} ({})", file.title, experiment.scale);
    let head = Head { name: &name, title: &file.title, lead: &lead, index: Some(INDEX) };
    Ok(document(&head, &parts, &footer, &csv(report)))
}

/// What is said of a run that is not finished.
fn part(report: &Report) -> String {
    match report.done {
        (done, of) if done < of => {
            format!(" So far {done} of {} are there.", words::count(of, "cell"))
        }
        _ => String::new(),
    }
}

/// How claims are judged.
const JUDGED: &str = "Judged by a paired bootstrap over images, with Holm's correction over the claims of this page at 5 %; intervals have 95 %. The \
                      chance by order alone is how often exchangeable numbers would be in the claimed order.";

/// The word of a verdict, and what follows it.
fn split(judged: &Judged) -> (&'static str, String) {
    let (word, told) = (judged.verdict.word(), judged.told());
    (word, told.strip_prefix(word).unwrap_or_default().to_owned())
}

fn claims(report: &Report) -> Markup {
    html! {
        @if !report.claims.is_empty() {
            p class="note" { (JUDGED) }
            ul class="claims" {
                @for judged in &report.claims {
                    @let (word, rest) = split(judged);
                    li class=(mark(&judged.verdict)) {
                        (judged.text) " " strong { (word) } (rest)
                    }
                }
            }
        }
    }
}

fn cell(numbers: &Numbers) -> (String, Option<String>) {
    (numbers.ours.map_or("–".into(), shown), numbers.printed.map(|printed| printed.to_string()))
}

fn html_table(table: &Table) -> Markup {
    let mut all = table.lines.iter().flat_map(|(_, numbers)| numbers);
    let printed = all.any(|numbers| numbers.printed.is_some());
    let made = html! {
        table {
            thead { tr {
                @for name in &table.rows { (column(name)) }
                @for (labels, name) in &table.columns {
                    th scope="col" { @for label in labels { small { (label) } " " } (name) }
                }
            } }
            tbody {
                @for (labels, numbers) in &table.lines {
                    tr {
                        @for label in labels { th scope="row" { (label) } }
                        @for (ours, printed) in numbers.iter().map(cell) {
                            td { (ours) @if let Some(n) = printed { " " small { "(" (n) ")" } } }
                        }
                    }
                }
            }
        }
    };
    html! {
        h3 { (table.title) }
        (scrolling(&table.title, &made))
        @if printed { p class="note" { "In brackets: what the paper prints." } }
    }
}

/// Every variable and command, and how long it took.
fn settings(experiment: &Experiment, run: &Path) -> Markup {
    let seconds = |cell: &Cell| {
        let folder = run.join("times").join(&experiment.steps[cell.step].name);
        let text = fs::read(folder.join(format!("{}.json", cell.id))).ok();
        let times: Value = text.and_then(|b| serde_json::from_slice(&b).ok()).unwrap_or_default();
        times["seconds"].as_f64()
    };
    let cells: Vec<(&Cell, Option<f64>)> =
        experiment.cells.iter().map(|cell| (cell, seconds(cell))).collect();
    let total = cells.iter().filter_map(|(_, seconds)| *seconds).sum();
    let vars = html! {
        table class="words" { tbody {
            @for (name, value) in &experiment.vars { tr { th scope="row" { (name) } td { (value) } } }
        } }
    };
    let commands = html! {
        table class="words" { tbody {
            @for (cell, seconds) in &cells {
                tr {
                    th scope="row" {
                        (cell.name(experiment)) code { "gradproof " (cell.command) }
                    }
                    td { (seconds.map_or("–".into(), duration)) }
                }
            }
        } }
    };
    html! {
        p { (words::count(cells.len(), "cell")) ", " (duration(total)) " altogether." }
        (scrolling("variables", &vars))
        details { summary { "Every command" } (scrolling("commands", &commands)) }
    }
}

fn markdown(experiment: &Experiment, report: &Report, run: &Path) -> Result<String> {
    let file = &experiment.file;
    let mut md = format!("# {}\n\n{}\n", file.title, file.question);
    if !file.reproduces.is_empty() {
        let _ = write!(md, "\nAfter {}. ", file.reproduces.join("; "));
    }
    let words: Vec<String> =
        experiment.vars.iter().map(|(name, value)| format!("{name} {value}")).collect();
    let (scale, words) = (&experiment.scale, words.join(", "));
    let _ = writeln!(md, "Scale `{scale}`: {words}.{}\n\n{}\n", part(report), file.notes);
    if !report.claims.is_empty() {
        let _ = writeln!(md, "{JUDGED}\n");
    }
    for judged in &report.claims {
        let (word, rest) = split(judged);
        let _ = writeln!(md, "- {} **{word}**{rest}", judged.text);
    }
    for table in &report.tables {
        let _ = write!(md, "\n## {}\n\n{}", table.title, markdown_table(table));
    }
    for (i, chart) in report.charts.iter().enumerate() {
        let drawn = |title: &str| vec![(title.to_owned(), format!("figure-{}.png", i + 1))];
        let pictures = match chart {
            Chart::Panels { title, .. } => drawn(title),
            Chart::Heatmap(map) => drawn(&map.title),
            Chart::Pictures { title, files } => {
                let each = files.iter().map(|(caption, file)| {
                    let both = [title.as_str(), caption.as_str()];
                    let alt: Vec<&str> = both.into_iter().filter(|s| !s.is_empty()).collect();
                    Ok((alt.join(": "), file.strip_prefix(run)?.display().to_string()))
                });
                each.collect::<Result<_>>()?
            }
        };
        for (title, file) in pictures {
            let _ = write!(md, "\n![{title}]({file})\n");
        }
    }
    let name = &experiment.name;
    let _ = write!(md, "\nMade with `just {name} scale={}`.\n", experiment.scale);
    Ok(md)
}

fn markdown_table(table: &Table) -> String {
    let columns = table.columns.iter().map(|(labels, name)| {
        labels.iter().chain([name]).map(String::as_str).collect::<Vec<_>>().join(" ")
    });
    let head: Vec<String> = table.rows.iter().cloned().chain(columns).collect();
    let mut md = format!("| {} |\n|{}\n", head.join(" | "), "---|".repeat(head.len()));
    for (labels, numbers) in &table.lines {
        let cells = numbers.iter().map(|numbers| {
            let (ours, printed) = cell(numbers);
            printed.map_or(ours.clone(), |printed| format!("{ours} ({printed})"))
        });
        let row: Vec<String> = labels.iter().cloned().chain(cells).collect();
        let _ = writeln!(md, "| {} |", row.join(" | "));
    }
    let printed = table.lines.iter().flat_map(|(_, n)| n).any(|n| n.printed.is_some());
    if printed { md + "\nIn brackets: what the paper prints.\n" } else { md }
}

/// One row a number: table, labels, name, ours, printed.
fn csv(report: &Report) -> String {
    let quoted = |text: &str| format!("\"{}\"", text.replace('"', "\"\""));
    let mut csv = String::from("table,row,column,value,ours,printed\n");
    for table in &report.tables {
        for (labels, numbers) in &table.lines {
            for ((column, name), n) in table.columns.iter().zip(numbers) {
                let undefined = |n: f64| if n.is_nan() { UNDEFINED.into() } else { n.to_string() };
                let number = |n: Option<f64>| n.map_or(String::new(), undefined);
                let words = [&table.title, &labels.join(","), &column.join(","), name];
                let words: Vec<String> = words.iter().map(|word| quoted(word)).collect();
                let _ =
                    writeln!(csv, "{},{},{}", words.join(","), number(n.ours), number(n.printed));
            }
        }
    }
    csv
}
