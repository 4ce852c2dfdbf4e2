//! Random crops with zero padding and horizontal flips, for a whole batch in one gather.
//! The draws of an image depend on (seed, epoch, image), not on its place in the epoch.

use crate::keyed;
use anyhow::{Result, ensure};
use rand::Rng;
use serde::{Deserialize, Serialize};
use tch::{Kind, Tensor};
use tensorfile::upload;

/// What may happen to a training image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Augment {
    /// Black pixels put on every side before an image of the old size is cut out at random;
    /// 0 = no crop.
    pub crop: i64,
    /// Whether half of the images are mirrored left to right.
    pub flip: bool,
}

/// What happens to one image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Move {
    /// The first row taken from the padded image, 0 to 2 · crop.
    pub row: i64,
    /// The first column taken from the padded image, 0 to 2 · crop.
    pub column: i64,
    /// Whether the cut is then mirrored left to right.
    pub flip: bool,
}

impl Augment {
    /// Errors where `crop` is negative or wider than any image.
    pub fn check(&self) -> Result<()> {
        let crop = self.crop;
        ensure!((0..=1024).contains(&crop), "`crop = {crop}` is not 0 to 1024 pixels");
        Ok(())
    }

    /// The move of one image in one epoch.
    pub fn draw(&self, seed: u64, epoch: u64, image: i64) -> Move {
        let mut rng = keyed::generator(keyed::Purpose::Augment, [seed, epoch, image as u64]);
        let mut offset = || rng.random_range(0..=2 * self.crop);
        let (row, column) = (offset(), offset());
        Move { row, column, flip: self.flip && rng.random_bool(0.5) }
    }

    /// Moves image i [C, H, W] of `images` [B, C, H, W] (any kind, any device) as `moves[i]` says.
    pub fn apply(&self, images: &Tensor, moves: &[Move]) -> Tensor {
        let (b, c, h, w) = images.size4().expect("images are [B, C, H, W]");
        assert_eq!(moves.len(), b as usize, "one move an image");
        if *self == (Augment { crop: 0, flip: false }) {
            return images.shallow_clone();
        }
        // Column j of the result is column `start + step · j` of the padded image.
        let numbers = moves.iter().flat_map(|m| match m.flip {
            true => [m.row, m.column + w - 1, -1],
            false => [m.row, m.column, 1],
        });
        let numbers = upload(&numbers.collect::<Vec<i64>>(), images.device()).view([b, 3, 1]);
        let number = |i| numbers.select(1, i); // [B, 1]
        let upto = |n| Tensor::arange(n, (Kind::Int64, images.device()));
        let rows = number(0) + upto(h); // [B, H]
        let columns = number(1) + number(2) * upto(w); // [B, W]
        let index = rows.unsqueeze(2) * (w + 2 * self.crop) + columns.unsqueeze(1); // [B, H, W]
        let index = index.view([b, 1, h * w]).expand([b, c, h * w], false);
        let padded = images.constant_pad_nd([self.crop; 4]).flatten(2, 3);
        padded.gather(2, &index, false).view([b, c, h, w])
    }
}
