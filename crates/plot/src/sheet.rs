//! What a figure is made of, in units from the top left: lines, markers, blocks, pictures, text. It is
//! written as PNG, SVG or PDF, by the ending of the file.

use crate::Picture;
use crate::text::Label;
use anyhow::{Result, bail};
use std::path::Path;

mod pdf;
mod png;
mod svg;

pub(crate) use png::MOST_PIXELS;
pub(crate) use svg::element;

/// A place in the figure: right, down.
pub(crate) type Place = (f64, f64);

/// One thing on a sheet.
#[derive(Clone, Debug)]
pub(crate) enum Item {
    /// A line through places.
    Line { places: Vec<Place>, colour: u32, width: f64 },
    /// A filled polygon.
    Polygon { corners: Vec<Place>, colour: u32 },
    /// A filled circle.
    Circle { at: Place, radius: f64, colour: u32 },
    /// A filled rectangle: its upper left corner and its sides.
    Block { at: Place, size: Place, colour: u32 },
    /// A picture stretched to a size without smoothing.
    Picture { picture: Picture, at: Place, size: Place },
    /// A line of text.
    Text(Label),
    /// What a browser tells of a place under the mouse.
    Hint { at: Place, text: String },
}

/// A figure under construction.
#[derive(Clone, Debug)]
pub(crate) struct Sheet {
    pub(crate) size: Place,
    /// Pixels a unit in PNG files.
    density: usize,
    pub(crate) items: Vec<Item>,
}

/// The shapes that tell lines apart without colour; more lines begin again.
const MARKERS: [&[Place]; 5] = [
    &[], // a circle
    &[(0.0, -1.25), (1.15, 0.8), (-1.15, 0.8)],
    &[(-0.9, -0.9), (0.9, -0.9), (0.9, 0.9), (-0.9, 0.9)],
    &[(0.0, -1.3), (1.3, 0.0), (0.0, 1.3), (-1.3, 0.0)],
    &[(0.0, 1.25), (-1.15, -0.8), (1.15, -0.8)],
];

impl Sheet {
    /// White paper of a size, with so many pixels a unit in PNG files.
    pub(crate) fn new(size: Place, density: usize) -> Self {
        Sheet { size, density, items: vec![] }
    }

    /// A line through `places`, `width` wide.
    pub(crate) fn line(&mut self, places: &[Place], colour: u32, width: f64) {
        self.items.push(Item::Line { places: places.to_vec(), colour, width });
    }

    /// The marker of line number `series`, of about `radius`.
    pub(crate) fn marker(&mut self, at: Place, series: usize, radius: f64, colour: u32) {
        let corners = MARKERS[series % MARKERS.len()];
        let corner = |c: &Place| (at.0 + c.0 * radius, at.1 + c.1 * radius);
        self.items.push(match corners.is_empty() {
            true => Item::Circle { at, radius, colour },
            false => Item::Polygon { corners: corners.iter().map(corner).collect(), colour },
        });
    }

    /// A filled rectangle.
    pub(crate) fn block(&mut self, at: Place, size: Place, colour: u32) {
        self.items.push(Item::Block { at, size, colour });
    }

    /// `picture` with its upper left corner at a place, stretched to `size`.
    pub(crate) fn picture(&mut self, picture: &Picture, at: Place, size: Place) {
        self.items.push(Item::Picture { picture: picture.clone(), at, size });
    }

    /// A line of text.
    pub(crate) fn text(&mut self, label: Label) {
        self.items.push(Item::Text(label));
    }

    /// What is told of the place `at` under the mouse.
    pub(crate) fn hint(&mut self, at: Place, text: String) {
        self.items.push(Item::Hint { at, text });
    }

    /// Writes the figure, whole or not at all. Errors: a name that ends in none of `.png`, `.svg` and
    /// `.pdf`, a figure too large for viewers, an unwritable path.
    pub(crate) fn save(&self, path: &Path) -> Result<()> {
        let ending = path.extension().unwrap_or_default().to_string_lossy();
        let bytes = match &*ending {
            "png" => self.png()?,
            "svg" => self.svg()?.into_bytes(),
            "pdf" => self.pdf()?,
            _ => bail!("`{}` ends in none of .png, .svg and .pdf", path.display()),
        };
        tensorfile::atomic::write(path, |file| Ok(file.write_all(&bytes)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::{Align, regular};

    fn sheet() -> Sheet {
        let mut sheet = Sheet::new((60.0, 40.0), 2);
        sheet.line(&[(5.0, 5.0), (50.0, 5.0)], 0xFF0000, 2.0);
        sheet.marker((30.0, 20.0), 0, 4.0, 0x0000FF);
        sheet.marker((40.0, 20.0), 1, 4.0, 0x0000FF);
        sheet.block((5.0, 10.0), (10.0, 10.0), 0x00FF00);
        let picture = Picture::from_planes(&[0.0, 1.0], 1, 2).unwrap();
        sheet.picture(&picture, (20.0, 25.0), (20.0, 10.0));
        let (text, face) = ("a < b & \"c\"".to_owned(), regular(9.0));
        sheet.text(Label { text, x: 5.0, y: 30.0, face, align: Align::Left, colour: 0x1F2328 });
        sheet
    }

    #[test]
    fn every_form_is_written_by_its_ending() {
        let dir = tempfile::tempdir().unwrap();
        let written = |name: &str| {
            let path = dir.path().join(name);
            sheet().save(&path).unwrap();
            std::fs::read(path).unwrap()
        };
        assert!(written("a.png").starts_with(b"\x89PNG"));
        let svg = String::from_utf8(written("a.svg")).unwrap();
        assert!(svg.starts_with("<svg xmlns=") && svg.contains("a &lt; b &amp; &quot;c&quot;"));
        for element in ["<polyline", "<polygon", "<circle", "<rect", "<image", "<text"] {
            assert!(svg.contains(element), "{element}: {svg}");
        }
        let pdf = written("a.pdf");
        assert!(pdf.starts_with(b"%PDF-") && pdf.ends_with(b"%%EOF"));
        assert_eq!(pdf, written("b.pdf"), "the same figure gives the same bytes");
        let told = sheet().save(&dir.path().join("a.gif")).unwrap_err().to_string();
        assert!(told.contains(".png, .svg and .pdf"), "{told}");
    }

    #[test]
    fn pixels_are_where_units_say() {
        let bitmap = sheet().bitmap().unwrap();
        assert_eq!((bitmap.width, bitmap.height), (120, 80));
        let at = |x: usize, y: usize| &bitmap.rgb[3 * (y * 120 + x)..][..3];
        assert_eq!(at(20, 30), [0, 255, 0], "the block");
        assert_eq!([at(42, 60), at(78, 60)], [[0; 3], [255; 3]], "the picture's two pixels");
        assert_eq!(at(60, 40), [0, 0, 255], "the marker");
        assert_eq!(at(50, 10), [255, 0, 0], "the line");
    }
}
