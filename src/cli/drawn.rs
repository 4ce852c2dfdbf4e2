//! The arguments of figures of maps.

use super::parse::{count, one_of, picture_file};
use clap::Args;
use plot::Drawing;
use serde::{Deserialize, Serialize};
use std::{num::NonZeroUsize, path::PathBuf};
use tch::Tensor;

/// A figure of images and maps.
#[derive(Debug, Args)]
pub struct Drawn {
    /// Draw images and their maps here, as PNG, SVG or PDF
    #[arg(long, value_name = "FILE.png", value_parser = picture_file)]
    pub figure: Option<PathBuf>,
    /// How maps are drawn: signed (red for the class, blue against it), heat (|map| summed over
    /// channels), overlay (signed, over the image) [default: signed; of a method whose maps have no
    /// negative numbers heat]
    #[arg(long, value_parser = one_of::<Draw>())]
    pub draw: Option<Draw>,
    /// Number of images in the figure, at most [default: 12; of attacks 8]
    #[arg(long, value_name = "N", value_parser = count)]
    pub rows: Option<NonZeroUsize>,
}

/// How maps are drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Draw {
    Signed,
    Heat,
    Overlay,
}

impl Drawn {
    /// How the maps `[N, C, H, W]` of a method are drawn.
    pub fn drawing(&self, maps: &Tensor) -> Drawing {
        match self.draw {
            Some(Draw::Signed) => Drawing::Signed,
            Some(Draw::Heat) => Drawing::Heat,
            Some(Draw::Overlay) => Drawing::Overlay,
            None => Drawing::usual(maps),
        }
    }

    /// How many of `images` are drawn: so many as were asked for, or `usual`, and fit into a figure of
    /// `columns` pictures of this shape across.
    pub fn shown(&self, images: usize, usual: usize, columns: usize, shape: [i64; 3]) -> i64 {
        shown(self.rows, images, usual, plot::rows_that_fit(columns, shape))
    }
}

/// The least of how many there are, are asked for or usual, and fit.
pub fn shown(rows: Option<NonZeroUsize>, images: usize, usual: usize, fit: usize) -> i64 {
    images.min(rows.map_or(usual, NonZeroUsize::get)).min(fit) as i64
}
