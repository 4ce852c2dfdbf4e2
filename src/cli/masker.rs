//! The arguments of `masker`.

use super::{
    Subject,
    parse::{fraction, tensor_file},
};
use clap::Args;
use std::path::PathBuf;

#[derive(Debug, Args)]
pub struct Masker {
    #[command(flatten)]
    pub subject: Subject,
    /// Write the masker here
    #[arg(long, value_name = "FILE.safetensors", value_parser = tensor_file)]
    pub out: PathBuf,
    /// Passes over the images
    #[arg(long, value_name = "N", default_value_t = 3)]
    pub epochs: u32,
    /// Step size of Adam at the beginning; it falls to 0 in a line
    #[arg(long, default_value = "0.001", value_parser = fraction, allow_hyphen_values = true)]
    pub learning_rate: f64,
    /// Channels of its layers
    #[arg(long, value_name = "N", default_value_t = 32)]
    pub width: i64,
    #[command(flatten)]
    pub loss: Loss,
}

/// Equation 3 of Dabkowski & Gal 2017.
#[derive(Debug, Args)]
#[command(next_help_heading = "Loss options")]
pub struct Loss {
    /// Weight of the mask's mean: λ2
    #[arg(long, default_value = "4", value_parser = fraction, allow_hyphen_values = true)]
    pub area: f64,
    /// Weight of the mean square difference of the mask's neighbours: λ1
    #[arg(long, default_value = "1", value_parser = fraction, allow_hyphen_values = true)]
    pub variation: f64,
    /// Weight of the class's probability where the mask is taken out: λ3
    #[arg(long, default_value = "5", value_parser = fraction, allow_hyphen_values = true)]
    pub left: f64,
    /// Exponent of that probability: λ4
    #[arg(long, default_value = "0.3", value_parser = fraction, allow_hyphen_values = true)]
    pub power: f64,
    /// Share of the images that are asked for a class they do not show, in [0, 1)
    #[arg(long, default_value = "0.3", value_parser = fraction, allow_hyphen_values = true)]
    pub others: f64,
}
