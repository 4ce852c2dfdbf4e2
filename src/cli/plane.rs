//! The arguments of `plane`.

use super::{
    names,
    parse::{picture_file, place},
};
use clap::{ArgGroup, Args};
use std::path::PathBuf;

#[derive(Debug, Args)]
#[command(group(ArgGroup::new("what").required(true).args(["function", "weights"])))]
pub struct Plane {
    /// Toy function, such as `ridges` or `ridges:step=0.1` (see `gradproof list`)
    #[arg(long, value_name = "NAME")]
    pub function: Option<String>,
    /// Weights of a network for tables with two columns; explains the logit of its last class
    #[arg(long, value_name = "FILE")]
    pub weights: Option<PathBuf>,
    /// Attribution methods, separated by commas: NAME or NAME:key=value (see `gradproof list`)
    #[arg(long, value_name = "METHODS", value_parser = names::methods)]
    pub method: String,
    /// Points to explain, separated by commas: X/Y
    #[arg(long, value_name = "POINTS", value_delimiter = ',', value_parser = place, allow_hyphen_values = true, required = true)]
    pub at: Vec<(f64, f64)>,
    /// Margin of the figure around the points
    #[arg(long, value_name = "LENGTH", default_value_t = 1.)]
    pub margin: f64,
    /// Random seed
    #[arg(long, default_value_t = 0)]
    pub seed: u64,
    /// Plot level lines, attributions, and which input dominates the attribution, per region
    #[arg(long, value_name = "FILE.png", value_parser = picture_file)]
    pub figure: Option<PathBuf>,
}
