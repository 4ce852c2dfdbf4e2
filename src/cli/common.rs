//! Options of every command.

use super::parse::{memory, one_of};
use crate::runtime::{device::Choice, graphs};
use clap::{ArgAction, Args};

#[derive(Debug, Args)]
#[command(next_help_heading = "Common options")]
pub struct Common {
    /// Device: auto, cpu, cuda or cuda:N
    #[arg(long, global = true, env = "GRADPROOF_DEVICE", hide_env_values = true, default_value_t = Choice::Auto)]
    pub device: Choice,
    /// Make equal runs on one GPU equal to the bit, slower; what cannot be is an error
    #[arg(long, global = true, hide_short_help = true)]
    pub deterministic: bool,
    /// CUDA graphs, one launch for many, in `attack` with one --beta and in natural training; where they
    /// cannot be, a note says why. Not proved on hardware
    #[arg(long, global = true, default_value = "off", value_parser = one_of::<graphs::Use>())]
    pub cuda_graphs: graphs::Use,
    /// CPU threads [default: all cores]
    #[arg(
        long,
        global = true,
        value_name = "N",
        env = "GRADPROOF_THREADS",
        hide_env_values = true
    )]
    pub threads: Option<u16>,
    /// Memory for decoded images of a folder; larger folders are streamed from disk [default: 4GB]
    #[arg(long, global = true, value_name = "AMOUNT", value_parser = memory, hide_short_help = true)]
    pub memory: Option<u64>,
    /// Overwrite files that are there
    #[arg(long, global = true)]
    pub force: bool,
    /// Print one JSON object on stdout, everything else on stderr
    #[arg(long, global = true)]
    pub json: bool,
    /// Suppress messages and progress bars
    #[arg(long, short, global = true)]
    pub quiet: bool,
    /// Print more messages; -vv: also how long each batch took
    #[arg(long, short, global = true, action = ArgAction::Count)]
    pub verbose: u8,
}

impl Common {
    /// Bytes of decoded images kept in memory.
    pub fn memory(&self) -> u64 {
        self.memory.unwrap_or(::data::MEMORY)
    }
}
