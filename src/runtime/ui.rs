//! What a person sees: notes and progress on stderr, results on stdout, one JSON object on stdout
//! with `--json`.

use crate::outcome::Outcome;
use anyhow::Result;
use explain::engine::oom;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::{
    io::{self, ErrorKind, IsTerminal, Write},
    sync::OnceLock,
};

/// How much to say, and where.
#[derive(Clone, Debug, Default)]
pub struct Ui {
    /// One JSON object on stdout, nothing else there.
    pub json: bool,
    /// No notes, no progress.
    pub quiet: bool,
    /// Say more.
    pub verbose: bool,
}

impl Ui {
    /// A sentence for the user, on stderr.
    pub fn note(&self, text: &str) {
        if !self.quiet {
            // Nobody to tell is no reason to stop.
            let _ = writeln!(io::stderr(), "{text}");
        }
    }

    /// Something only the curious want to know, on stderr with `--verbose`.
    pub fn detail(&self, text: &str) {
        if self.verbose {
            self.note(text);
        }
    }

    /// What a command found, on stdout: its text, or with `--json` its object.
    pub fn print(&self, outcome: &Outcome) -> Result<()> {
        match self.json {
            true => out(&format!("{}\n", serde_json::to_string(&outcome.json)?)),
            false => out(&outcome.text),
        }
    }

    /// A progress bar over `length` units on a terminal; hidden elsewhere and with `--quiet`.
    pub fn bar(&self, length: u64, what: &str) -> ProgressBar {
        let bar = ProgressBar::with_draw_target(Some(length), ProgressDrawTarget::stderr());
        if self.quiet || !io::stderr().is_terminal() {
            bar.set_draw_target(ProgressDrawTarget::hidden());
        }
        let style = "{prefix:>12} {bar:30} {pos}/{len} {per_sec:>10} ETA {eta:>4}  {msg}";
        bar.set_style(ProgressStyle::with_template(style).expect("a valid template"));
        bar.set_prefix(what.to_owned());
        bar
    }
}

/// Who complains, where there are several: `rank R of N: `.
static SPEAKER: OnceLock<String> = OnceLock::new();

/// Complaints of this process begin with `speaker` from now on.
pub fn speak_as(speaker: String) {
    let _ = SPEAKER.set(speaker);
}

/// An error, on one line of stderr.
pub fn complain(text: &str) {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let speaker = SPEAKER.get().map_or("", String::as_str);
    let _ = writeln!(io::stderr(), "gradproof: {speaker}{line}");
}

/// What libtorch says of an operation whose sums have no fixed order on a GPU.
const UNORDERED: &str = " does not have a deterministic implementation";

/// A panic, on one line of stderr: what libtorch or we did not expect, and where; nothing where the
/// work is tried again.
pub fn report_panic(panic: &std::panic::PanicHookInfo) {
    let text = oom::said(panic.payload());
    if models::graph::guarded() || oom::retried(text) {
        return;
    }
    if oom::exhausted(text) {
        let what = oom::given_up(text).map_or_else(String::new, |what| format!(", {what}"));
        return complain(&format!(
            "the memory is full{what}: a smaller batch needs less (`--batch-size N`; in training \
             `--set batch_size=N`)"
        ));
    }
    if let Some(operation) = text.split(UNORDERED).next().filter(|first| *first != text) {
        let operation = operation.rsplit('"').next().unwrap_or_default().trim();
        return complain(&format!(
            "`--deterministic`: {operation} has no deterministic form in libtorch; leave the option out"
        ));
    }
    let first = text.lines().next().unwrap_or_default().split("\\nException raised").next();
    let place = panic.location().map(|l| format!(" ({}:{})", l.file(), l.line()));
    complain(&format!("internal error: {}{}", first.unwrap_or(text), place.unwrap_or_default()));
}

/// Writes to stdout. Whoever reads may stop early (`| head -1`): then the work ends quietly.
fn out(text: &str) -> Result<()> {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Err(e) if e.kind() == ErrorKind::BrokenPipe => std::process::exit(0),
        written => Ok(written?),
    }
}
