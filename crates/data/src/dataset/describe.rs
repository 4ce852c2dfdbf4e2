//! What is in a set, in numbers, for people and for JSON.

use crate::{Dataset, dataset::pixels};
use anyhow::Result;
use serde::Serialize;
use std::fmt;
use tch::{Kind, Tensor};
use tensorfile::words;

/// Images in one piece of the statistics, so that a large set needs little extra memory.
const PIECE: usize = 2048;

/// A set in numbers.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Description {
    /// The set's name.
    pub name: String,
    /// How many images there are.
    pub images: usize,
    /// Channels, height, width.
    pub shape: [i64; 3],
    /// How pixels are stored: `u8` or `f32`.
    pub stored: &'static str,
    /// Each class and how many images it has.
    pub classes: Vec<(String, usize)>,
    /// The statistics of each channel.
    pub channels: Vec<Channel>,
    /// Whether the pixels that make the class are known.
    pub masks: bool,
    /// The columns of a table, a channel each; empty for images.
    pub features: Vec<String>,
    /// Its columns that are not used, but for the label.
    pub dropped: Vec<String>,
}

/// The pixels of one channel, on the scale [0, 1]; the scaled values of a table's column.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Channel {
    /// The smallest value.
    pub min: f64,
    /// The largest value.
    pub max: f64,
    /// The mean.
    pub mean: f64,
    /// The standard deviation over all pixels (divided by their number, not one less).
    pub std: f64,
}

impl Dataset {
    /// Counts and pixel statistics of the whole set. `tick` is called with the images of each part that was
    /// read. Errors: a file that is no image.
    pub fn describe(&self, tick: impl Fn(u64)) -> Result<Description> {
        let counts = self.labels.bincount(None::<&Tensor>, self.classes.len() as i64);
        let count = |i: usize| counts.int64_value(&[i as i64]) as usize;
        let classes = self.classes.iter().enumerate().map(|(i, name)| (name.clone(), count(i)));
        let mut sums = vec![Sum::default(); self.image_shape()[0] as usize];
        for piece in self.images.in_order(self.len(), PIECE) {
            let piece = piece?;
            for (channel, sum) in sums.iter_mut().enumerate() {
                sum.add(&pixels(&piece.select(1, channel as i64)).to_kind(Kind::Double));
            }
            tick(piece.size()[0] as u64);
        }
        Ok(Description {
            name: self.name.clone(),
            images: self.len(),
            shape: self.image_shape(),
            stored: if self.images.kind() == Kind::Uint8 { "u8" } else { "f32" },
            classes: classes.collect(),
            channels: sums.iter().map(Sum::channel).collect(),
            masks: self.masks.is_some(),
            features: self.features.iter().flat_map(|f| f.names.clone()).collect(),
            dropped: self.features.iter().flat_map(|f| f.dropped.clone()).collect(),
        })
    }
}

/// A channel, piece by piece.
#[derive(Clone)]
struct Sum {
    min: f64,
    max: f64,
    sum: f64,
    squares: f64,
    pixels: usize,
}

impl Default for Sum {
    fn default() -> Self {
        Sum { min: f64::INFINITY, max: f64::NEG_INFINITY, sum: 0., squares: 0., pixels: 0 }
    }
}

impl Sum {
    fn add(&mut self, piece: &Tensor) {
        self.min = piece.min().double_value(&[]).min(self.min);
        self.max = piece.max().double_value(&[]).max(self.max);
        self.sum += piece.sum(Kind::Double).double_value(&[]);
        self.squares += piece.square().sum(Kind::Double).double_value(&[]);
        self.pixels += piece.numel();
    }

    fn channel(&self) -> Channel {
        let (mean, squares) = (self.sum / self.pixels as f64, self.squares / self.pixels as f64);
        let std = (squares - mean * mean).max(0.).sqrt();
        Channel { min: self.min, max: self.max, mean, std }
    }
}

impl fmt::Display for Description {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let [c, h, w] = self.shape;
        let masks = if self.masks { ", with masks" } else { "" };
        let (name, n, is_table) = (&self.name, self.images, !self.features.is_empty());
        match is_table {
            true => {
                writeln!(f, "{name}: {} of {}", words::count(n, "row"), words::count(c, "column"))?
            }
            false => {
                let images = words::count(n, "image");
                writeln!(f, "{name}: {images} {c}×{h}×{w} ({}{masks})", self.stored)?;
            }
        }
        for (i, ch) in self.channels.iter().enumerate() {
            let Channel { min, max, mean, std } = ch;
            let channel = self.features.get(i).cloned().unwrap_or(format!("channel {i}"));
            writeln!(f, "  {channel}: {min:.4} to {max:.4}, mean {mean:.4}, std {std:.4}")?;
        }
        if !self.dropped.is_empty() {
            writeln!(f, "  not used: {}", self.dropped.join(", "))?;
        }
        let width = self.classes.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0);
        for (name, count) in &self.classes {
            writeln!(f, "  {name:width$} {count:>7}")?;
        }
        Ok(())
    }
}
