//! One file a command: arguments in, library calls, results out.

use crate::{
    cli::{Cli, Command},
    ui::Ui,
};
use anyhow::{Result, ensure};

mod attack;
mod bench;
mod data;
mod doctor;
mod eval;
mod explain;
mod list;
mod measure;
mod report;
mod train;
mod transfer;
mod weights;

/// Runs what the user asked for.
pub fn dispatch(cli: &Cli) -> Result<()> {
    let common = &cli.common;
    let ui = Ui { json: common.json, quiet: common.quiet, verbose: common.verbose };
    if let Some(threads) = common.threads {
        ensure!(threads > 0, "`--threads 0`: at least one thread is needed");
        tch::set_num_threads(i32::from(threads));
    }
    match &cli.command {
        Command::Train(args) => train::run(args, common, &ui),
        Command::Eval(args) => eval::run(args, common, &ui),
        Command::Explain(args) => explain::run(args, common, &ui),
        Command::Attack(args) => attack::run(args, common, &ui),
        Command::Transfer(args) => transfer::run(args, common, &ui),
        Command::Measure(args) => measure::run(args, common, &ui),
        Command::Report(args) => report::run(args, &ui),
        Command::Data(args) => data::run(args, &ui),
        Command::Models => list::models(&ui),
        Command::Weights(args) => weights::run(args, &ui),
        Command::List => list::families(&ui),
        Command::Doctor => doctor::run(common, &ui),
        Command::Bench(args) => bench::run(args, common, &ui),
    }
}
