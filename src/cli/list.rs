//! The arguments of `list`.

use clap::Args;
use std::path::PathBuf;

#[derive(Debug, Args)]
pub struct List {
    /// Show only the entry of this name, such as `smoothgrad`
    #[arg(value_name = "NAME")]
    pub name: Option<String>,
    /// Show a network instead: its size, operators of an ONNX file, and the taps where Grad-CAM can
    /// look, as `gradcam:layer=NAME`
    #[arg(long, value_name = "FILE", conflicts_with = "name")]
    pub weights: Option<PathBuf>,
    /// Architecture, if the file does not name it (see `gradproof models`)
    #[arg(long, value_name = "NAME", requires = "weights")]
    pub arch: Option<String>,
    /// Which network to read from a file with several, such as `state_dict_ema`
    #[arg(long, value_name = "NAME", requires = "weights")]
    pub entry: Option<String>,
}
