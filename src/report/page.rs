//! The page itself: one HTML file.

use super::document::{Head, document};
use super::group::{Entry, Group};
use super::html::list;
use super::sections::{any, attacks, details, measured, pictures, trainings, transfers};
use super::{Inputs, summary, tables};
use crate::results::counted;
use anyhow::Result;
use maud::html;
use std::{collections::BTreeSet, path::Path};
use tensorfile::words::count;

/// The whole page.
pub(super) fn page(inputs: &Inputs, groups: &[Group], dir: &Path) -> Result<String> {
    let parts = [
        ("experiments", "Experiments", summary::index(&inputs.runs, dir)),
        ("results", "Results", attacks::section(groups)),
        ("curves", "Curves over ε", attacks::curves(groups)?),
        ("transfer", "Transfer", transfers::section(inputs)),
        ("measured", "Measured", measured::section(inputs)?),
        ("others", "Other results", any::section(inputs)),
        ("pictures", "Pictures", pictures::section(inputs, dir)?),
        ("training", "Training", trainings::section(inputs)?),
        ("settings", "Settings and all numbers", details::section(groups)),
        ("provenance", "Where the numbers come from", details::provenance(inputs)),
    ];
    let title = match inputs.results.is_empty() {
        true if !inputs.runs.is_empty() => "What do the papers' claims come to?",
        true => "How did the trainings go?",
        false if inputs.results.iter().all(|found| found.record.kind == "explain") => {
            "What do the networks look at?"
        }
        false => "How robust are the explanations?",
    };
    let footer = html! {
        "The same numbers for other programs: " a href="results.json" { "results.json" } " and "
        a href="results.csv" { "results.csv" } " beside this page; the figures as PNG files."
    };
    let lead = lead(inputs, groups);
    let head = Head { name: &name(inputs, groups), title, lead: &lead, index: None };
    Ok(document(&head, &parts, &footer, &tables::csv(inputs)?))
}

/// What tells the page from others: methods, attacks and data, or what else there is.
fn name(inputs: &Inputs, groups: &[Group]) -> String {
    let some = |all: BTreeSet<String>| list(&all.into_iter().collect::<Vec<_>>());
    if !groups.is_empty() {
        return some(groups.iter().map(Group::title).collect());
    }
    if let [found, ..] = &inputs.results[..] {
        let kinds = some(inputs.results.iter().map(|found| found.record.kind.clone()).collect());
        let methods = found.record.rows.distinct("method").into_iter().map(str::to_owned);
        let methods = some(methods.collect());
        let of = if methods.is_empty() { String::new() } else { format!(" of {methods}") };
        let on = match found.record.data.as_str() {
            "" => String::new(),
            data => format!(" on {data}"),
        };
        return format!("{kinds}{of}{on}");
    }
    if !inputs.runs.is_empty() {
        return count(inputs.runs.len(), "experiment");
    }
    let trainings = inputs.trainings.iter().map(|training| training.name.clone());
    format!("training of {}", some(trainings.collect()))
}

/// One sentence: what was done.
fn lead(inputs: &Inputs, groups: &[Group]) -> String {
    let entries = || groups.iter().flat_map(|group| &group.entries);
    if entries().next().is_none() {
        return without_attacks(inputs);
    }
    let models: BTreeSet<(usize, &str)> = entries().map(|e| (e.slot, e.label.as_str())).collect();
    let models: Vec<String> = models.into_iter().map(|(_, label)| label.to_owned()).collect();
    let set = |of: &dyn Fn(&Entry) -> String| -> String {
        let all: BTreeSet<String> = entries().map(of).collect();
        list(&all.into_iter().collect::<Vec<_>>())
    };
    let runs: Vec<_> = entries().map(Entry::run).collect();
    let mut radii: Vec<(f64, &str)> = runs.iter().flat_map(|run| run.radii()).collect();
    radii.sort_by(|a, b| a.0.total_cmp(&b.0));
    radii.dedup_by(|a, b| a.1 == b.1);
    let radii: Vec<String> = radii.into_iter().map(|(_, label)| label.to_owned()).collect();
    let most = entries().map(Entry::images).max().unwrap_or(0);
    format!(
        "The maps of {} were attacked with {} at ε = {}, on {} of {}, for {}: {}.",
        set(&|e| e.run().key("method").to_owned()),
        set(&|e| e.run().key("attack").to_owned()),
        list(&radii),
        count(most, "image"),
        set(&|e| e.found.record.data.clone()),
        count(models.len(), "model"),
        list(&models)
    )
}

/// The same without an attack on maps.
fn without_attacks(inputs: &Inputs) -> String {
    if let Some(found) = inputs.of("transfer").next() {
        let images = counted(&found.record);
        let all = count(inputs.of("transfer").count(), "matrix");
        return format!("{all} of transferred attacks, on {images} of {}.", found.record.data);
    }
    if let Some(found) = inputs.of("measure").next() {
        let mut methods = found.record.rows.distinct("method");
        methods.sort_unstable();
        let methods: Vec<String> = methods.into_iter().map(str::to_owned).collect();
        let images = counted(&found.record);
        let (methods, data) = (list(&methods), &found.record.data);
        return format!("The maps of {methods} were measured on {images} of {data}.");
    }
    if !inputs.results.is_empty() {
        let kinds: BTreeSet<String> =
            inputs.results.iter().map(|found| found.record.kind.clone()).collect();
        let kinds = list(&kinds.into_iter().collect::<Vec<_>>());
        return format!("{} of {kinds}.", count(inputs.results.len(), "result"));
    }
    if !inputs.runs.is_empty() {
        let runs = count(inputs.runs.len(), "experiment");
        return format!("{runs}, each with a page of its own.");
    }
    format!("{} logged; no attack was run.", count(inputs.trainings.len(), "training"))
}
