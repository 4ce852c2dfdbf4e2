//! `gradproof`: trains image classifiers, explains them, attacks and measures the explanations.
//! This crate alone sees every other, prints, and writes results; the crates do the work.

mod cli;
mod commands;
mod evaluation;
mod grid2d;
mod outcome;
mod report;
mod results;
mod runtime;
mod session;

pub mod readers;

use clap::{Parser, error::ErrorKind};
use runtime::ui;
use std::process::ExitCode;

/// Runs the command line and gives the exit code: 0 done, 2 the user's mistake, 1 anything else.
pub fn main() -> ExitCode {
    keep_freed_memory();
    let cli = match cli::Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) if error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            let _ = error.print();
            return ExitCode::from(2);
        }
        Err(error) if error.use_stderr() => {
            ui::complain(&one_line(&error));
            return ExitCode::from(2);
        }
        // Help and version; whoever reads them may stop early.
        Err(help) => {
            let _ = help.print();
            return ExitCode::SUCCESS;
        }
    };
    if cli.common.deterministic {
        runtime::arithmetic::be_deterministic();
    }
    ui::tell_of_interrupts(cli.command.keeps_parts());
    std::panic::set_hook(Box::new(ui::report_panic));
    match std::panic::catch_unwind(|| commands::dispatch(&cli)) {
        Ok(Ok(())) => ExitCode::SUCCESS,
        Ok(Err(error)) => {
            ui::complain(&format!("{error:#}"));
            ExitCode::from(exit_code(&error))
        }
        // The panic hook has said what and where: a bug of ours, or libtorch out of memory.
        Err(_) => ExitCode::from(1),
    }
}

/// Every pass makes tensors as large as those that the last one freed. glibc would give these back to
/// the system and wait for their pages to be made anew: a fifth of the time of an attack on a CPU
/// (docs/decisions/threads.md). All threads share one heap, because the heaps of others than the first
/// are small ones that go back to the system.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
#[expect(unsafe_code, reason = "mallopt has no safe wrapper; no other thread runs yet")]
fn keep_freed_memory() {
    const KEPT: i32 = 1 << 30; // bytes
    // SAFETY: all take any number; a setting that is refused changes nothing.
    unsafe {
        libc::mallopt(libc::M_MMAP_THRESHOLD, KEPT);
        libc::mallopt(libc::M_TRIM_THRESHOLD, KEPT);
        libc::mallopt(libc::M_ARENA_MAX, 1);
    }
}

#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
fn keep_freed_memory() {}

/// What clap found wrong, with its tip, without its usage summary.
fn one_line(error: &clap::Error) -> String {
    let text = error.to_string();
    let said = text.lines().take_while(|line| !line.starts_with("Usage:"));
    let said = said.filter(|line| !line.starts_with("For more information"));
    let mut line = String::new();
    for part in said.map(str::trim).filter(|part| !part.is_empty()) {
        line.push_str(if part.starts_with("tip:") { "; " } else { " " });
        line.push_str(part);
    }
    format!("{} (`--help` explains)", line.trim_start().trim_start_matches("error: "))
}

/// 2 where the user's arguments, config, data, weights or folders are at fault; 1 where libtorch
/// or a check failed.
fn exit_code(error: &anyhow::Error) -> u8 {
    let ours = |cause: &(dyn std::error::Error + 'static)| {
        cause.is::<tch::TchError>() || cause.is::<outcome::Failed>()
    };
    if error.chain().any(ours) { 1 } else { 2 }
}
