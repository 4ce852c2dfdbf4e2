//! Whether a device computes what it must: everything that the registries hold, there in f64 and in
//! the types that are used, against the CPU in f64; training, waiting, memory, streaming and rates.
//! Needs no data: images and weights are drawn.

mod agreement;
mod attacks;
mod memory;
mod platform;
mod rates;
mod side;
mod streaming;
mod training;
mod waiting;
mod world;

use crate::{
    cli::{Common, Doctor},
    outcome::Outcome,
    runtime::{arithmetic, device, ui::Ui},
};
use anyhow::{Context, Result};
use indicatif::ProgressBar;
use models::Precision;
use registry::Named;
use serde::Serialize;
use serde_json::json;
use std::{fmt::Write, time::Instant};
use tch::Device;

/// What became of one check.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Verdict {
    Ok,
    Fails,
    /// Not made, for the reason that is noted.
    Skipped,
    /// A number without a bound.
    Measured,
}

/// One check.
#[derive(Debug, Serialize)]
struct Line {
    part: &'static str,
    /// In which type, where there are several.
    of: String,
    what: String,
    /// The largest difference found, in units of what was expected; or what was measured.
    #[serde(skip_serializing_if = "Option::is_none")]
    found: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    bound: Option<f64>,
    verdict: Verdict,
    #[serde(skip_serializing_if = "String::is_empty")]
    note: String,
}

/// The lines so far, and where they are shown.
struct Lines<'a> {
    part: &'static str,
    all: Vec<Line>,
    bar: &'a ProgressBar,
}

impl Lines<'_> {
    fn push(&mut self, of: &str, what: &str, found: Option<f64>, bound: Option<f64>, note: &str) {
        let verdict = match (found, bound) {
            (Some(found), Some(bound)) if found <= bound => Verdict::Ok,
            // NaN too.
            (Some(_), Some(_)) => Verdict::Fails,
            (Some(_), None) => Verdict::Measured,
            _ => Verdict::Skipped,
        };
        let (of, what, note) = (of.to_owned(), what.to_owned(), note.to_owned());
        self.bar.set_message(format!("{of} {what}"));
        self.all.push(Line { part: self.part, of, what, found, bound, verdict, note });
    }

    /// A difference that must not exceed `bound`.
    fn difference(&mut self, of: &str, what: &str, found: f64, bound: f64) {
        self.push(of, what, Some(found), Some(bound), "");
    }

    /// What must hold.
    fn holds(&mut self, of: &str, what: &str, yes: bool, note: &str) {
        self.push(of, what, Some(f64::from(u8::from(!yes))), Some(0.), note);
    }

    /// A number to know, in the unit that is noted.
    fn measured(&mut self, of: &str, what: &str, found: f64, unit: &str) {
        self.push(of, what, Some(found), None, unit);
    }

    fn skipped(&mut self, of: &str, what: &str, why: &str) {
        self.push(of, what, None, None, why);
    }
}

/// One part of the self-test.
struct Part {
    name: &'static str,
    about: &'static str,
    run: fn(&mut Lines, Device) -> Result<()>,
}

impl Named for Part {
    fn name(&self) -> &'static str {
        self.name
    }
    fn about(&self) -> &'static str {
        self.about
    }
}

/// In the order in which they run: what fails early explains what fails later.
const PARTS: &[Part] = &[
    Part { name: "platform", about: "single operations", run: platform::run },
    Part { name: "agreement", about: "all registries", run: agreement::run },
    Part { name: "training", about: "objectives, resume", run: training::run },
    Part { name: "waiting", about: "a plug in the stream", run: waiting::run },
    Part { name: "memory", about: "a device that is full", run: memory::run },
    Part { name: "streaming", about: "images from files", run: streaming::run },
    Part { name: "rates", about: "fractions of the device's limit", run: rates::run },
];

/// Runs the parts that are asked for, or all.
pub fn run(args: &Doctor, common: &Common, ui: &Ui) -> Result<Outcome> {
    let named = args.only.iter().map(|name| registry::find("part", PARTS, name));
    let mut parts = named.collect::<Result<Vec<_>>>()?;
    if parts.is_empty() {
        parts = PARTS.iter().collect();
    }
    if let Some(out) = &args.out {
        tensorfile::atomic::check_writable(out)?;
    }
    let device = common.device.resolve()?;
    arithmetic::round_as(Precision::F32, device)?;
    let clock = Instant::now();
    ui.note(&format!("self-test of {}, against the CPU in f64", device::describe(device)));
    let bar = ui.bar(parts.len() as u64, "self-test");
    let mut lines = Lines { part: "", all: vec![], bar: &bar };
    for part in parts {
        lines.part = part.name;
        (part.run)(&mut lines, device).with_context(|| format!("self-test, {}", part.about))?;
        bar.inc(1);
    }
    bar.finish_and_clear();
    let all = lines.all;
    let outcome = Outcome { text: table(&all), failed: failed(&all), ..Outcome::default() };
    let object = json!({
        "version": env!("CARGO_PKG_VERSION"), "commit": env!("GRADPROOF_COMMIT"),
        "device": device::describe(device), "seconds": clock.elapsed().as_secs_f64(),
        "failed": all.iter().filter(|line| line.verdict == Verdict::Fails).count(), "lines": all,
    });
    if let Some(out) = &args.out {
        let text = serde_json::to_string_pretty(&object)?;
        tensorfile::atomic::write(out, |f| Ok(f.write_all(text.as_bytes())?))?;
    }
    outcome.with(&object)
}

/// Which checks fail, in one sentence.
fn failed(lines: &[Line]) -> Option<String> {
    let failed: Vec<String> = lines
        .iter()
        .filter(|line| line.verdict == Verdict::Fails)
        .map(|line| format!("{} {}", line.of, line.what).trim().to_owned())
        .collect();
    (!failed.is_empty())
        .then(|| format!("{} of {} checks fail: {}", failed.len(), lines.len(), failed.join(", ")))
}

fn table(lines: &[Line]) -> String {
    let mut text = String::new();
    let number = |n: Option<f64>| n.map_or(String::new(), |n| format!("{n:.2e}"));
    let wide = lines.iter().map(|line| line.what.len()).max().unwrap_or(0);
    let _ = writeln!(
        text,
        "{:<10} {:<5} {:<wide$} {:>9} {:>9}",
        "part", "type", "what", "found", "bound"
    );
    for line in lines {
        let (found, bound) = (number(line.found), number(line.bound));
        let verdict = match line.verdict {
            Verdict::Ok => "ok",
            Verdict::Fails => "FAILS",
            Verdict::Skipped => "skipped",
            Verdict::Measured => "",
        };
        let _ = writeln!(
            text,
            "{}",
            format!(
                "{:<10} {:<5} {:<wide$} {found:>9} {bound:>9} {verdict} {}",
                line.part, line.of, line.what, line.note
            )
            .trim_end()
        );
    }
    text
}
