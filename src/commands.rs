//! One file a command: arguments in, library calls, results out.

use crate::{
    cli::{Cli, Command, Common},
    outcome::{Failed, Outcome},
    runtime::ui::Ui,
};
use ::data::Dataset;
use anyhow::{Result, ensure};

mod attack;
mod bench;
mod certify;
mod data;
mod doctor;
mod eval;
mod explain;
mod list;
mod measure;
mod plane;
mod report;
mod run;
mod train;
mod transfer;
mod weights;

/// Runs what the user asked for.
pub fn dispatch(cli: &Cli) -> Result<()> {
    let Common { json, quiet, verbose, .. } = cli.common;
    let ui = Ui { json, quiet, verbose };
    ui.open_trace();
    let outcome = perform(cli, &ui)?;
    ui.print(&outcome)?;
    outcome.failed.map_or(Ok(()), |why| Err(Failed(why).into()))
}

/// Runs a command; notes and progress go to `ui`.
fn perform(cli: &Cli, ui: &Ui) -> Result<Outcome> {
    let common = &cli.common;
    if let Some(threads) = common.threads {
        ensure!(threads > 0, "`--threads 0`: at least one thread is needed");
        tch::set_num_threads(i32::from(threads));
    }
    match &cli.command {
        Command::Train(args) => train::run(args, common, ui),
        Command::Eval(args) => eval::run(args, common, ui),
        Command::Explain(args) => explain::run(args, common, ui),
        Command::Attack(args) => attack::run(args, common, ui),
        Command::Transfer(args) => transfer::run(args, common, ui),
        Command::Certify(args) => certify::run(args, common, ui),
        Command::Measure(args) => measure::run(args, common, ui),
        Command::Masker(args) => train::masker::run(args, common, ui),
        Command::Plane(args) => plane::run(args, common),
        Command::Run(args) => run::run(args, common, ui),
        Command::Report(args) => report::run(args),
        Command::Data(args) => data::run(args, common, ui),
        Command::Models => list::models(),
        Command::Weights(args) => weights::run(args, common, ui),
        Command::List(args) => list::run(args, ui),
        Command::Doctor(args) => doctor::run(args, common, ui),
        Command::Bench(args) => bench::run(args, common, ui),
        Command::Completions(args) => list::shell::completions(args),
        Command::Man(args) => list::shell::man(args),
    }
}

/// What can be said against a command before any file of weights or data is read.
fn check(command: &Command) -> Result<()> {
    match command {
        Command::Train(args) => train::check(args),
        Command::Eval(args) => eval::check(args),
        Command::Explain(args) => explain::check(args),
        Command::Attack(args) => attack::check(args),
        Command::Transfer(args) => transfer::check(args),
        Command::Certify(args) => certify::check(args),
        Command::Measure(args) => measure::check(args),
        Command::Masker(args) => train::masker::check(args),
        Command::Plane(args) => plane::check(args),
        _ => Ok(()),
    }
}

/// Errors: images that are neither grey nor coloured.
fn check_figure_channels(data: &Dataset) -> Result<()> {
    let ([channels, ..], name) = (data.image_shape(), &data.name);
    ensure!(
        channels == 1 || channels == 3,
        "`--figure` draws images of 1 or 3 channels; those of `{name}` have {channels}; leave it out"
    );
    Ok(())
}
