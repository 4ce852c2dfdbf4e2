//! How a set of data is read.

use crate::{Features, Holdout, Preprocess};
use serde::{Deserialize, Serialize};

/// Which part of a set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Split {
    /// What a network is trained on.
    Train,
    /// What it is measured on.
    Test,
}

/// What [`Options::memory`] usually is: 4 GB.
pub const MEMORY: u64 = 4_000_000_000;

/// How a set is read.
#[derive(Debug, Clone, PartialEq)]
pub struct Options {
    /// Which part of it. A single file, or a folder without parts, is read whole for either, unless there is a
    /// holdout.
    pub split: Split,
    /// How data without parts are cut into two; none: they are not.
    pub holdout: Option<Holdout>,
    /// `folder:` only: every image is resized to this height and width, in pixels.
    pub size: Option<i64>,
    /// Files of pictures only: a recipe by which they become images of one size; with it no `size`.
    pub preprocess: Option<Preprocess>,
    /// `folder:` only: the channels of every image, 1 or 3; none: those of the first.
    pub channels: Option<i64>,
    /// `folder:` only: bytes of decoded images kept in memory. A larger set stays in its files, which are
    /// read while they are used; then this many bytes may wait, decoded, and three batches more.
    pub memory: u64,
    /// `csv:` and `arff:` only: the name of the column that holds the class; none: the last.
    pub label_column: Option<String>,
    /// Tables only: the columns that a network takes, which are looked for by name and scaled as they
    /// were for its training.
    pub features: Option<Features>,
}

impl From<Split> for Options {
    fn from(split: Split) -> Self {
        Options {
            split,
            holdout: None,
            size: None,
            preprocess: None,
            channels: None,
            memory: MEMORY,
            label_column: None,
            features: None,
        }
    }
}
