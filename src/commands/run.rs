//! `gradproof run`: the cells of an experiment, each written when it is done, then their page.

use super::{check, perform};
use crate::{
    cli::{Cli, Command, Common, Run},
    outcome::Outcome,
    report,
    runtime::ui::Ui,
};
use anyhow::{Context, Result, anyhow, ensure};
use clap::Parser;
use experiment::{Cell, Experiment, Report, unplaced};
use results::Table;
use serde_json::{Map, Value, json};
use std::{
    fs,
    path::{Path, PathBuf},
    time::Instant,
};
use tensorfile::words;

mod expected;
mod list;
mod plan;

/// An experiment that was found to be whole, and where its run is.
struct Ready {
    experiment: Experiment,
    run: PathBuf,
    commands: Vec<Cli>,
    /// Of each command the rows it will have; none where it has no numbers.
    expected: Vec<Option<Table>>,
}

/// Checks all files, then makes the cells that are not there, one file after the other.
pub fn run(args: &Run, common: &Common, ui: &Ui) -> Result<Outcome> {
    let ready = |file: &PathBuf| Ready::read(file, args, common);
    let all = args.files.iter().map(ready).collect::<Result<Vec<_>>>()?;
    if args.list {
        return list::list(&all, args, common);
    }
    let results = all.iter().zip(&args.files).map(|(ready, file)| match args.plan {
        true => plan::plan(&ready.experiment, &ready.run, args.shards, common, ui),
        false if args.needed => needed(&ready.experiment, file, args, common, ui),
        false => ready.make(file, args, common, ui),
    });
    let mut all = results.collect::<Result<Vec<_>>>()?;
    if all.len() == 1 {
        return Ok(all.remove(0));
    }
    let text = all.iter().map(|outcome| outcome.text.as_str()).collect();
    let runs: Vec<Value> = all.into_iter().map(|outcome| outcome.json).collect();
    Ok(Outcome { text, json: json!({ "runs": runs }), failed: None })
}

impl Ready {
    /// Errors: whatever can be said against the file before anything runs.
    fn read(file: &Path, args: &Run, common: &Common) -> Result<Self> {
        let experiment = Experiment::read(file, &args.scale, &args.set)?;
        let run = args.out.join(experiment.folder());
        let commands = commands(&experiment, &run, common)?;
        let expected = commands.iter().map(|cli| expected::rows(&cli.command, &run));
        let expected = expected.collect::<Result<Vec<_>>>()?;
        Report::new(&experiment, &run, &expected)?;
        Ok(Ready { experiment, run, commands, expected })
    }

    fn make(&self, file: &Path, args: &Run, common: &Common, ui: &Ui) -> Result<Outcome> {
        let Ready { experiment, run, commands, .. } = self;
        needed(experiment, file, args, common, ui)?;
        open(experiment, run, args)?;
        let mine = args.shard.map_or((0, 1), |(i, n)| (i - 1, n));
        let there = |cell: &Cell| cell.file(experiment, run).exists();
        let mut missing: Vec<(&Cell, &Cli)> = experiment
            .cells
            .iter()
            .zip(commands)
            .enumerate()
            .filter(|(i, (cell, _))| i % mine.1 == mine.0 && !there(cell))
            .map(|(_, pair)| pair)
            .collect();
        let (count, cells) = (missing.len(), words::count(experiment.cells.len(), "cell"));
        let (name, place) = (&experiment.name, run.display());
        ui.note(&format!("{name}: {count} of {cells} to make, into {place}"));
        let bar = ui.bar(count as u64, name);
        // What reads cells of another shard is made as soon as they are there.
        let ready = |cell: &Cell| args.shard.is_none() || experiment.read_by(cell).all(there);
        while let Some(at) = missing.iter().position(|(cell, _)| ready(cell)) {
            let (cell, cli) = missing.remove(at);
            let name = cell.name(experiment);
            bar.set_message(name.clone());
            let seconds = make(experiment, run, cell, cli)?;
            bar.inc(1);
            if bar.is_hidden() {
                ui.note(&format!("{} of {count}: {name}, {seconds:.1} s", count - missing.len()));
            }
        }
        bar.finish_and_clear();
        if let [(cell, _), ..] = missing[..] {
            let (left, name) = (words::count(missing.len(), "cell"), cell.name(experiment));
            ui.note(&format!(
                "left out {left}, for want of others that are read there, such as `{name}`: `--resume` \
                 without `--shard` makes the rest"
            ));
        }
        self.finish()
    }

