//! Drawing in figure coordinates on either plotters backend. Lines go to the backend at once; text
//! is kept, because plotters sets small text unevenly in pictures: those get ours, SVG `<text>`.

use crate::text::{Align, FAMILY, Label, Weight};
use anyhow::{Result, anyhow};
use plotters::coord::Shift;
use plotters::drawing::DrawingAreaErrorKind;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

/// Draws on `area`; one unit of length is `scale` of its pixels.
pub(crate) struct Canvas<'a, B: DrawingBackend> {
    area: &'a DrawingArea<B, Shift>,
    scale: f64,
    labels: Vec<Label>,
}

/// A place in the figure: right, down.
pub(crate) type Place = (f64, f64);

/// The shapes that tell lines apart without colour; more lines begin again.
const MARKERS: [&[Place]; 5] = [
    &[], // a circle
    &[(0.0, -1.25), (1.15, 0.8), (-1.15, 0.8)],
    &[(-0.9, -0.9), (0.9, -0.9), (0.9, 0.9), (-0.9, 0.9)],
    &[(0.0, -1.3), (1.3, 0.0), (0.0, 1.3), (-1.3, 0.0)],
    &[(0.0, 1.25), (-1.15, -0.8), (1.15, -0.8)],
];

impl<'a, B: DrawingBackend> Canvas<'a, B> {
    pub(crate) fn new(area: &'a DrawingArea<B, Shift>, scale: f64) -> Self {
        Canvas { area, scale, labels: vec![] }
    }

    fn at(&self, (x, y): Place) -> (i32, i32) {
        ((x * self.scale).round() as i32, (y * self.scale).round() as i32)
    }

    /// A line through `places`, `width` wide.
    pub(crate) fn line(&self, places: &[Place], colour: u32, width: f64) -> Result<()> {
        let stroke = rgb(colour).stroke_width((width * self.scale).round().max(1.0) as u32);
        let places: Vec<_> = places.iter().map(|&place| self.at(place)).collect();
        self.area.draw(&PathElement::new(places, stroke)).map_err(told)
    }

    /// The marker of line number `series`, of about `radius`.
    pub(crate) fn marker(&self, at: Place, series: usize, radius: f64, colour: u32) -> Result<()> {
        let corners = MARKERS[series % MARKERS.len()];
        if corners.is_empty() {
            let radius = (radius * self.scale).round() as i32;
            let circle = Circle::new(self.at(at), radius, rgb(colour).filled());
            return self.area.draw(&circle).map_err(told);
        }
        let corner = |c: &Place| self.at((at.0 + c.0 * radius, at.1 + c.1 * radius));
        let corners: Vec<_> = corners.iter().map(corner).collect();
        self.area.draw(&Polygon::new(corners, rgb(colour).filled())).map_err(told)
    }

    /// Text, in figure coordinates.
    pub(crate) fn text(&mut self, mut label: Label) {
        let scale = self.scale as f32;
        (label.x, label.y) = (label.x * scale, label.y * scale);
        label.face.size *= scale;
        self.labels.push(label);
    }

    /// The text, in the backend's pixels, for whoever sets it.
    pub(crate) fn into_labels(self) -> Vec<Label> {
        self.labels
    }

    /// Sets the text through the backend.
    pub(crate) fn write_labels(self) -> Result<()> {
        for label in &self.labels {
            let weight = match label.face.weight {
                Weight::Regular => FontStyle::Normal,
                Weight::Bold => FontStyle::Bold,
            };
            let right = match label.align {
                Align::Left => HPos::Left,
                Align::Centre => HPos::Center,
                Align::Right => HPos::Right,
            };
            // plotters writes 1 / 1.24 of the size it is given.
            let colour = rgb(label.colour);
            let style = (FAMILY, f64::from(label.face.size) * 1.24, weight)
                .into_text_style(self.area)
                .pos(Pos::new(right, VPos::Top))
                .color(&colour);
            let at = (label.x.round() as i32, label.y.round() as i32);
            self.area.draw(&Text::new(label.text.as_str(), at, style)).map_err(told)?;
        }
        Ok(())
    }
}

fn rgb(colour: u32) -> RGBColor {
    RGBColor((colour >> 16) as u8, (colour >> 8) as u8, colour as u8)
}

fn told<E: std::error::Error + Send + Sync>(error: DrawingAreaErrorKind<E>) -> anyhow::Error {
    anyhow!("cannot draw: {error}")
}
