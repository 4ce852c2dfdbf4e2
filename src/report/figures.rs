//! The charts and walls of a report: what they show, and their PNG files.

use super::group::Group;
use super::sections::transfers::heatmap;
use super::{Inputs, Training};
use crate::results::Matrix;
use anyhow::Result;
use explain::similarity::in_tables;
use plot::{Figure, Panel, Point, Series, XAxis};
use std::collections::BTreeSet;
use std::path::Path;

/// Writes `wall-*.png`, `curves-*.png`, `transfer-*.png` and `training-*.png` into `dir`.
pub(super) fn write(dir: &Path, inputs: &Inputs, groups: &[Group]) -> Result<()> {
    let mut used = BTreeSet::new();
    for group in groups {
        let panels = panels(group);
        if !panels.is_empty() {
            let name = free(&mut used, &["curves", group.method, group.attack]);
            let legend = group.entries.iter().map(|e| (e.slot, e.label.clone())).collect();
            plot::chart(&dir.join(name), &Figure { title: group.title(), panels, legend })?;
        }
        for entry in &group.entries {
            for wall in &entry.found.walls {
                let name = free(&mut used, &["wall", &entry.label, group.method, group.attack]);
                let title = format!("{}: {} at {}", entry.label, group.title(), wall.eps);
                plot::attack_gallery(&dir.join(name), &title, &wall.first)?;
            }
        }
    }
    for found in inputs.of("transfer") {
        let name = free(&mut used, &["transfer", &Matrix::of(&found.record).title()]);
        plot::heatmap(&dir.join(name), &heatmap(&found.record))?;
    }
    for training in &inputs.trainings {
        let (panels, legend) = history(training);
        let title = format!("training of {}", training.name);
        let name = free(&mut used, &["training", &training.name]);
        plot::chart(&dir.join(name), &Figure { title, panels, legend })?;
    }
    Ok(())
}

/// A file name of `parts` that is not used yet.
fn free(used: &mut BTreeSet<String>, parts: &[&str]) -> String {
    let letters = parts.join("-").to_lowercase();
    let words: Vec<&str> =
        letters.split(|c: char| !c.is_ascii_alphanumeric()).filter(|w| !w.is_empty()).collect();
    let stem: String = words.join("-").chars().take(100).collect();
    let numbered = (2..).map(|n| format!("{stem}-{n}.png"));
    let mut names = std::iter::once(format!("{stem}.png")).chain(numbered);
    let name = names.find(|name| !used.contains(name)).expect("there is always a next number");
    used.insert(name.clone());
    name
}

/// A chart a metric, a line a model; none if every run has one radius.
pub(super) fn panels(group: &Group) -> Vec<Panel> {
    if group.entries.iter().all(|entry| entry.run().radii().len() < 2) {
        return vec![];
    }
    let mut panels = vec![];
    for metric in in_tables() {
        let line = |entry: &super::group::Entry| {
            let run = entry.run();
            let at = run.radii().into_iter().filter_map(|(eps, label)| {
                let number = run.number(label, metric.name)?;
                Some(Point::new(eps, label.to_owned(), number.mean?, number.stderr.unwrap_or(0.)))
            });
            Series { color_index: entry.slot, points: at.collect() }
        };
        let series: Vec<Series> = group.entries.iter().map(line).collect();
        if series.iter().any(|s| !s.points.is_empty()) {
            let title = format!("{} {}  {}", metric.name, metric.better.arrow(), metric.title);
            let below = "radius ε of the attack".into();
            panels.push(Panel {
                title,
                x_axis: XAxis::Radii,
                x_label: below,
                y_label: metric.name.to_owned(),
                y_range: metric.axis,
                equal: false,
                series,
            });
        }
    }
    panels
}

/// Loss and accuracy over the epochs, and the legend of both.
pub(super) fn history(training: &Training) -> (Vec<Panel>, Vec<(usize, String)>) {
    let line = |slot, value: &dyn Fn(&crate::results::EpochLine) -> Option<f64>| {
        let point = |epoch: &crate::results::EpochLine| {
            let (x, y) = (f64::from(epoch.epoch), value(epoch)?);
            Some(Point::new(x, String::new(), y, 0.0))
        };
        Series { color_index: slot, points: training.epochs.iter().filter_map(point).collect() }
    };
    let parts: BTreeSet<&String> = training.epochs.iter().flat_map(|e| e.loss.keys()).collect();
    let mut parts: Vec<&String> = parts.into_iter().collect();
    parts.sort_by_key(|part| *part != "total");
    let mut legend: Vec<(usize, String)> =
        parts.iter().enumerate().map(|(slot, part)| (slot, format!("loss: {part}"))).collect();
    let losses = parts.iter().enumerate();
    let losses = losses.map(|(slot, part)| line(slot, &|e| e.loss.get(*part).copied())).collect();
    // The same colours for every training that has at most three parts.
    let slot = parts.len().max(3);
    let mut accuracies = vec![line(slot, &|e| Some(e.train_accuracy))];
    legend.push((slot, "accuracy: train".into()));
    let test = line(slot + 1, &|e| e.test_accuracy);
    if !test.points.is_empty() {
        accuracies.push(test);
        legend.push((slot + 1, "accuracy: test".into()));
    }
    let robust = line(slot + 2, &|e| e.robust_accuracy);
    if !robust.points.is_empty() {
        accuracies.push(robust);
        legend.push((slot + 2, "accuracy: attacked test images".into()));
    }
    let panel = |title: &str, include, series| Panel {
        title: title.into(),
        x_axis: XAxis::Epochs,
        x_label: "epochs".into(),
        y_label: title.into(),
        y_range: include,
        equal: false,
        series,
    };
    (vec![panel("loss", (0.0, 0.0), losses), panel("accuracy", (0.0, 1.0), accuracies)], legend)
}
