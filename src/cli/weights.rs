//! The arguments of `weights`.

use super::{
    Store,
    parse::{STORES, one_of, tensor_file},
};
use clap::Subcommand;
use std::path::PathBuf;

#[derive(Debug, Subcommand)]
pub enum Weights {
    /// Show architecture, header and tensors of a weights file
    Info {
        /// Safetensors, its shards, or a PyTorch checkpoint
        file: PathBuf,
        /// Architecture, where the file does not say [default: the first that its tensors fit]
        #[arg(long, value_name = "NAME")]
        arch: Option<String>,
        /// Which of several sets of weights in the file, such as `state_dict_ema`
        #[arg(long, value_name = "NAME")]
        entry: Option<String>,
    },
    /// Write any readable weights as safetensors with a full header
    Convert {
        /// .safetensors, .pt, .pth or .th
        file: PathBuf,
        /// File to write
        #[arg(long, value_name = "FILE.safetensors", value_parser = tensor_file)]
        out: PathBuf,
        /// Architecture, where the file does not say
        #[arg(long, value_name = "NAME")]
        arch: Option<String>,
        /// cifar10, imagenet, mnist, none or MEAN/STD, where the file does not say; `force:`
        /// before it overrules what the file says
        #[arg(long, value_name = "N")]
        normalise: Option<String>,
        /// Which of several sets of weights in the file, such as `state_dict_ema`
        #[arg(long, value_name = "NAME")]
        entry: Option<String>,
        /// Side of the network's images, where the file does not say
        #[arg(long, value_name = "PIXELS")]
        size: Option<i64>,
        /// How numbers are stored: f32 or f16
        #[arg(long, default_value = "f32", value_parser = one_of(STORES))]
        store: Store,
        /// Class names, separated by commas, or a file with a name a line
        #[arg(long, value_name = "FILE")]
        classes: Option<String>,
    },
}
