//! A small picture in memory: an image, a map in colour, a difference; and its PNG bytes.

use anyhow::{Context, Result, ensure};
use image::codecs::png::{CompressionType, FilterType, PngEncoder};
use image::{ExtendedColorType, ImageEncoder};
use scale::ceiling;

mod scale;
mod tensors;

pub use scale::Scale;
pub use tensors::Drawing;

/// Pixels, row by row from the top left, three bytes each.
#[derive(Clone, Debug, PartialEq)]
pub struct Picture {
    /// Pixels across, at least 1.
    pub width: usize,
    /// Pixels down, at least 1.
    pub height: usize,
    /// Red, green, blue: `3 * width * height` bytes.
    pub rgb: Vec<u8>,
    /// What the colours mean: a figure with such a picture owes a colour bar.
    pub scale: Scale,
}

impl Picture {
    /// `planes`: `[C, height, width]` in [0, 1] with C = 1 or 3; what lies outside is clipped.
    pub fn from_planes(planes: &[f32], height: usize, width: usize) -> Result<Self> {
        let area = height * width;
        ensure!(area > 0, "a picture of {height}×{width} pixels has no pixel");
        let channels = planes.len() / area;
        ensure!(
            planes.len() == channels * area && (channels == 1 || channels == 3),
            "a picture has 1 or 3 channels of {height}×{width}; found {} numbers",
            planes.len()
        );
        let byte = |v: f32| (v.clamp(0.0, 1.0) * 255.0).round() as u8; // NaN becomes 0
        let at = |i: usize, c: usize| byte(planes[(c % channels) * area + i]);
        let rgb = (0..area).flat_map(|i| [at(i, 0), at(i, 1), at(i, 2)]).collect();
        Ok(Picture { width, height, rgb, scale: Scale::None })
    }

    /// A heat map `[height, width]`, at least 0, clipped at its own 99th percentile and coloured.
    /// A map that is zero everywhere is dark everywhere.
    pub fn from_map(map: &[f32], height: usize, width: usize) -> Result<Self> {
        ensure!(
            map.len() == height * width && !map.is_empty(),
            "a heat map of {height}×{width} pixels cannot have {} numbers",
            map.len()
        );
        let scale = Scale::Heat { top: ceiling(map.iter().copied()) };
        let rgb = map.iter().flat_map(|&v| scale.colour(scale.share(v))).collect();
        Ok(Picture { width, height, rgb, scale })
    }

    /// A signed map `[height, width]`: red where it is above 0, blue below, paler towards 0; clipped at
    /// the 99th percentile of its absolute values on both sides.
    pub fn from_signed(map: &[f32], height: usize, width: usize) -> Result<Self> {
        ensure!(
            map.len() == height * width && !map.is_empty(),
            "a map of {height}×{width} pixels cannot have {} numbers",
            map.len()
        );
        let scale = Scale::Signed { top: ceiling(map.iter().map(|v| v.abs())) };
        let rgb = map.iter().flat_map(|&v| scale.colour(scale.share(v))).collect();
        Ok(Picture { width, height, rgb, scale })
    }

    /// A signed map over an image, both `[height, width]`, the image in [0, 1] as shades of grey.
    pub fn from_overlay(map: &[f32], grey: &[f32], height: usize, width: usize) -> Result<Self> {
        let signed = Self::from_signed(map, height, width)?;
        ensure!(map.len() == grey.len(), "a map over an image of another size");
        let scale = Scale::Overlay { top: signed.scale.top().unwrap_or(0.) };
        let pixel = |(&v, &grey): (&f32, &f32)| scale.over(scale.share(v), f64::from(grey));
        let rgb = map.iter().zip(grey).flat_map(pixel).collect();
        Ok(Picture { rgb, scale, ..signed })
    }

    /// The colours of a scale, from its lower end (left) to its upper.
    pub fn colour_bar(scale: Scale, width: usize, height: usize) -> Self {
        let (last, lowest) = ((width.max(2) - 1) as f64, scale.lowest());
        let share = |i: usize| lowest + (1.0 - lowest) * (i % width) as f64 / last;
        let rgb = (0..width * height).flat_map(|i| scale.colour(share(i))).collect();
        Picture { width, height, rgb, scale }
    }

    /// Every pixel as a block of `factor`×`factor`.
    pub fn enlarged(&self, factor: usize) -> Self {
        let (width, height) = (self.width * factor, self.height * factor);
        let mut rgb = Vec::with_capacity(3 * width * height);
        for y in 0..height {
            for x in 0..width {
                let at = 3 * ((y / factor) * self.width + x / factor);
                rgb.extend_from_slice(&self.rgb[at..at + 3]);
            }
        }
        Picture { width, height, rgb, scale: self.scale }
    }

    /// Blocks of pixels averaged until no side is longer than `side`.
    pub fn reduced(&self, side: usize) -> Self {
        let step = self.width.max(self.height).div_ceil(side.max(1));
        if step <= 1 {
            return self.clone();
        }
        let (width, height) = (self.width.div_ceil(step), self.height.div_ceil(step));
        let mut rgb = Vec::with_capacity(3 * width * height);
        for (y, x, c) in every(height, width) {
            let rows = y * step..((y + 1) * step).min(self.height);
            let columns = x * step..((x + 1) * step).min(self.width);
            let count = rows.len() * columns.len();
            let at = |r: usize, k: usize| usize::from(self.rgb[3 * (r * self.width + k) + c]);
            let sum: usize = rows.map(|r| columns.clone().map(|k| at(r, k)).sum::<usize>()).sum();
            rgb.push(((sum + count / 2) / count) as u8);
        }
        Picture { width, height, rgb, scale: self.scale }
    }

