//! The arguments of `run`.

use clap::Args;
use std::{num::NonZeroUsize, path::PathBuf};

#[derive(Debug, Args)]
pub struct Run {
    /// Experiment files (see experiments/ and docs/experiments.md)
    #[arg(value_name = "FILE.toml", required = true)]
    pub files: Vec<PathBuf>,
    /// Size of the run: smoke (minutes, no data needed), cpu or paper
    #[arg(long, default_value = "smoke")]
    pub scale: String,
    /// Override a variable of the file, such as `--set limit=32`
    #[arg(long, value_name = "NAME=VALUE")]
    pub set: Vec<String>,
    /// Folder of all runs; a run is the folder NAME-SCALE in it, or NAME at the scale paper
    #[arg(long, value_name = "DIR", default_value = "runs")]
    pub out: PathBuf,
    /// Continue the run that is there: finished commands are not run again
    #[arg(long)]
    pub resume: bool,
    /// Run only every Nth cell (a command of the grid), starting with the Ith; other shards run the
    /// rest, into the same folder or one that is copied there
    #[arg(long, value_name = "I/N", value_parser = super::parse::shard, conflicts_with = "plan")]
    pub shard: Option<(usize, usize)>,
    /// Run only the experiments whose results these read; sharded runs require these to be finished
    #[arg(long, conflicts_with_all = ["shard", "plan", "list"])]
    pub needed: bool,
    /// List the tables and figures of papers that the files reproduce, and the progress of their
    /// runs
    #[arg(long)]
    pub list: bool,
    /// Estimate what would be run, how many passes and how long, after trying each step on a few
    /// images
    #[arg(long)]
    pub plan: bool,
    /// With --plan: also the cost of each of N shards
    #[arg(long, value_name = "N", requires = "plan", value_parser = super::parse::count)]
    pub shards: Option<NonZeroUsize>,
}
