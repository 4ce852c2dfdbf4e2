//! The arguments of `doctor`.

use clap::Args;
use std::path::PathBuf;

#[derive(Debug, Args)]
pub struct Doctor {
    /// Check that the device computes what the CPU computes in f64, over everything `gradproof list`
    /// shows; minutes
    #[arg(long)]
    pub self_test: bool,
    /// Only these parts of the self-test, separated by commas: platform, agreement, training,
    /// waiting, memory, streaming, rates
    #[arg(long, value_name = "PARTS", value_delimiter = ',', requires = "self_test")]
    pub only: Vec<String>,
    /// Write the lines of the self-test to this file, as JSON
    #[arg(long, value_name = "FILE.json", requires = "self_test")]
    pub out: Option<PathBuf>,
}
