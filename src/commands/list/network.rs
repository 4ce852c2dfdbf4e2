//! `gradproof list --weights FILE`: what a network has.

use crate::{cli::List, outcome::Outcome, runtime::ui::Ui};
use anyhow::Result;
use models::{
    Source,
    checkpoint::{self, Hints},
};
use serde_json::json;
use std::{collections::BTreeMap, fmt::Write, path::Path};
use tensorfile::words::count;

/// Errors: a file that holds no network.
pub(super) fn run(file: &Path, args: &List, ui: &Ui) -> Result<Outcome> {
    let (arch, entry) = (args.arch.clone(), args.entry.clone());
    let loaded = checkpoint::load(file, &Hints { arch, entry, ..Hints::default() })?;
    loaded.notes.iter().for_each(|note| ui.note(note));
    let model = loaded.classifier;
    let (image, classes) = (model.shape.image, model.shape.classes);
    let (name, parameters) = (model.source.name(), model.params().count());
    let taps = explain::taps(&model, image);
    let operators: Option<BTreeMap<&str, usize>> = match &model.source {
        Source::Graph(graph) => Some(graph.file().operators()),
        Source::Zoo(_) => None,
    };
    let [c, h, w] = image;
    let (n, all) = (count(classes, "class"), count(parameters, "parameter"));
    let mut text = format!("{}: {name}, images {c}x{h}x{w}, {n}, {all}\n", file.display());
    if let Some(operators) = &operators {
        let each: Vec<String> = operators.iter().map(|(name, n)| format!("{name} {n}")).collect();
        let _ = writeln!(text, "operators: {}", each.join(", "));
    }
    text += match taps[..] {
        [] => "no taps: `gradcam` explains the image itself",
        _ => "taps for `gradcam:layer=NAME`, input side first",
    };
    let width = taps.iter().map(|tap| tap.name.chars().count()).max().unwrap_or(0);
    for tap in &taps {
        let taken = if tap.default { "  taken without `layer`" } else { "" };
        let _ = write!(text, "\n  {:<width$}  {:?}{taken}", tap.name, tap.shape);
    }
    let mut outcome = Outcome::default();
    outcome.say(&text);
    outcome.with(&json!({
        "weights": file, "name": name, "image": image, "classes": classes,
        "parameters": parameters, "operators": operators, "taps": taps,
    }))
}
