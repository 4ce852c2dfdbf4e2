//! A sheet as pixels. Lines and markers are drawn by plotters, finer than they are written; text by our
//! own glyphs, because plotters sets small text unevenly.

use super::{Item, Place, Sheet};
use crate::{Picture, Scale, text::Label};
use anyhow::{Result, anyhow, ensure};
use plotters::drawing::DrawingAreaErrorKind;
use plotters::prelude::*;

/// Pixels that viewers open.
pub(crate) const MOST_PIXELS: usize = 150_000_000;
/// How much finer lines are drawn than written.
const FINER: usize = 2;

impl Sheet {
    /// The sheet as a PNG file.
    pub(super) fn png(&self) -> Result<Vec<u8>> {
        self.bitmap()?.png()
    }

    /// The sheet as a picture. Errors: too large for a viewer to open.
    pub(crate) fn bitmap(&self) -> Result<Picture> {
        let drawn = |item: &Item| {
            matches!(item, Item::Line { .. } | Item::Polygon { .. } | Item::Circle { .. })
        };
        let finer = if self.items.iter().any(drawn) { FINER } else { 1 };
        let scale = (self.density * finer) as f64;
        let (width, height) = ((self.size.0 * scale) as usize, (self.size.1 * scale) as usize);
        ensure!(
            width * height <= MOST_PIXELS,
            "a figure of {width}×{height} pixels is too large; draw fewer images"
        );
        let rgb = vec![255; 3 * width * height];
        let mut paper = Picture { width, height, rgb, scale: Scale::None };
        for item in &self.items {
            match item {
                Item::Block { at, size, colour } => {
                    fill(&mut paper, *at, *size, scale, |_, _| bytes(*colour));
                }
                Item::Picture { picture, at, size } => {
                    let [w, h] = [picture.width, picture.height].map(|n| n as f64);
                    fill(&mut paper, *at, *size, scale, |right, down| {
                        let (x, y) = ((right * w) as usize, (down * h) as usize);
                        let at = 3
                            * (y.min(picture.height - 1) * picture.width
                                + x.min(picture.width - 1));
                        [picture.rgb[at], picture.rgb[at + 1], picture.rgb[at + 2]]
                    });
                }
                _ => {}
            }
        }
        if finer > 1 {
            self.draw(&mut paper, scale)?;
        }
        for item in &self.items {
            if let Item::Text(label) = item {
                write(&mut paper, label, scale as f32);
            }
        }
        Ok(paper.reduced((width / finer).max(height / finer).max(1)))
    }

    fn draw(&self, paper: &mut Picture, scale: f64) -> Result<()> {
        let size = (paper.width as u32, paper.height as u32);
        let area = BitMapBackend::with_buffer(&mut paper.rgb, size).into_drawing_area();
        let at =
            |place: &Place| ((place.0 * scale).round() as i32, (place.1 * scale).round() as i32);
        for item in &self.items {
            match item {
                Item::Line { places, colour, width } => {
                    let stroke = rgb(*colour).stroke_width((width * scale).round().max(1.) as u32);
                    let places: Vec<_> = places.iter().map(at).collect();
                    area.draw(&PathElement::new(places, stroke)).map_err(told)?;
                }
                Item::Polygon { corners, colour } => {
                    let corners: Vec<_> = corners.iter().map(at).collect();
                    area.draw(&Polygon::new(corners, rgb(*colour).filled())).map_err(told)?;
                }
                Item::Circle { at: middle, radius, colour } => {
                    let radius = (radius * scale).round() as i32;
                    let circle = Circle::new(at(middle), radius, rgb(*colour).filled());
                    area.draw(&circle).map_err(told)?;
                }
                _ => {}
            }
        }
        area.present().map_err(told)
    }
}

/// Fills a rectangle with the colours of places in it, which run from 0 to 1.
fn fill(
    paper: &mut Picture,
    at: Place,
    size: Place,
    scale: f64,
    colour: impl Fn(f64, f64) -> [u8; 3],
) {
    let pixels = |from: f64, length: f64, most: usize| {
        let first = (from * scale).round().max(0.) as usize;
        (first, ((from + length) * scale).round().max(0.) as usize, most)
    };
    let (left, right, wide) = pixels(at.0, size.0, paper.width);
    let (top, bottom, high) = pixels(at.1, size.1, paper.height);
    for y in top..bottom.min(high) {
        for x in left..right.min(wide) {
            let share = |n: usize, first: usize, end: usize| {
                ((n - first) as f64 + 0.5) / (end - first) as f64
            };
            let to = 3 * (y * wide + x);
            let found = colour(share(x, left, right), share(y, top, bottom));
            paper.rgb[to..to + 3].copy_from_slice(&found);
        }
    }
}

/// Sets a label; what would lie outside is left out.
fn write(paper: &mut Picture, label: &Label, scale: f32) {
    let mut label = label.clone();
    (label.x, label.y) = (label.x * scale, label.y * scale);
    label.face.size *= scale;
    let (width, height) = (paper.width as i64, paper.height as i64);
    let ink = bytes(label.colour).map(f32::from);
    label.draw(|x, y, cover| {
        if (0..width).contains(&x) && (0..height).contains(&y) {
            let at = 3 * (y * width + x) as usize;
            for (c, ink) in ink.iter().enumerate() {
                let below = f32::from(paper.rgb[at + c]);
                paper.rgb[at + c] = (below + (ink - below) * cover).round() as u8;
            }
        }
    });
}

/// Red, green and blue of 0xRRGGBB.
fn bytes(colour: u32) -> [u8; 3] {
    [(colour >> 16) as u8, (colour >> 8) as u8, colour as u8]
}

fn rgb(colour: u32) -> RGBColor {
    let [r, g, b] = bytes(colour);
    RGBColor(r, g, b)
}

fn told<E: std::error::Error + Send + Sync>(error: DrawingAreaErrorKind<E>) -> anyhow::Error {
    anyhow!("cannot draw: {error}")
}
