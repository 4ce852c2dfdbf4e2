//! Finds results and training logs below folders. A JSON file of another kind is passed over; one
//! that is broken, or begins like a result and is none, is an error, never a missing row.

use super::{Found, Inputs, Measured, Training, Transferred, experiment::SUMMARY, pictures};
use crate::results::{AttackResult, EpochLine, MeasureResult, TransferResult, tidy};
use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::{ffi::OsStr, fs};

/// Reads every result of `attack`, `transfer` and `measure` (`*.json`), the pictures it names and every training log
/// (`log.jsonl`) below `dirs`. Errors: no such folder, a broken file, nothing found.
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
        match read_result(&path)? {
            Some(Read::Attack(result)) => {
                let wall = pictures::read(&path, &result)
                    .with_context(|| format!("the pictures of `{}`", path.display()))?;
                inputs.results.push(Found { path, result: *result, wall });
            }
            Some(Read::Transfer(result)) => {
                inputs.transfers.push(Transferred { path, result: *result });
            }
            Some(Read::Measure(result)) => {
                inputs.measures.push(Measured { path, result: *result });
            }
            None => {}
        }
    }
    let Inputs { results, transfers, measures, trainings, runs } = &inputs;
    let attacked = !(results.is_empty() && transfers.is_empty());
    if !attacked && runs.is_empty() && measures.is_empty() && trainings.is_empty() {
        let dirs: Vec<String> = dirs.iter().map(|d| format!("`{}`", d.display())).collect();
        bail!(
            "nothing to report below {}: found no result of `gradproof attack`, `transfer` or `measure` \
             (*.json), no log of `gradproof train` (log.jsonl) and no finished `gradproof run`",
            dirs.join(", ")
        );
    }
    Ok(inputs)
}

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

enum Read {
    Attack(Box<AttackResult>),
    Transfer(Box<TransferResult>),
    Measure(Box<MeasureResult>),
}

/// The result in `path`; none if it holds something else.
fn read_result(path: &Path) -> Result<Option<Read>> {
    let text =
        fs::read_to_string(path).with_context(|| format!("cannot read `{}`", path.display()))?;
    let value: Value = serde_json::from_str(&text)
        .with_context(|| format!("`{}` is not a whole JSON file", path.display()))?;
    let named = |command: &str| {
        path.file_stem().is_some_and(|stem| stem.to_string_lossy().starts_with(command))
    };
    let alike = |keys: &[&str]| keys.iter().all(|key| value.get(key).is_some());
    if alike(&["origin", "attack", "cells"]) || named("transfer") {
        let told = || format!("`{}` is not a result of `gradproof transfer`", path.display());
        let result: TransferResult =
            serde_json::from_value(tidy::typed(value)?).with_context(told)?;
        result.check().with_context(told)?;
        return Ok(Some(Read::Transfer(Box::new(result))));
    }
    if alike(&["origin", "columns", "rows"]) {
        let told = || format!("`{}` is not a result of `gradproof measure`", path.display());
        let result: MeasureResult =
            serde_json::from_value(tidy::typed(value)?).with_context(told)?;
        result.check().with_context(told)?;
        return Ok(Some(Read::Measure(Box::new(result))));
    }
    if !named("attack") && !alike(&["origin", "attack", "eps"]) {
        return Ok(None);
    }
    let told = || format!("`{}` is not a result of `gradproof attack`", path.display());
    let result: AttackResult = serde_json::from_value(tidy::typed(value)?).with_context(told)?;
    check(&result).with_context(told)?;
    Ok(Some(Read::Attack(Box::new(result))))
}

fn check(result: &AttackResult) -> Result<()> {
    let share = |name: &str, v: f64| {
        ensure!((0.0..=1.0).contains(&v), "`{name}` is {v}, which is not in [0, 1]");
        Ok(())
    };
    share("accuracy", result.accuracy)?;
    ensure!(!result.eps.is_empty(), "it has no radius in `eps`");
    for at in &result.eps {
        ensure!(at.eps >= 0.0, "the radius `{}` is {}", at.label, at.eps);
        at.success.map_or(Ok(()), |success| share("success", success))?;
    }
    let ascending = result.eps.windows(2).all(|pair| pair[0].eps < pair[1].eps);
    ensure!(ascending, "its radii are not in ascending order");
    Ok(())
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
