//! The arguments of `data`.

use super::{
    common::Common,
    parse::{one_of, tensor_file},
};
use ::data::{Holdout, Options, Preprocess, Split};
use clap::{Args, Subcommand};
use std::path::PathBuf;

#[derive(Debug, Subcommand)]
pub enum Data {
    /// Download CIFAR-10 or MNIST from the official site, verify and unpack it
    Fetch {
        /// cifar10 or mnist
        what: String,
        /// Output folder [default: GRADPROOF_DATA_DIR, else gradproof/data in the user's cache
        /// (XDG_CACHE_HOME or ~/.cache)]; paths data/... that are not there are looked for in that
        /// default
        #[arg(long, value_name = "DIR")]
        to: Option<PathBuf>,
        /// Mirror with the same files
        #[arg(long, value_name = "URL")]
        from: Option<String>,
    },
    /// Write a dataset (such as `shapes:seed=1,test=500`) as a tensor file or as png files
    Make {
        #[command(flatten)]
        set: Set,
        #[command(flatten)]
        to: Made,
    },
    /// Describe a dataset: shape, classes, counts, mean and deviation; reads every image once
    Info {
        #[command(flatten)]
        set: Set,
    },
}

/// Where a set is written.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub struct Made {
    /// File to write
    #[arg(long, value_name = "FILE.safetensors", value_parser = tensor_file)]
    pub out: Option<PathBuf>,
    /// Folder to write png files to, one folder per class
    #[arg(long, value_name = "DIR")]
    pub folder: Option<PathBuf>,
}

/// A set without a model.
#[derive(Debug, Args)]
pub struct Set {
    /// Dataset: KIND:PATH, a path whose kind is recognised, or a kind without a path such as `shapes`
    /// (see `gradproof list`)
    pub data: String,
    #[command(flatten)]
    pub reading: Reading,
}

/// What of a set is read, and how.
#[derive(Clone, Debug, Args)]
pub struct Reading {
    /// Part of the dataset
    #[arg(long, default_value = "test", value_parser = one_of::<Split>())]
    pub split: Split,
    /// Resize images of folders to this side length
    #[arg(long, value_name = "PIXELS")]
    pub size: Option<i64>,
    /// Make images of pictures of any size; torchvision: as its ImageNet weights want them, the
    /// shorter side resized to 256 pixels (bilinear, antialiased), the middle 224x224 cut out
    #[arg(long, value_name = "RECIPE", conflicts_with = "size", value_parser = one_of::<Preprocess>())]
    pub preprocess: Option<Preprocess>,
    /// Read images of folders with 1 or 3 channels [default: as the first image]
    #[arg(long, value_name = "N")]
    pub channels: Option<i64>,
    /// Fraction of each class held out as the test part of data without one, such as 0.2; the rest
    /// is the training part
    #[arg(long, value_name = "FRACTION")]
    pub holdout: Option<f64>,
    /// Seed that draws the held-out images
    #[arg(long, value_name = "SEED", default_value_t = 0, requires = "holdout")]
    pub holdout_seed: u64,
    /// Column with the class [default: of a table the last, of Parquet the one that holds classes]
    #[arg(long, value_name = "NAME")]
    pub label_column: Option<String>,
}

impl Reading {
    pub fn held_out(&self) -> Option<Holdout> {
        self.holdout.map(|fraction| Holdout { fraction, seed: self.holdout_seed })
    }

    pub fn options(&self, common: &Common) -> Options {
        Options {
            split: self.split,
            holdout: self.held_out(),
            size: self.size,
            preprocess: self.preprocess,
            channels: self.channels,
            memory: common.memory(),
            label_column: self.label_column.clone(),
            features: None,
        }
    }
}
