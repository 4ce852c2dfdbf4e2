//! What a run would do and how long it takes: each step is tried on two images and on four, and the
//! rest follows a straight line.

use crate::{
    cli::{Cli, Common},
    commands::perform,
    outcome::Outcome,
    runtime::ui::Ui,
};
use anyhow::Result;
use clap::Parser;
use experiment::{Cell, Experiment};
use serde_json::{Value, json};
use std::{collections::BTreeMap, num::NonZeroUsize, path::Path, time::Instant};

/// About how long the trials of a step may take.
const SECONDS: f64 = 30.;

/// Images of the two trials.
const TRIED: [u64; 2] = [2, 4]; // `manipulate` needs a next image

/// Options that name a file to write.
const WRITING: [&str; 3] = ["--out", "--figure", "--chart"];

/// What a cell costs, or several together.
#[derive(Clone, Copy)]
struct Cost {
    seconds: f64,
    /// Images that the network sees.
    passes: f64,
}

/// A line of a table: some of the cells.
struct Row {
    name: String,
    cells: usize,
    left: usize,
    /// Of those that are left; none where that of one is not known.
    cost: Option<Cost>,
}

/// Prints the steps, and the shards where there are to be some; makes no cell.
pub fn plan(
    experiment: &Experiment,
    run: &Path,
    shards: Option<NonZeroUsize>,
    common: &Common,
    ui: &Ui,
) -> Result<Outcome> {
    let mut outcome = Outcome::default();
    let numbers = 0..experiment.cells.len();
    // The cost of each cell that is left, by its number.
    let mut costs: BTreeMap<usize, Option<Cost>> = BTreeMap::new();
    let row = |name: String, costs: &BTreeMap<usize, Option<Cost>>, mine: &[usize]| {
        let left: Vec<Option<Cost>> = mine.iter().filter_map(|i| costs.get(i).copied()).collect();
        Row { name, cells: mine.len(), left: left.len(), cost: sum(&left) }
    };
    outcome.say(&heads("step"));
    let mut steps = vec![];
    for (number, step) in experiment.steps.iter().enumerate() {
        let of = |&i: &usize| experiment.cells[i].step == number;
        let mine: Vec<usize> = numbers.clone().filter(of).collect();
        let there = |i: usize| experiment.cells[i].file(experiment, run).exists();
        let left: Vec<usize> = mine.iter().copied().filter(|&i| !there(i)).collect();
        let cells: Vec<&Cell> = left.iter().map(|&i| &experiment.cells[i]).collect();
        costs.extend(left.into_iter().zip(tried(&cells, run, common, ui)));
        steps.push(row(step.name.clone(), &costs, &mine));
        outcome.say(&steps[number].text());
    }
    let total = steps.iter().filter_map(|row| row.cost).fold(0., |all, cost| all + cost.seconds);
    let known = steps.iter().all(|row| row.cost.is_some());
    let rest = if known { "" } else { ", and what is not known" };
    let mut said = json!({
        "run": run, "steps": steps.iter().map(|row| row.json("step")).collect::<Vec<_>>(),
        "seconds": total,
    });
    if let Some(count) = shards.map(NonZeroUsize::get) {
        let of = |i: usize| -> Vec<usize> { numbers.clone().skip(i).step_by(count).collect() };
        let rows: Vec<Row> =
            (0..count).map(|i| row(format!("{}/{count}", i + 1), &costs, &of(i))).collect();
        said["shards"] = rows.iter().map(|row| row.json("shard")).collect();
        outcome.say(&shards_text(&rows));
    }
    outcome.say(&format!("about {:.1} minutes{rest}; no cell was made", total / 60.));
    outcome.with(&said)
}

/// The table of the shards, and by how much one of them is late.
fn shards_text(rows: &[Row]) -> String {
    let mut lines = vec![String::new(), heads("shard")];
    lines.extend(rows.iter().map(Row::text));
    let seconds: Option<Vec<f64>> = rows.iter().map(|row| Some(row.cost?.seconds)).collect();
    let seconds = seconds.unwrap_or_default();
    let mean = seconds.iter().sum::<f64>() / seconds.len() as f64;
    let slowest = rows.iter().zip(&seconds).max_by(|a, b| a.1.total_cmp(b.1));
    if let Some((row, longest)) = slowest.filter(|_| mean > 0.) {
        let (name, times) = (&row.name, longest / mean);
        lines.push(format!("slowest shard: {name}, {longest:.0} s, {times:.1} times the mean"));
    }
    lines.push(String::new());
    lines.join("\n")
}