    /// The page of what is there.
    fn finish(&self) -> Result<Outcome> {
        let mut outcome = Outcome::default();
        let Ready { experiment, run, expected, .. } = self;
        // Shards that end together write the same page. Whoever knew of fewer cells than are there now
        // may have put an older page over a newer one, and writes again.
        let (found, page) = loop {
            let found = Report::new(experiment, run, expected)?;
            let page = report::experiment(experiment, run, &found)?;
            if experiment.done(run) == found.done {
                break (found, page);
            }
        };
        for judged in &found.claims {
            outcome.say(&format!("{}\n  {}", judged.text, judged.told()));
        }
        let (done, of) = found.done;
        let rest = if done < of {
            format!(" of {done} of {}", words::count(of, "cell"))
        } else {
            String::new()
        };
        outcome.say(&format!("page{rest}: {}", page.display()));
        let claims: Vec<report::Claimed> = found.claims.iter().map(Into::into).collect();
        let json = json!({ "run": run, "cells": of, "done": done, "page": page, "claims": claims });
        outcome.with(&json)
    }
}

/// The command of every cell. Errors: one that is none, with its line in the file.
fn commands(experiment: &Experiment, run: &Path, common: &Common) -> Result<Vec<Cli>> {
    let of = |cell: &Cell| {
        let wrong = |error: anyhow::Error| {
            let step = &experiment.steps[cell.step];
            let told = format!("cell `{}`: `{}`", cell.name(experiment), cell.command);
            experiment.source.wrong(step.start, error.context(told))
        };
        command(&cell.words(run), common).map_err(wrong)
    };
    experiment.cells.iter().map(of).collect()
}

fn command(words: &[String], common: &Common) -> Result<Cli> {
    let words = std::iter::once("gradproof").chain(words.iter().map(String::as_str));
    let parsed = Cli::try_parse_from(words).map_err(|error| anyhow!(crate::one_line(&error)));
    let mut cli = parsed?;
    ensure!(
        !matches!(cli.command, Command::Run(_) | Command::Report(_)),
        "a cell is not a run or a report"
    );
    cli.common.device = common.device;
    cli.common.threads = common.threads;
    // What a cell left unfinished is made anew.
    cli.common.force = true;
    check(&cli.command)?;
    Ok(cli)
}

/// Runs the experiments whose files this one reads; says which.
fn needed(
    experiment: &Experiment,
    beside: &Path,
    args: &Run,
    common: &Common,
    ui: &Ui,
) -> Result<Outcome> {
    for name in &experiment.file.needs {
        let told = |error| experiment.source.wrong(name.span().start, error);
        let file = beside.with_file_name(format!("{}.toml", name.get_ref()));
        // A value that is given for both is meant for both: the same data, say.
        let known = Experiment::read(&file, &args.scale, &[]).map_err(told)?.vars;
        let shared =
            |text: &&String| text.split_once('=').is_some_and(|(n, _)| known.contains_key(n));
        let set: Vec<String> = args.set.iter().filter(shared).cloned().collect();
        let other = Experiment::read(&file, &args.scale, &set).map_err(told)?;
        let run = args.out.join(other.folder());
        let (done, of) = other.done(&run);
        if done == of {
            continue;
        }
        if args.shard.is_some() {
            return Err(told(anyhow!(
                "this reads the files of `{0}`, which has {done} of {4}: first `gradproof run {1} \
                 --scale {2} --resume --out {3}`",
                name.get_ref(),
                file.display(),
                args.scale,
                args.out.display(),
                words::count(of, "cell")
            )));
        }
        let (scale, out) = (args.scale.clone(), args.out.clone());
        let first = Run {
            files: vec![file.clone()],
            scale,
            out,
            set,
            resume: true,
            shard: None,
            needed: false,
            list: false,
            plan: false,
            shards: None,
        };
        Ready::read(&file, &first, common)?.make(&file, &first, common, ui)?;
    }
    let names: Vec<&String> = experiment.file.needs.iter().map(|name| name.get_ref()).collect();
    Outcome::default().with(&json!({ "experiment": experiment.name, "needed": names }))
}

