//! What a person sees: notes and progress on stderr, results on stdout, one JSON object on stdout
//! with `--json`.

use crate::outcome::Outcome;
use anyhow::Result;
use explain::engine::oom;
use indicatif::{HumanDuration, ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};
use std::{
    io::{self, ErrorKind, IsTerminal, Write},
    sync::{
        Mutex, OnceLock, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

/// How much to say, and where.
#[derive(Clone, Debug, Default)]
pub struct Ui {
    /// One JSON object on stdout, nothing else there.
    pub json: bool,
    /// No notes, no progress.
    pub quiet: bool,
    /// Say more: 1 details, 2 how long each batch took.
    pub verbose: u8,
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
        if self.verbose > 0 {
            self.note(text);
        }
    }

    /// From now on [`trace`] speaks, where much is to be said.
    pub fn open_trace(&self) {
        TRACED.store(self.verbose > 1 && !self.quiet, Ordering::Relaxed);
    }

    /// What a command found, on stdout: its text, or with `--json` its object.
    pub fn print(&self, outcome: &Outcome) -> Result<()> {
        match self.json {
            true => out(&format!("{}\n", serde_json::to_string(&outcome.json)?)),
            false => out(&outcome.text),
        }
    }

    /// A progress bar over `length` units on a terminal; elsewhere a line a minute, and one at the
    /// beginning of what takes long; nothing with `--quiet`.
    pub fn bar(&self, length: u64, what: &str) -> ProgressBar {
        let bar = ProgressBar::with_draw_target(Some(length), ProgressDrawTarget::stderr());
        if self.quiet || !io::stderr().is_terminal() {
            bar.set_draw_target(ProgressDrawTarget::hidden());
        }
        let style = "{prefix:>12} {bar:30} {pos}/{len} {rate:>8} ETA {left:>4}  {msg}";
        let style = ProgressStyle::with_template(style).expect("a valid template");
        let rate = |state: &ProgressState, f: &mut dyn std::fmt::Write| {
            let _ = write!(f, "{}/s", two_digits(state.per_sec()));
        };
        let left = |state: &ProgressState, f: &mut dyn std::fmt::Write| {
            let done = (state.pos(), state.len().unwrap_or(0));
            let _ = write!(f, "{:#}", HumanDuration(remaining(done, state.elapsed())));
        };
        bar.set_style(style.with_key("rate", rate).with_key("left", left));
        bar.set_prefix(what.to_owned());
        if !self.quiet && !io::stderr().is_terminal() {
            report(self.clone(), &bar, what);
        }
        bar
    }
}

/// How long the rest takes at the mean pace so far: indicatif's own guess grows without bound while a
/// long unit is under way.
fn remaining((done, of): (u64, u64), passed: Duration) -> Duration {
    let share = of.saturating_sub(done) as f64 / done.max(1) as f64;
    Duration::try_from_secs_f64(passed.as_secs_f64() * share).unwrap_or(Duration::MAX)
}

/// Whether [`trace`] speaks.
static TRACED: AtomicBool = AtomicBool::new(false);

/// How long the work on the `n` images from number `first` on took, with `-vv`.
pub fn trace(first: u64, n: i64, begun: Instant) {
    if TRACED.load(Ordering::Relaxed) {
        let (last, seconds) = (first + n as u64 - 1, begun.elapsed().as_secs_f64());
        let _ = writeln!(io::stderr(), "  images {first} to {last}: {seconds:.2} s");
    }
}

/// A number with two digits, more before the point: 0.012, 1.2, 12, 123.
pub fn two_digits(rate: f64) -> String {
    let places = if rate > 0. && rate.is_finite() { 1. - rate.log10().floor() } else { 0. };
    format!("{rate:.*}", places.clamp(0., 6.) as usize)
}

/// What is long enough to say how long it will take.
const LONG: Duration = Duration::from_secs(10);
const MINUTE: Duration = Duration::from_secs(60);
const DAYS: Duration = Duration::from_secs(86_400);
const GLANCE: Duration = Duration::from_millis(500);

/// When the last line about a bar was said, by any of them.
static SAID: Mutex<Option<Instant>> = Mutex::new(None);

/// Says on lines how far a bar is that nobody sees: once when it is clear that the work takes long, then
/// every minute, until it is done. All bars of a command together say no more.
fn report(ui: Ui, bar: &ProgressBar, what: &str) {
    let (weak, what) = (bar.downgrade(), what.to_owned());
    let begun = Instant::now();
    let watch = move || {
        loop {
            thread::sleep(GLANCE);
            let Some(bar) = weak.upgrade().filter(|bar| !bar.is_finished()) else { return };
            let (done, of, passed) = (bar.position(), bar.length().unwrap_or(0), begun.elapsed());
            let left = remaining((done, of), passed);
            if done == 0 || done >= of || passed.saturating_add(left) < LONG {
                continue;
            }
            let mut said = SAID.lock().unwrap_or_else(PoisonError::into_inner);
            if said.is_none_or(|said| said.elapsed() >= MINUTE) {
                ui.note(&progress(&what, (done, of), passed, left));
                *said = Some(Instant::now());
            }
        }
    };
    // Without another thread there are no lines, and the work goes on.
    let _ = thread::Builder::new().spawn(watch);
}

/// `attacking: 12 of 64 after 30 seconds, about 2 minutes left`; without the rest where nobody can tell.
fn progress(what: &str, (done, of): (u64, u64), passed: Duration, left: Duration) -> String {
    let known = left < DAYS * 100;
    let left = if known { format!(", about {} left", HumanDuration(left)) } else { String::new() };
    format!("{what}: {done} of {of} after {}{left}", HumanDuration(passed))
}

/// Ctrl-C ends the program with a sentence: how to go on, where what is done was kept.
pub fn tell_of_interrupts(kept: bool) {
    let told = match kept {
        true => "interrupted; the same command with `--resume` goes on from what is done",
        false => "interrupted; nothing was written",
    };
    // Where the system refuses, Ctrl-C ends the program without it.
    let _ = ctrlc::set_handler(move || {
        complain(told);
        end_at_once(130);
    });
}

/// Ends the process without what libraries do at their end: other threads are at work in libtorch, whose
/// end would be taken for an error of theirs.
#[expect(unsafe_code, reason = "the standard library has no exit without destructors")]
fn end_at_once(code: i32) -> ! {
    // SAFETY: it does not come back, and what is written was flushed or is thrown away on purpose.
    unsafe { libc::_exit(code) }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_have_two_digits() {
        for (rate, text) in [
            (0.01234, "0.012"),
            (1.26, "1.3"),
            (12.6, "13"),
            (123.4, "123"),
            (0., "0"),
            (1e-9, "0.000000"),
        ] {
            assert_eq!(two_digits(rate), text);
        }
    }

    #[test]
    fn the_rest_is_guessed_by_the_mean_pace() {
        let minute = Duration::from_secs(60);
        assert_eq!(remaining((10, 40), minute), 3 * minute);
        assert_eq!(remaining((1, 2), 20 * minute), 20 * minute);
        assert_eq!(remaining((5, 5), minute), Duration::ZERO);
        assert_eq!(remaining((0, u64::MAX), Duration::MAX), Duration::MAX);
    }

    #[test]
    fn a_line_says_what_is_done_and_what_is_left() {
        let (passed, left) = (Duration::from_secs(30), Duration::from_secs(140));
        let line = progress("attacking", (12, 64), passed, left);
        assert_eq!(line, "attacking: 12 of 64 after 30 seconds, about 2 minutes left");
        let line = progress("attacking", (1, 64), passed, Duration::MAX);
        assert_eq!(line, "attacking: 1 of 64 after 30 seconds");
    }
}
