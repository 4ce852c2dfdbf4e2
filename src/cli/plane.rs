//! The arguments of `plane`.

use super::parse::{picture_file, place};
use clap::{ArgGroup, Args};
use std::path::PathBuf;

#[derive(Debug, Args)]
#[command(group(ArgGroup::new("what").required(true).args(["function", "weights"])))]
pub struct Plane {
    /// A function of a paper, such as `ridges` or `ridges:step=0.1` (see `gradproof list`)
    #[arg(long, value_name = "NAME")]
    pub function: Option<String>,
    /// A network for tables with two columns: the logit of its last class
    #[arg(long, value_name = "FILE")]
    pub weights: Option<PathBuf>,
    /// Methods whose maps are taken, separated by commas: NAME or NAME:key=value
    #[arg(long, value_name = "METHODS")]
    pub method: String,
    /// Points, separated by commas: X/Y
    #[arg(long, value_name = "POINTS", value_delimiter = ',', value_parser = place, allow_hyphen_values = true, required = true)]
    pub at: Vec<(f64, f64)>,
    /// How far beyond the points the picture goes
    #[arg(long, value_name = "LENGTH", default_value_t = 1.)]
    pub margin: f64,
    /// Seed of everything random
    #[arg(long, default_value_t = 0)]
    pub seed: u64,
    /// Draw level lines and maps, and which of the two numbers matters more where
    #[arg(long, value_name = "FILE.png", value_parser = picture_file)]
    pub figure: Option<PathBuf>,
}
