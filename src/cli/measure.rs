//! The arguments of `measure`. A preset fills in what is not given.

use super::{
    Subject, TargetClass, names,
    parse::{fraction, json_file, one_of},
};
use attack::Norm;
use clap::Args;
use models::Score;
use std::path::PathBuf;

#[derive(Debug, Args)]
#[command(mut_arg("weights", |weights| weights
    .value_name("FILES")
    .help("Model weights, separated by commas: safetensors, PyTorch checkpoints or ONNX files; NAME=FILE names a model")))]
pub struct Measure {
    /// Metrics, separated by commas: NAME or NAME:key=value (see `gradproof list`)
    #[arg(value_name = "METRICS", required_unless_present = "preset", value_parser = names::metrics)]
    pub metrics: Option<String>,
    #[command(flatten)]
    pub subject: Subject,
    /// Attribution methods whose maps are measured, separated by commas: NAME or NAME:key=value
    /// (see `gradproof list`)
    #[arg(long, value_name = "METHODS", required_unless_present = "preset", value_parser = names::methods)]
    pub method: Option<String>,
    /// Metrics, methods, class and score of a paper, such as lim21 (see `gradproof list`); explicit
    /// options override it
    #[arg(long, value_name = "PAPER")]
    pub preset: Option<String>,
    /// Class that is explained: predicted, label, or a class by name or number [default: predicted]
    #[arg(long, allow_hyphen_values = true)]
    pub target: Option<TargetClass>,
    /// Output of that class that is explained [default: logit]
    #[arg(long, value_parser = one_of::<Score>())]
    pub score: Option<Score>,
    /// Maximum inputs per forward pass, neighbours and samples included; halved automatically on
    /// GPU out-of-memory [default: 256 (a GPU: 4096), or as many as fit into half of the free memory]
    #[arg(long, value_name = "IMAGES")]
    pub chunk: Option<u32>,
    /// Attack for the metrics that need attacked images: on predictions, such as pgd, or on the
    /// maps of each method, such as topk; NAME or NAME:key=value [default: pgd]
    #[arg(long, value_parser = names::attack)]
    pub attack: Option<String>,
    /// Radius of that attack, for pixels in [0, 1]
    #[arg(long, default_value = "8/255", value_parser = fraction, allow_hyphen_values = true)]
    pub eps: f64,
    /// Norm of its ball
    #[arg(long, default_value = "linf", value_parser = one_of::<Norm>())]
    pub norm: Norm,
    /// Weights of a network trained on random labels (`train --set data.random_labels=true`), for
    /// `random-labels`
    #[arg(long, value_name = "FILE")]
    pub random_labels: Option<PathBuf>,
    /// Write the summary here; beside it one JSON line per image (.jsonl) and a table (.csv)
    #[arg(long, value_name = "FILE.json", value_parser = json_file)]
    pub out: Option<PathBuf>,
    /// Continue a killed command with the same --out
    #[arg(long, requires = "out")]
    pub resume: bool,
}
