//! The arguments of `run`.

use clap::Args;
use std::{num::NonZeroUsize, path::PathBuf};

#[derive(Debug, Args)]
pub struct Run {
    /// Experiments (see experiments/ and docs/experiments.md)
    #[arg(value_name = "FILE.toml", required = true)]
    pub files: Vec<PathBuf>,
    /// Sizes: smoke (minutes, no data needed), cpu or paper
    #[arg(long, default_value = "smoke")]
    pub scale: String,
    /// Another value for a variable of the file, such as `--set limit=32`
    #[arg(long, value_name = "NAME=VALUE")]
    pub set: Vec<String>,
    /// Folder with the folders of all runs; this one is NAME-SCALE there, or NAME at the scale paper
    #[arg(long, value_name = "DIR", default_value = "runs")]
    pub out: PathBuf,
    /// Go on with the run that is there
    #[arg(long)]
    pub resume: bool,
    /// Make only every Nth cell, beginning with the Ith; others make the rest, into the same folder or
    /// one that is copied there
    #[arg(long, value_name = "I/N", value_parser = super::parse::shard, conflicts_with = "plan")]
    pub shard: Option<(usize, usize)>,
    /// Make only the experiments whose files these read; shards want them to be there
    #[arg(long, conflicts_with_all = ["shard", "plan", "list"])]
    pub needed: bool,
    /// Say which tables and figures of papers the files make, and how far their runs are
    #[arg(long)]
    pub list: bool,
    /// Say what would be run, how many passes that takes and how long, after trying each step on a few
    /// images
    #[arg(long)]
    pub plan: bool,
    /// With `--plan`: also what each of N shards costs
    #[arg(long, value_name = "N", requires = "plan", value_parser = super::parse::count)]
    pub shards: Option<NonZeroUsize>,
}
