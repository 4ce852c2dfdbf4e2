//! The arguments of `measure`. A preset fills in what is not given.

use super::{
    Subject, TargetClass,
    parse::{NORMS, fraction, json_file, one_of, score},
};
use attack::Norm;
use clap::Args;
use models::Score;
use std::path::PathBuf;

#[derive(Debug, Args)]
#[command(mut_arg("weights", |weights| weights
    .value_name("FILES")
    .help("Weights of the models, separated by commas: .safetensors, or a PyTorch .pt/.pth/.th")))]
pub struct Measure {
    /// Metrics, separated by commas: NAME or NAME:key=value (see `gradproof list`)
    #[arg(value_name = "METRICS", required_unless_present = "preset")]
    pub metrics: Option<String>,
    #[command(flatten)]
    pub subject: Subject,
    /// Methods whose maps are measured, separated by commas: NAME or NAME:key=value
    #[arg(long, value_name = "METHODS", required_unless_present = "preset")]
    pub method: Option<String>,
    /// Metrics, methods, class and score of a paper, where they are not given: agarwal21, lim21,
    /// tan23, wang20 or yeh19
    #[arg(long, value_name = "PAPER")]
    pub preset: Option<String>,
    /// Class that is explained: predicted, label, or a number [default: predicted]
    #[arg(long, allow_hyphen_values = true)]
    pub target: Option<TargetClass>,
    /// Score of that class: logit, prob or logprob [default: logit]
    #[arg(long, value_parser = score)]
    pub score: Option<Score>,
    /// Images a pass at most, neighbours and samples included: bounds memory; halved where a GPU has no
    /// room [default: 256, or as many as half of the free memory holds]
    #[arg(long, value_name = "IMAGES")]
    pub chunk: Option<u32>,
    /// Attack for the metrics that want one: one on predictions, such as pgd, or on the maps of each
    /// method, such as topk: NAME or NAME:key=value [default: pgd]
    #[arg(long)]
    pub attack: Option<String>,
    /// Radius of that attack
    #[arg(long, default_value = "8/255", value_parser = fraction, allow_hyphen_values = true)]
    pub eps: f64,
    /// Norm of its ball: linf or l2
    #[arg(long, default_value = "linf", value_parser = one_of(NORMS))]
    pub norm: Norm,
    /// A network trained on random labels, for `random-labels`: `train --set data.random_labels=true`
    #[arg(long, value_name = "FILE")]
    pub random_labels: Option<PathBuf>,
    /// Write the summary here, one JSON line an image beside it (.jsonl), and a table (.csv)
    #[arg(long, value_name = "FILE.json", value_parser = json_file)]
    pub out: Option<PathBuf>,
    /// Go on where a killed command with the same `--out` stopped
    #[arg(long, requires = "out")]
    pub resume: bool,
}