/// Writes down what is run, or checks that it is what was begun there.
fn open(experiment: &Experiment, run: &Path, args: &Run) -> Result<()> {
    let path = run.join("run.json");
    let cells: Vec<Value> =
        experiment.cells.iter().map(|cell| json!([cell.name(experiment), cell.command])).collect();
    let settings = json!({
        "experiment": experiment.name,
        "scale": experiment.scale,
        "variables": experiment.vars,
        "cells": cells,
    });
    // Of shards that start together one writes it, and the others check themselves against that.
    let text = pretty(&settings)?;
    let begin = || tensorfile::atomic::create(&path, |file| Ok(file.write_all(text.as_bytes())?));
    if !path.exists() && begin()? {
        return Ok(());
    }
    ensure!(
        args.resume || args.shard.is_some(),
        "`{}` is there already; `--resume` goes on with it, another `--out` begins anew",
        run.display()
    );
    let before: Value = serde_json::from_slice(&fs::read(&path)?)
        .with_context(|| format!("`{}` is broken", path.display()))?;
    ensure!(
        before == settings,
        "`{}` was begun with other settings or another version of the file; remove it or give \
         another `--out`",
        run.display()
    );
    Ok(())
}

/// Makes one cell; returns how long it took.
fn make(experiment: &Experiment, run: &Path, cell: &Cell, cli: &Cli) -> Result<f64> {
    let told =
        || format!("cell `{}`: `gradproof {}`", cell.name(experiment), cell.words(run).join(" "));
    let file = cell.file(experiment, run);
    if cell.command.contains("${cell}") || cell.command.contains("/cells/") {
        fs::create_dir_all(file.with_extension("")).with_context(told)?;
    }
    let ui = Ui { quiet: true, ..Ui::default() };
    let start = Instant::now();
    let mut result = perform(cli, &ui).with_context(told)?.json;
    let seconds = start.elapsed().as_secs_f64();
    ensure!(result.is_object(), "{}: left no result", told());
    let mut times = Map::from_iter([("seconds".to_owned(), json!(seconds))]);
    if let Some(origin) = result.as_object_mut().and_then(|map| map.remove("origin")) {
        times.insert("origin".into(), origin);
    }
    strip_volatile(&mut result, run);
    let choices: Vec<&str> = cell.choices.iter().map(|choice| choice.label.as_str()).collect();
    let times_file: PathBuf = ["times", &experiment.steps[cell.step].name].iter().collect();
    save(&run.join(times_file).join(format!("{}.json", cell.id)), &Value::Object(times))?;
    save(&file, &json!({ "command": cell.command, "choices": choices, "result": result }))?;
    Ok(seconds)
}

/// Takes out of `value` what differs between equal runs: times, and where the run is.
fn strip_volatile(value: &mut Value, run: &Path) {
    match value {
        Value::Object(map) => {
            map.retain(|key, _| !matches!(key.as_str(), "seconds" | "images_per_second" | "ended"));
            map.values_mut().for_each(|value| strip_volatile(value, run));
        }
        Value::Array(list) => list.iter_mut().for_each(|value| strip_volatile(value, run)),
        Value::String(text) => *text = unplaced(text, run),
        _ => {}
    }
}

fn pretty(value: &Value) -> Result<String> {
    Ok(serde_json::to_string_pretty(value)? + "\n")
}

fn save(path: &Path, value: &Value) -> Result<()> {
    let text = pretty(value)?;
    tensorfile::atomic::write(path, |file| Ok(file.write_all(text.as_bytes())?))
}
