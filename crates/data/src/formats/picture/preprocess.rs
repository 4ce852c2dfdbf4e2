//! How pictures of any size become images of one.

use super::resample::resized;
use image::{RgbImage, imageops};
use serde::{Deserialize, Serialize};

/// A recipe by the name of who has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Preprocess {
    /// That of torchvision's ImageNet weights: the shorter side becomes 256 pixels, bilinear and
    /// antialiased, and the middle 224×224 are cut out.
    Torchvision,
}

const SHORTER: u32 = 256;
const CROP: u32 = 224;

impl Preprocess {
    /// Height and width of what it makes.
    pub const SIDE: u32 = CROP;

    /// The image that it makes of a picture.
    pub(crate) fn apply(self, picture: &RgbImage) -> RgbImage {
        let (width, height) = picture.dimensions();
        let [short, long] = [width.min(height), width.max(height)];
        // As Python divides and cuts off.
        let longer = (f64::from(SHORTER) * f64::from(long) / f64::from(short)) as u32;
        let size = if width <= height { [SHORTER, longer] } else { [longer, SHORTER] };
        let small = resized(picture, size);
        // As Python rounds: a half goes to the even number.
        let edge = |side: u32| (f64::from(side - CROP) / 2.).round_ties_even() as u32;
        imageops::crop_imm(&small, edge(size[0]), edge(size[1]), CROP, CROP).to_image()
    }
}
