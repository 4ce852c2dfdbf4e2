//! `gradproof`: trains image classifiers, explains them, attacks and measures the explanations.
//! This crate alone sees every other, prints, and writes results; the crates do the work.

mod cli;
mod commands;
mod device;
mod figure;
mod report;
mod results;
mod subject;
mod ui;

use clap::Parser;
use std::process::ExitCode;

fn main() -> ExitCode {
    let cli = cli::Cli::parse();
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

/// 2 where the user's arguments, config, data, weights or folders are at fault; 1 where libtorch
/// failed.
fn exit_code(error: &anyhow::Error) -> u8 {
    if error.chain().any(|cause| cause.is::<tch::TchError>()) { 1 } else { 2 }
}
