//! One run of an experiment in short: what became of its claims, for the index of runs, `run --list`
//! and whoever wants to cite it.

use super::html::{column, relative, scrolling};
use experiment::{Experiment, Judged, Report};
use maud::{Markup, html};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// What the index of runs reads of one.
pub const SUMMARY: &str = "summary.json";

/// What becomes of claims, in the order in which they are counted.
const WORDS: [&str; 4] = ["holds", "fails", "not decided", "not tested"];

/// One run.
#[derive(Debug, Serialize, Deserialize)]
pub struct Summary {
    /// The name of its file.
    pub experiment: String,
    /// Above its page.
    pub title: String,
    /// Tables and figures of papers.
    pub reproduces: Vec<String>,
    /// Its size.
    pub scale: String,
    /// Its claims in the order of the file.
    #[serde(default)]
    pub verdicts: Vec<Claimed>,
}

/// A claim and what became of it.
#[derive(Debug, Serialize, Deserialize)]
pub struct Claimed {
    /// What is claimed.
    pub claim: String,
    /// `holds`, `fails`, `not decided` or `not tested`.
    pub verdict: String,
    /// The same with what decided.
    pub told: String,
    /// The 95 % interval of the number or difference that decided.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub interval: Option<[f64; 2]>,
    /// How likely it is by chance, after Holm's correction over the page.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub adjusted: Option<f64>,
    /// How likely its order is if all numbers were exchangeable.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub chance: Option<f64>,
}

impl From<&Judged> for Claimed {
    fn from(judged: &Judged) -> Self {
        let found = judged.verdict.told();
        let ends = found.and_then(|found| Some(found.interval?.ends));
        Claimed {
            claim: judged.text.clone(),
            verdict: judged.verdict.word().into(),
            told: judged.told(),
            interval: ends.filter(|ends| ends.iter().all(|end| end.is_finite())),
            adjusted: found.map(|found| found.adjusted),
            chance: judged.chance,
        }
    }
}

impl Summary {
    /// Of what a run says so far.
    pub fn new(experiment: &Experiment, report: &Report) -> Self {
        Summary {
            experiment: experiment.name.clone(),
            title: experiment.file.title.clone(),
            reproduces: experiment.file.reproduces.clone(),
            scale: experiment.scale.clone(),
            verdicts: report.claims.iter().map(Claimed::from).collect(),
        }
    }

    /// The summary in the folder `run`; none where there is none that can be read.
    pub fn of(run: &Path) -> Option<Self> {
        serde_json::from_slice(&std::fs::read(run.join(SUMMARY)).ok()?).ok()
    }

    /// How many claims hold, fail, are not decided, not tested; those that there are: `6 hold, 2 fail`.
    pub fn counted(&self) -> String {
        let plural = |word: &str| match word {
            "holds" => "hold".to_owned(),
            "fails" => "fail".to_owned(),
            word => word.to_owned(),
        };
        let count = |word| self.verdicts.iter().filter(|claim| claim.verdict == word).count();
        let some =
            WORDS.into_iter().map(|word| (count(word), word)).filter(|(count, _)| *count > 0);
        let some: Vec<String> =
            some.map(|(count, word)| format!("{count} {}", plural(word))).collect();
        if some.is_empty() { "none".into() } else { some.join(", ") }
    }
}

/// A table with a line and a link for each run; `from` is where the index will be.
pub(super) fn index(runs: &[(PathBuf, Summary)], from: &Path) -> Markup {
    let page = |folder: &Path| relative(&folder.join("index.html"), from).display().to_string();
    let table = html! {
        table class="words runs" {
            thead { tr { @for name in ["experiment", "scale", "claims", "after"] { (column(name)) } } }
            tbody {
                @for (folder, run) in runs {
                    tr {
                        th scope="row" {
                            a href=(page(folder)) { (run.title) } code { (run.experiment) }
                        }
                        td { (run.scale) }
                        td { (run.counted()) }
                        td { (run.reproduces.join("; ")) }
                    }
                }
            }
        }
    };
    if runs.is_empty() {
        html! {}
    } else {
        scrolling("experiments", &table)
    }
}
