//! The arguments of `certify`.

use super::{
    Explained, Subject, names,
    parse::{beta, count, fraction, json_file, picture_file},
};
use attack::Beta;
use clap::Args;
use std::{num::NonZeroUsize, path::PathBuf};

#[derive(Debug, Args)]
pub struct Certify {
    #[command(flatten)]
    pub subject: Subject,
    #[command(flatten)]
    pub explained: Explained,
    /// Attribution methods whose smoothed maps are certified, separated by commas: NAME or
    /// NAME:key=value (see `gradproof list`)
    #[arg(long, value_name = "METHODS", value_parser = names::methods)]
    pub method: String,
    #[command(flatten)]
    pub smoothed: Smoothed,
    #[command(flatten)]
    pub against: Against,
    /// Write the summary here; beside it one JSON line per image (.jsonl) and a table (.csv)
    #[arg(long, value_name = "FILE.json", value_parser = json_file)]
    pub out: Option<PathBuf>,
    /// Continue a killed command with the same --out
    #[arg(long, requires = "out")]
    pub resume: bool,
    /// Draw images, maps, and the pixels certified in of each share over one another here
    #[arg(long, value_name = "FILE.png", value_parser = picture_file)]
    pub figure: Option<PathBuf>,
    /// Number of images in the figure, at most [default: 8]
    #[arg(long, value_name = "N", value_parser = count)]
    pub rows: Option<NonZeroUsize>,
    /// Plot the certified and the attacked overlap over the radius here
    #[arg(long, value_name = "FILE.png", value_parser = picture_file)]
    pub chart: Option<PathBuf>,
}

/// The smoothed map and what is asked of it.
#[derive(Debug, Args)]
#[command(next_help_heading = "Certificate options")]
pub struct Smoothed {
    /// σ of the Gaussian noise, for pixels in [0, 1]
    #[arg(long, default_value = "0.1", value_parser = fraction, allow_hyphen_values = true)]
    pub sigma: f64,
    /// Noisy copies of each image
    #[arg(long, value_name = "N", default_value_t = 1000)]
    pub samples: u64,
    /// How many of them choose which pixels and which class are tested with the others [default: a
    /// tenth]
    #[arg(long, value_name = "N")]
    pub pilot: Option<u64>,
    /// Shares of a map's pixels that count as its hottest, separated by commas, in (0, 1)
    #[arg(long, value_delimiter = ',', value_parser = fraction, allow_hyphen_values = true, default_values = ["0.05"])]
    pub share: Vec<f64>,
    /// Chance that a statement about an image is wrong, in (0, 1): all radii of its overlap
    /// together, all its pixels together, or its prediction
    #[arg(long, default_value = "0.001", value_parser = fraction, allow_hyphen_values = true)]
    pub alpha: f64,
    /// ℓ2 radii at which the overlap is certified, separated by commas, for pixels in [0, 1]
    #[arg(long, value_delimiter = ',', value_parser = fraction, allow_hyphen_values = true, default_values = ["0.02", "0.05", "0.1", "0.25", "0.5"])]
    pub radii: Vec<f64>,
    /// Number K of pixels whose overlap is certified [default: 20 up to 32x32, 80 up to 64x64, else
    /// 1000]
    #[arg(long, value_name = "K")]
    pub k: Option<i64>,
    /// A pixel is certified in where it is among the hottest of more than this share of noisy maps,
    /// out where of less than the rest, in (0.5, 1)
    #[arg(long, default_value = "0.75", value_parser = fraction, allow_hyphen_values = true)]
    pub tau: f64,
}

/// The ℓ2 attack on the smoothed map.
#[derive(Debug, Args)]
#[command(next_help_heading = "Attack options")]
pub struct Against {
    /// Steps of the attack at each radius; 0 leaves it out
    #[arg(long, value_name = "N", default_value_t = 40)]
    pub iters: u32,
    /// Noisy copies per step
    #[arg(long, value_name = "N", default_value_t = 24)]
    pub attack_samples: u64,
    /// Softplus beta used in place of ReLU during the attack, or START:END to increase it
    #[arg(long, default_value = "20:100", value_parser = beta, allow_hyphen_values = true)]
    pub beta: Beta,
}
