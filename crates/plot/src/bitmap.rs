//! The white bitmap a PNG is composed on: pictures, bars, text; then written whole.

use crate::{Picture, text::Label};
use anyhow::{Result, ensure};
use std::path::Path;

/// Pixels that viewers open.
pub(super) const MOST_PIXELS: usize = 150_000_000;

/// An opaque picture under construction. Lengths are pixels from the top left.
pub(crate) struct Bitmap {
    pub(crate) picture: Picture,
}

impl Bitmap {
    /// A white bitmap; an error if it would be too large for a viewer to open.
    pub(crate) fn new(width: usize, height: usize) -> Result<Self> {
        ensure!(
            width * height <= MOST_PIXELS,
            "a figure of {width}×{height} pixels is too large; draw fewer images"
        );
        let rgb = vec![255; 3 * width * height];
        Ok(Bitmap { picture: Picture { width, height, rgb, heat: false } })
    }

    /// Puts `picture` with its top left corner at (`x`, `y`); it has to fit.
    pub(crate) fn paste(&mut self, picture: &Picture, x: usize, y: usize) {
        for row in 0..picture.height {
            let from = 3 * row * picture.width;
            let to = 3 * ((y + row) * self.picture.width + x);
            let line = &picture.rgb[from..from + 3 * picture.width];
            self.picture.rgb[to..to + line.len()].copy_from_slice(line);
        }
    }

    /// Sets `label`; what would lie outside is left out.
    pub(crate) fn write(&mut self, label: &Label) {
        let (width, height) = (self.picture.width as i64, self.picture.height as i64);
        label.draw(|x, y, cover| {
            if (0..width).contains(&x) && (0..height).contains(&y) {
                let at = 3 * (y * width + x) as usize;
                for (c, shift) in [16, 8, 0].into_iter().enumerate() {
                    let ink = f32::from((label.colour >> shift) as u8);
                    let paper = f32::from(self.picture.rgb[at + c]);
                    self.picture.rgb[at + c] = (paper + (ink - paper) * cover).round() as u8;
                }
            }
        });
    }

    /// Writes the bitmap as a PNG file, whole or not at all.
    pub(crate) fn save(&self, path: &Path) -> Result<()> {
        let bytes = self.picture.png()?;
        tensorfile::atomic::write(path, |file| Ok(file.write_all(&bytes)?))
    }
}
