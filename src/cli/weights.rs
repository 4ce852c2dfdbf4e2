//! The arguments of `weights`.

use super::{
    Store,
    parse::{one_of, weights_file},
};
use clap::Subcommand;
use std::path::PathBuf;

#[derive(Debug, Subcommand)]
pub enum Weights {
    /// Show architecture, header and tensors of a weights file
    Info {
        /// Safetensors (sharded or not), a PyTorch checkpoint or ONNX
        file: PathBuf,
        /// Architecture, if the file does not name it [default: the first that its tensors fit]
        #[arg(long, value_name = "NAME")]
        arch: Option<String>,
        /// Which network to read from a file with several, such as `state_dict_ema`
        #[arg(long, value_name = "NAME")]
        entry: Option<String>,
    },
    /// Write weights as safetensors, or an ONNX file as itself, with classes, size and normalisation
    /// in the header
    Convert {
        /// Safetensors (sharded or not), a PyTorch checkpoint or an ONNX file
        file: PathBuf,
        /// File to write: `.safetensors`, of an ONNX file `.onnx`
        #[arg(long, value_name = "FILE", value_parser = weights_file)]
        out: PathBuf,
        /// Architecture, if the file does not name it (see `gradproof models`)
        #[arg(long, value_name = "NAME")]
        arch: Option<String>,
        /// Input normalisation, if the file stores none: cifar10, imagenet, mnist, none or
        /// MEAN/STD; `force:` before it overrides the stored one
        #[arg(long, value_name = "STATS")]
        normalise: Option<String>,
        /// Which network to read from a file with several, such as `state_dict_ema`
        #[arg(long, value_name = "NAME")]
        entry: Option<String>,
        /// Side of the network's images, if the file does not store it
        #[arg(long, value_name = "PIXELS")]
        size: Option<i64>,
        /// Type of the stored numbers
        #[arg(long, default_value = "f32", value_parser = one_of::<Store>())]
        store: Store,
        /// Class names in the order of the logits: separated by commas, or a file with one name per
        /// line
        #[arg(long, value_name = "FILE")]
        classes: Option<String>,
    },
}
