//! `gradproof`: trains image classifiers, explains them, attacks and measures the explanations.
//! This crate alone sees every other, prints, and writes results; the crates do the work.

mod cli;
mod commands;
mod device;
mod figure;
mod radii;
mod report;
mod results;
mod subject;
mod ui;

use clap::Parser;
use std::process::ExitCode;

fn main() -> ExitCode {
    let cli = match cli::Cli::try_parse() {
        Ok(cli) => cli,
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

/// What clap found wrong, with its tip, without its usage summary.
fn one_line(error: &clap::Error) -> String {
    let text = error.to_string();
    let said = text.lines().take_while(|line| !line.starts_with("Usage:"));
    let said = said.filter(|line| !line.starts_with("For more information"));
    let line = said.collect::<Vec<_>>().join(" ");
    format!("{} (`--help` explains)", line.trim_start_matches("error: ").trim())
}

/// 2 where the user's arguments, config, data, weights or folders are at fault; 1 where libtorch
/// failed.
fn exit_code(error: &anyhow::Error) -> u8 {
    if error.chain().any(|cause| cause.is::<tch::TchError>()) { 1 } else { 2 }
}
