//! Which tables and figures of papers there are recipes for, and how far their runs are.

use super::Ready;
use crate::{
    cli::{Common, Run},
    outcome::Outcome,
    report::Summary,
};
use anyhow::Result;
use serde_json::{Map, json};
use std::path::Path;

/// Of a scale that the file does not have.
const NO_SCALE: &str = "no scale";

const SCALES: [&str; 3] = ["smoke", "cpu", experiment::PAPER];

/// A line for each table and figure, sorted: what makes it, its state at every scale, and what became
/// of its claims at the largest that was run. Errors: a file that is malformed at any scale.
pub(super) fn list(all: &[Ready], args: &Run, common: &Common) -> Result<Outcome> {
    let mut outcome = Outcome::default();
    let mut rows = vec![];
    for Ready { experiment, .. } in all {
        let (mut states, mut claims) = (Map::new(), String::new());
        for scale in SCALES {
            if scale != experiment::PAPER && !experiment.file.scale.contains_key(scale) {
                states.insert(scale.into(), NO_SCALE.into());
                continue;
            }
            let (set, scale) = (vec![], scale.to_owned());
            let at =
                Run { files: vec![], set, scale: scale.clone(), out: args.out.clone(), ..*args };
            let ready = Ready::read(Path::new(&experiment.source.name), &at, common)?;
            states.insert(scale, state(&ready).into());
            claims = Summary::of(&ready.run).map_or(claims, |summary| summary.counted());
        }
        let name = experiment.name.clone();
        rows.extend(
            experiment
                .file
                .reproduces
                .iter()
                .map(|item| (item, name.clone(), states.clone(), claims.clone())),
        );
    }
    rows.sort_by_key(|(item, ..)| natural(item));
    let line = |item: &str, recipe: &str, [a, b, c]: [&str; 3], claims: &str| {
        let line = format!("{item:<36} {recipe:<22} {a:>9} {b:>9} {c:>9}  {claims}");
        line.trim_end().to_owned()
    };
    outcome.say(&line("table or figure", "recipe", SCALES, "claims"));
    for (item, recipe, states, claims) in &rows {
        let states = SCALES.map(|scale| states[scale].as_str().unwrap_or_default());
        outcome.say(&line(item, recipe, states, claims));
    }
    let list = rows.iter().map(|(item, recipe, states, claims)| {
        json!({ "reproduces": item, "recipe": recipe, "states": states, "claims": claims })
    });
    outcome.with(&json!({ "papers": list.collect::<Vec<_>>() }))
}

/// `done`, `3 of 8`, or `-` where nothing is done.
fn state(ready: &Ready) -> String {
    let (done, of) = ready.experiment.done(&ready.run);
    match done {
        0 => "-".into(),
        done if done == of => "done".into(),
        done => format!("{done} of {of}"),
    }
}

/// Numbers in a name sort as numbers.
fn natural(text: &str) -> Vec<(String, u64)> {
    let words = text.split(' ').map(|word| {
        let digits = word.trim_start_matches(|c: char| !c.is_ascii_digit());
        (word[..word.len() - digits.len()].to_owned(), digits.parse().unwrap_or(0))
    });
    words.collect()
}
