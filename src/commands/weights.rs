//! `gradproof weights`: info, convert.

use crate::{
    cli::{Common, Store, Weights},
    outcome::Outcome,
    runtime::outputs::Files,
    runtime::ui::Ui,
    session::classes::listed,
};
use anyhow::{Result, ensure};
use models::{
    Source,
    checkpoint::{self, Contents, Hints},
};
use std::{collections::BTreeMap, fmt::Write, path::Path};
use tch::{Kind, Tensor};
use tensorfile::words::count;

/// Runs the subcommand.
pub fn run(args: &Weights, common: &Common, ui: &Ui) -> Result<Outcome> {
    let mut outcome = Outcome::default();
    match args {
        Weights::Info { file, arch, entry } => {
            info(file, &Hints { arch: arch.clone(), entry: entry.clone(), ..Hints::default() })
        }
        Weights::Convert { file, out, arch, normalise, entry, size, store, classes } => {
            let (arch, normalise, entry) = (arch.clone(), normalise.clone(), entry.clone());
            let hints = Hints { arch, normalise, entry, size: *size };
            let files = Files::default().reads("FILE", [file]).writes("--out", [out]);
            files.check(common.force)?;
            check_form(checkpoint::is_onnx(file), *store, out)?;
            let mut loaded = checkpoint::load(file, &hints)?;
            for note in &loaded.notes {
                ui.note(note);
            }
            if let Some(classes) = classes {
                let names = listed(classes)?;
                let wanted = loaded.classifier.shape.classes;
                let (found, n) = (count(names.len(), "name"), count(wanted, "class"));
                ensure!(names.len() as i64 == wanted, "{found} for {n}");
                loaded.classifier.classes = names;
            }
            let graph = matches!(loaded.classifier.source, Source::Graph(_));
            let sized = loaded.sized() || !graph;
            ensure!(sized, "the file leaves the size of its images open: say `--size`");
            files.check_writable()?;
            let kind = match store {
                Store::F32 => Kind::Float,
                Store::F16 => Kind::Half,
            };
            let stored = registry::word(store);
            checkpoint::save(out, &loaded.classifier, kind, &loaded.metadata)?;
            let arch = loaded.classifier.source.name();
            outcome.say(&format!("{arch} weights as {stored}: {}", out.display()));
            outcome.with(&serde_json::json!({ "weights": out, "arch": arch, "store": stored }))
        }
    }
}

/// Errors: a graph that would become something else, or something else a graph.
fn check_form(graph: bool, store: Store, out: &Path) -> Result<()> {
    let named = out.extension().is_some_and(|e| e == "onnx");
    ensure!(graph || !named, "`--out {}`: only an ONNX file becomes one", out.display());
    ensure!(!graph || named, "an ONNX file stays one: give `--out` a name that ends in `.onnx`");
    ensure!(!graph || store == Store::F32, "an ONNX file keeps its types: leave `--store` out");
    Ok(())
}

fn info(path: &Path, hints: &Hints) -> Result<Outcome> {
    let mut outcome = Outcome::default();
    let Contents { tensors, metadata, notes } = checkpoint::contents(path, hints)?;
    let numbers: usize = tensors.values().flatten().map(Tensor::numel).sum();
    let (all, numbers) = (count(tensors.len(), "tensor"), count(numbers, "number"));
    let mut text = format!("{}: {all}, {numbers}\n", path.display());
    for (key, value) in &metadata {
        let _ = writeln!(text, "  {key}: {}", value.trim().replace('\n', "\n    "));
    }
    for note in &notes {
        let _ = writeln!(text, "  {note}");
    }
    for (name, tensor) in &tensors {
        let _ = match tensor {
            Ok(t) => writeln!(text, "  {name} {:?} {:?}", t.size(), t.kind()),
            Err(error) => writeln!(text, "  {error:#}"),
        };
    }
    outcome.say(text.trim_end());
    let shapes: BTreeMap<_, _> =
        tensors.iter().map(|(name, t)| (name, t.as_ref().ok().map(Tensor::size))).collect();
    outcome.with(&serde_json::json!({
        "file": path, "metadata": metadata, "notes": notes, "tensors": shapes
    }))
}