fn heads(first: &str) -> String {
    line([first, "cells", "left", "time", "passes"].map(str::to_owned))
}

fn line([name, cells, left, time, passes]: [String; 5]) -> String {
    format!("{name:<16} {cells:>6} {left:>6} {time:>12} {passes:>14}")
}

impl Row {
    fn text(&self) -> String {
        let [time, passes] = match self.cost {
            Some(Cost { seconds, passes }) => [format!("{seconds:.0} s"), format!("{passes:.0}")],
            None => ["not known".into(), "not known".into()],
        };
        line([self.name.clone(), self.cells.to_string(), self.left.to_string(), time, passes])
    }

    fn json(&self, kind: &str) -> Value {
        json!({
            kind: self.name, "cells": self.cells, "left": self.left,
            "seconds": self.cost.map(|cost| cost.seconds),
            "passes": self.cost.map(|cost| cost.passes),
        })
    }
}

fn sum(costs: &[Option<Cost>]) -> Option<Cost> {
    let none = Cost { seconds: 0., passes: 0. };
    costs.iter().try_fold(none, |all, cost| {
        let Cost { seconds, passes } = (*cost)?;
        Some(Cost { seconds: all.seconds + seconds, passes: all.passes + passes })
    })
}

/// The cost of each cell: some are tried, evenly apart, as many as the time allows; another costs what
/// the one does that has the most choices in common with it.
fn tried(left: &[&Cell], run: &Path, common: &Common, ui: &Ui) -> Vec<Option<Cost>> {
    let (bar, start) = (ui.bar(left.len() as u64, "trying"), Instant::now());
    let (mut costs, mut next) = (vec![], 0);
    while next < left.len() {
        costs.push((left[next], trial(&left[next].words(run), common)));
        let share = start.elapsed().as_secs_f64() / SECONDS;
        next += 1 + (share * left.len() as f64 / costs.len() as f64) as usize;
        bar.set_position(next.min(left.len()) as u64);
    }
    bar.finish_and_clear();
    let equal =
        |a: &Cell, b: &Cell| a.choices.iter().zip(&b.choices).filter(|(a, b)| a == b).count();
    let of = |cell: &&Cell| costs.iter().max_by_key(|(tried, _)| equal(tried, cell))?.1;
    left.iter().map(of).collect()
}

/// The cost of `words`; none where it has no `--limit`, or does not run here.
fn trial(words: &[String], common: &Common) -> Option<Cost> {
    let at = words.iter().position(|word| word == "--limit")? + 1;
    let limit: f64 = words.get(at)?.parse().ok()?;
    let mut found = vec![];
    for images in TRIED {
        let mut words = words.to_vec();
        words[at] = images.to_string();
        // A trial leaves nothing behind.
        while let Some(out) = words.iter().position(|word| WRITING.contains(&word.as_str())) {
            words.drain(out..(out + 2).min(words.len()));
        }
        words.retain(|word| word != "--resume");
        let all = std::iter::once("gradproof").chain(words.iter().map(String::as_str));
        let mut cli = Cli::try_parse_from(all).ok()?;
        (cli.common.device, cli.common.threads) = (common.device, common.threads);
        let ui = Ui { quiet: true, ..Ui::default() };
        let (start, passed) = (Instant::now(), models::network::passes());
        perform(&cli, &ui).ok()?;
        let passes = (models::network::passes() - passed) as f64;
        found.push(Cost { seconds: start.elapsed().as_secs_f64(), passes });
    }
    let line = |a: f64, b: f64| {
        let slope = (b - a).max(0.) / (TRIED[1] - TRIED[0]) as f64;
        a + slope * (limit - TRIED[0] as f64)
    };
    Some(Cost {
        seconds: line(found[0].seconds, found[1].seconds),
        passes: line(found[0].passes, found[1].passes),
    })
}
