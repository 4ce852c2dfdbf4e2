//! Finds results and training logs below folders. A JSON file of another kind is passed over; one
//! that is broken, or begins like a result and is none, is an error, never a missing row.

use super::{Found, Inputs, Training, pictures, summary::SUMMARY};
use crate::results::{self, EpochLine, Record};
use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::{ffi::OsStr, fs};

/// Reads every result (`*.json`), the pictures of attacks and every training log (`log.jsonl`) below
/// `dirs`. Errors: no such folder, a broken file, nothing found.
pub fn collect(dirs: &[PathBuf]) -> Result<Inputs> {
    let mut files = BTreeMap::new(); // by canonical path: a file found twice counts once
    for dir in dirs {
        ensure!(dir.exists(), "no such folder: `{}`", dir.display());
        walk(dir, &mut files, &mut BTreeSet::new())?;
    }
    let mut inputs = Inputs::default();
    for path in files.into_values().collect::<BTreeSet<_>>() {
        if path.file_name() == Some(OsStr::new("log.jsonl")) {
            let epochs = read_log(&path)?;
            if !epochs.is_empty() {
                inputs.trainings.push(Training { name: folder(&path), epochs });
            }
            continue;
        }
        if path.file_name() == Some(OsStr::new(SUMMARY)) {
            let told = || format!("`{}` is no summary of a run", path.display());
            let read = serde_json::from_slice(&fs::read(&path)?).with_context(told)?;
            inputs.runs.push((path.parent().unwrap_or(Path::new("")).to_owned(), read));
            continue;
        }
        let Some(record) = read_result(&path)? else { continue };
        let walls = match record.kind.as_str() {
            "attack" | "explain" => pictures::read(&path, &record)
                .with_context(|| format!("the pictures of `{}`", path.display()))?,
            _ => vec![],
        };
        inputs.results.push(Found { path, record, walls });
    }
    let place = |kind: &str| ORDER.iter().position(|known| *known == kind).unwrap_or(ORDER.len());
    inputs.results.sort_by_key(|found| place(&found.record.kind));
    let Inputs { results, trainings, runs } = &inputs;
    if results.is_empty() && runs.is_empty() && trainings.is_empty() {
        let dirs: Vec<String> = dirs.iter().map(|d| format!("`{}`", d.display())).collect();
        bail!(
            "nothing to report below {}: found no result of `gradproof attack`, `transfer`, `measure` or \
             of another kind (*.json), no log of `gradproof train` (log.jsonl) and no finished \
             `gradproof run`",
            dirs.join(", ")
        );
    }
    Ok(inputs)
}

/// Kinds in the order of pages; others come after them.
const ORDER: [&str; 3] = ["attack", "transfer", "measure"];

/// Adds the files of interest at or below `path`; `seen` ends loops of links.
fn walk(
    path: &Path,
    files: &mut BTreeMap<PathBuf, PathBuf>,
    seen: &mut BTreeSet<PathBuf>,
) -> Result<()> {
    let told = || format!("cannot read `{}`", path.display());
    let real = path.canonicalize().with_context(told)?;
    if path.is_dir() {
        if !seen.insert(real) {
            return Ok(());
        }
        if path.join("run.json").exists() {
            // What is inside an experiment stands on its own page, as soon as there is one.
            let summary = path.join(SUMMARY);
            return if summary.exists() { walk(&summary, files, seen) } else { Ok(()) };
        }
        let mut entries = vec![];
        for entry in fs::read_dir(path).with_context(told)? {
            entries.push(entry.with_context(told)?.path());
        }
        entries.sort();
        // A link into nowhere and a hidden file (one half-written, say) are no results.
        let hidden = |p: &PathBuf| p.file_name().is_some_and(|n| n.as_encoded_bytes()[0] == b'.');
        for entry in entries.iter().filter(|p| !hidden(p) && p.exists()) {
            walk(entry, files, seen)?;
        }
    } else if path.extension() == Some(OsStr::new("json"))
        || path.file_name() == Some(OsStr::new("log.jsonl"))
    {
        files.entry(real).or_insert_with(|| path.to_owned());
    }
    Ok(())
}

/// The result in `path`; none if it holds something else.
fn read_result(path: &Path) -> Result<Option<Record>> {
    let told = || format!("cannot read `{}`", path.display());
    let text = fs::read_to_string(path).with_context(told)?;
    let value: Value = serde_json::from_str(&text)
        .with_context(|| format!("`{}` is not a whole JSON file", path.display()))?;
    let record = results::record(value, path)?;
    if let Some(record) = &record {
        let kind = &record.kind;
        let wrong = || format!("`{}` is not a result of `gradproof {kind}`", path.display());
        results::check(record).with_context(wrong)?;
    }
    Ok(record)
}

/// The epochs of a log. A last line without its end was cut off by a kill and is passed over; of an
/// epoch run twice (resumed) the later line counts.
fn read_log(path: &Path) -> Result<Vec<EpochLine>> {
    let text =
        fs::read_to_string(path).with_context(|| format!("cannot read `{}`", path.display()))?;
    let mut epochs = BTreeMap::new();
    for (number, line) in text.split_inclusive('\n').enumerate() {
        if line.trim().is_empty() || !line.ends_with('\n') {
            continue;
        }
        let epoch: EpochLine = serde_json::from_str(line)
            .with_context(|| format!("`{}`, line {}, is no epoch", path.display(), number + 1))?;
        epochs.insert(epoch.epoch, epoch);
    }
    Ok(epochs.into_values().collect())
}

fn folder(path: &Path) -> String {
    let real = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let name = real.parent().and_then(Path::file_name);
    name.map_or("training".into(), |name| name.to_string_lossy().into_owned())
}
