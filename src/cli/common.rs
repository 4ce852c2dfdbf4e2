//! Options of every command.

use super::parse::memory;
use crate::runtime::device::Choice;
use clap::Args;

#[derive(Debug, Args)]
#[command(next_help_heading = "Common options")]
pub struct Common {
    /// Device: auto, cpu, cuda or cuda:N
    #[arg(long, global = true, default_value_t = Choice::Auto)]
    pub device: Choice,
    /// Make equal runs on one GPU equal to the bit, slower; what cannot be is an error
    #[arg(long, global = true)]
    pub deterministic: bool,
    /// CPU threads [default: all cores]
    #[arg(long, global = true, value_name = "N")]
    pub threads: Option<u16>,
    /// Memory for decoded images of a folder; larger folders are streamed from disk [default: 4GB]
    #[arg(long, global = true, value_name = "AMOUNT", value_parser = memory)]
    pub memory: Option<u64>,
    /// Print one JSON object on stdout, everything else on stderr
    #[arg(long, global = true)]
    pub json: bool,
    /// Suppress messages and progress bars
    #[arg(long, short, global = true)]
    pub quiet: bool,
    /// Print more messages
    #[arg(long, short, global = true)]
    pub verbose: bool,
}

impl Common {
    /// Bytes of decoded images kept in memory.
    pub fn memory(&self) -> u64 {
        self.memory.unwrap_or(::data::MEMORY)
    }
}