    /// The picture as a PNG file.
    pub fn png(&self) -> Result<Vec<u8>> {
        let mut bytes = vec![];
        PngEncoder::new_with_quality(&mut bytes, CompressionType::Default, FilterType::Adaptive)
            .write_image(
                &self.rgb,
                self.width.try_into()?,
                self.height.try_into()?,
                ExtendedColorType::Rgb8,
            )
            .context("cannot encode a PNG")?;
        Ok(bytes)
    }
}

fn every(height: usize, width: usize) -> impl Iterator<Item = (usize, usize, usize)> {
    (0..height * width * 3).map(move |i| (i / 3 / width, i / 3 % width, i % 3))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heat_colour(share: f64) -> [u8; 3] {
        Scale::Heat { top: 1.0 }.colour(share)
    }

    #[test]
    fn signed_maps_are_red_for_and_blue_against() {
        let mut map: Vec<f32> = vec![0.0; 300];
        for i in 0..10 {
            (map[i], map[299 - i]) = (2.0, -1.0);
        }
        let picture = Picture::from_signed(&map, 15, 20).unwrap();
        assert_eq!(picture.scale, Scale::Signed { top: 2.0 });
        let at = |i: usize| [picture.rgb[3 * i], picture.rgb[3 * i + 1], picture.rgb[3 * i + 2]];
        let [plus, minus, zero] = [at(0), at(299), at(150)].map(|pixel| pixel.map(i32::from));
        assert!(plus[0] > plus[2] + 60 && minus[2] > minus[0] + 60, "{plus:?} {minus:?}");
        assert!(zero.iter().all(|channel| *channel > 235), "{zero:?}");
        let half = Scale::Signed { top: 2.0 }.colour(-0.5);
        assert_eq!(at(299), half, "the scale is the same on both sides");
        let turned: Vec<f32> = map.iter().map(|v| -v).collect();
        let turned = Picture::from_signed(&turned, 15, 20).unwrap();
        assert!(turned.rgb[2] > turned.rgb[0] + 60 && turned.scale == picture.scale);
        let nothing = Picture::from_signed(&[f32::NAN, 0.0], 1, 2).unwrap();
        assert_eq!(nothing.rgb[..3], nothing.rgb[3..]);
    }

    #[test]
    fn an_overlay_shows_the_image_where_the_map_is_zero() {
        let picture = Picture::from_overlay(&[0.0, 1.0, -1.0], &[0.5; 3], 1, 3).unwrap();
        let at = |i: usize| [0, 1, 2].map(|c| i32::from(picture.rgb[3 * i + c]));
        assert!(at(0)[0] == at(0)[1] && at(0)[1] == at(0)[2]);
        assert!(at(1)[0] > at(1)[2] + 60 && at(2)[2] > at(2)[0] + 60);
        assert!(Picture::from_overlay(&[0.0; 4], &[0.0; 2], 2, 2).is_err());
    }

    #[test]
    fn grey_and_colour_images() {
        let grey = Picture::from_planes(&[0.0, 1.0, f32::NAN, 2.0], 2, 2).unwrap();
        assert_eq!(grey.rgb, [[0; 3], [255; 3], [0; 3], [255; 3]].concat());
        let colour = Picture::from_planes(&[1.0, 0.0, 0.5], 1, 1).unwrap();
        assert_eq!(colour.rgb, [255, 0, 128]);
        assert!(Picture::from_planes(&[0.0; 8], 2, 2).is_err());
        assert!(Picture::from_planes(&[], 0, 2).is_err());
    }

    #[test]
    fn heat_is_clipped_at_the_99th_percentile() {
        let map: Vec<f32> = (0..=100).map(|v| v as f32).collect();
        let picture = Picture::from_map(&map, 1, 101).unwrap();
        let at = |i: usize| &picture.rgb[3 * i..3 * i + 3];
        assert_eq!(at(99), heat_colour(1.0));
        assert_eq!(at(100), heat_colour(1.0));
        assert_eq!(at(33), heat_colour(f64::from(33.0f32 / 99.0)));
    }

    #[test]
    fn empty_and_single_pixel_maps_are_defined() {
        let dark = Picture::from_map(&[0.0; 4], 2, 2).unwrap();
        assert_eq!(dark.rgb, heat_colour(0.0).repeat(4));
        let nothing = Picture::from_map(&[f32::NAN; 4], 2, 2).unwrap();
        assert_eq!(nothing, dark);
        let mut one = vec![0.0; 400];
        one[7] = 1.0; // the 99th percentile is 0
        let picture = Picture::from_map(&one, 20, 20).unwrap();
        assert_eq!(picture.rgb[21..24], heat_colour(1.0));
    }

    #[test]
    fn sizes_change_as_told() {
        let two = Picture::from_planes(&[0.0, 1.0], 1, 2).unwrap();
        let big = two.enlarged(2);
        assert_eq!((big.width, big.height), (4, 2));
        assert_eq!(big.rgb[..12], [[0; 3], [0; 3], [255; 3], [255; 3]].concat());
        assert_eq!(big.reduced(2), two);
        assert_eq!(big.reduced(1).rgb, [128; 3]);
        assert_eq!(two.png().unwrap(), two.png().unwrap());
    }
}
