//! The arguments of `transfer`: those of an attack, with several models and methods.

use super::{
    Attacking, Explained, Subject, names,
    parse::{json_file, picture_file},
};
use clap::Args;
use std::path::PathBuf;

#[derive(Debug, Args)]
#[command(mut_arg("weights", |weights| weights
    .value_name("FILES")
    .help("Model weights, separated by commas: safetensors, PyTorch checkpoints or ONNX files; NAME=FILE names a model")))]
pub struct Transfer {
    #[command(flatten)]
    pub subject: Subject,
    #[command(flatten)]
    pub explained: Explained,
    /// Attribution methods whose maps are attacked, separated by commas: NAME or NAME:key=value
    #[arg(long, value_name = "METHODS", value_parser = names::methods)]
    pub from: String,
    /// Attribution methods whose maps are evaluated on the attacked images [default: those of
    /// --from]
    #[arg(long, value_name = "METHODS", value_parser = names::methods)]
    pub to: Option<String>,
    #[command(flatten)]
    pub how: Attacking,
    /// Write every number here, and a CSV file beside it
    #[arg(long, value_name = "FILE.json", value_parser = json_file)]
    pub out: Option<PathBuf>,
    /// Continue a killed command with the same --out
    #[arg(long, requires = "out")]
    pub resume: bool,
    /// Draw a heat map of each similarity here: rows attacked, columns evaluated
    #[arg(long, value_name = "FILE.png", value_parser = picture_file)]
    pub figure: Option<PathBuf>,
}
