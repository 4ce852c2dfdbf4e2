//! What a run would do and how long it takes: each step is tried on one image and on three, and the
//! rest follows a straight line.

use crate::{
    cli::{Cli, Common},
    commands::perform,
    experiment::{Cell, Experiment},
    ui::Ui,
};
use anyhow::Result;
use clap::Parser;
use serde_json::{Value, json};
use std::{path::Path, time::Instant};

/// About how long the trials of a step may take.
const SECONDS: f64 = 30.;

/// Images of the two trials.
const TRIED: [u64; 2] = [1, 3];

/// What a cell costs.
struct Cost {
    seconds: f64,
    /// Images that the network sees.
    passes: f64,
}

/// Prints the steps; makes no cell.
pub fn plan(experiment: &Experiment, run: &Path, common: &Common, ui: &Ui) -> Result<Value> {
    let mut rows = vec![];
    let (mut total, mut known) = (0., true);
    ui.say(&format!(
        "{:<16} {:>6} {:>6} {:>12} {:>14}",
        "step", "cells", "left", "time", "passes"
    ))?;
    for (number, block) in experiment.blocks.iter().enumerate() {
        let cells = || experiment.cells.iter().filter(|cell| cell.block == number);
        let left: Vec<&Cell> = cells().filter(|c| !c.file(experiment, run).exists()).collect();
        let costs = tried(&left, run, common, ui);
        let sum = |of: fn(&Cost) -> f64| -> Option<f64> {
            let known: f64 = costs.iter().map(|cost| cost.as_ref().map(of)).sum::<Option<f64>>()?;
            Some(known * left.len() as f64 / costs.len().max(1) as f64)
        };
        let (seconds, passes) = (sum(|cost| cost.seconds), sum(|cost| cost.passes));
        total += seconds.unwrap_or(0.);
        known &= seconds.is_some();
        let told = |number: Option<f64>, unit: &str| {
            number.map_or("not known".into(), |number| format!("{number:.0}{unit}"))
        };
        ui.say(&format!(
            "{:<16} {:>6} {:>6} {:>12} {:>14}",
            block.name,
            cells().count(),
            left.len(),
            told(seconds, " s"),
            told(passes, "")
        ))?;
        rows.push(json!({
            "step": block.name, "cells": cells().count(), "left": left.len(),
            "seconds": seconds, "passes": passes,
        }));
    }
    let rest = if known { "" } else { ", and what is not known" };
    ui.say(&format!("about {:.1} minutes{rest}; no cell was made", total / 60.))?;
    Ok(json!({ "run": run, "steps": rows, "seconds": total }))
}

/// The cost of some of the cells, evenly apart, as many as the time allows.
fn tried(left: &[&Cell], run: &Path, common: &Common, ui: &Ui) -> Vec<Option<Cost>> {
    let (bar, start) = (ui.bar(left.len() as u64, "trying"), Instant::now());
    let (mut costs, mut next) = (vec![], 0);
    while next < left.len() {
        costs.push(trial(&left[next].words(run), common));
        let share = start.elapsed().as_secs_f64() / SECONDS;
        next += 1 + (share * left.len() as f64 / costs.len() as f64) as usize;
        bar.set_position(next.min(left.len()) as u64);
    }
    bar.finish_and_clear();
    costs
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
        while let Some(out) = words.iter().position(|word| word == "--out" || word == "--figure") {
            words.drain(out..(out + 2).min(words.len()));
        }
        words.retain(|word| word != "--resume");
        let all = std::iter::once("gradproof").chain(words.iter().map(String::as_str));
        let mut cli = Cli::try_parse_from(all).ok()?;
        (cli.common.device, cli.common.threads) = (common.device, common.threads);
        let ui = Ui { quiet: true, kept: Some(std::rc::Rc::default()), ..Ui::default() };
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
