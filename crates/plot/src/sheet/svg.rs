//! A sheet as SVG: a file, or an element of a page.

use super::{Item, Place, Sheet};
use crate::Picture;
use crate::palette::RULES_DARK;
use crate::text::{Align, FAMILY, Label, Weight};
use anyhow::Result;
use base64::{Engine, engine::general_purpose::STANDARD};
use std::fmt::Write;

/// Radius about a place in which its hint is shown.
const REACH: f64 = 9.0;

impl Sheet {
    /// The sheet as an SVG file, on white.
    pub(super) fn svg(&self) -> Result<String> {
        let (width, height) = self.size;
        Ok(format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" \
             viewBox=\"0 0 {width} {height}\" font-family=\"{FAMILY}, sans-serif\">\n\
             <rect width=\"{width}\" height=\"{height}\" fill=\"#FFFFFF\"/>\n{}</svg>\n",
            self.body()?
        ))
    }

    fn body(&self) -> Result<String> {
        let mut text = String::new();
        for item in &self.items {
            match item {
                Item::Line { places, colour, width } => {
                    let _ = writeln!(
                        text,
                        "<polyline fill=\"none\" stroke=\"#{colour:06X}\" stroke-width=\"{}\" \
                         points=\"{}\"/>",
                        short(*width),
                        points(places)
                    );
                }
                Item::Polygon { corners, colour } => {
                    let _ = writeln!(
                        text,
                        "<polygon fill=\"#{colour:06X}\" points=\"{}\"/>",
                        points(corners)
                    );
                }
                Item::Circle { at, radius, colour } => {
                    let _ = writeln!(text, "{} fill=\"#{colour:06X}\"/>", circle(*at, *radius));
                }
                Item::Block { at, size, colour } => {
                    let _ = writeln!(text, "<rect {} fill=\"#{colour:06X}\"/>", frame(*at, *size));
                }
                Item::Picture { picture, at, size } => text += &image(picture, *at, *size)?,
                Item::Text(label) => text += &written(label),
                Item::Hint { at, text: hint } => {
                    let (circle, hint) = (circle(*at, REACH), quoted(hint));
                    let _ = writeln!(
                        text,
                        "{circle} fill=\"none\" pointer-events=\"all\">\
                        <title>{hint}</title></circle>"
                    );
                }
            }
        }
        Ok(text)
    }
}

/// A sheet as an `<svg>` element that fills the width it is given. It has no colours of its own on a
/// dark page; `alt` describes it, and is empty where it is decoration.
pub(crate) fn element(sheet: &Sheet, alt: &str) -> Result<String> {
    let role = match alt {
        "" => "aria-hidden=\"true\"".to_owned(),
        alt => format!("role=\"img\" aria-label=\"{}\"", quoted(alt)),
    };
    let (width, height) = sheet.size;
    let body = sheet.body()?;
    Ok(format!(
        "<svg class=\"{RULES_DARK}\" viewBox=\"0 0 {width} {height}\" {role}>\n{body}</svg>\n"
    ))
}

fn image(picture: &Picture, at: Place, size: Place) -> Result<String> {
    let png = STANDARD.encode(picture.png()?);
    let frame = frame(at, size);
    Ok(format!(
        "<image {frame} preserveAspectRatio=\"none\" style=\"image-rendering:pixelated\" \
         href=\"data:image/png;base64,{png}\"/>\n"
    ))
}

fn written(label: &Label) -> String {
    let anchor = match label.align {
        Align::Left => "start",
        Align::Centre => "middle",
        Align::Right => "end",
    };
    let weight = match label.face.weight {
        Weight::Regular => "",
        Weight::Bold => " font-weight=\"bold\"",
    };
    let [x, y, size] = [label.x, label.baseline(), label.face.size].map(|n| short(f64::from(n)));
    let (text, colour) = (quoted(&label.text), label.colour);
    format!(
        "<text x=\"{x}\" y=\"{y}\" font-size=\"{size}\"{weight} text-anchor=\"{anchor}\" \
         fill=\"#{colour:06X}\">{text}</text>\n"
    )
}

fn circle(at: Place, radius: f64) -> String {
    format!("<circle cx=\"{}\" cy=\"{}\" r=\"{}\"", short(at.0), short(at.1), short(radius))
}

fn frame(at: Place, size: Place) -> String {
    let [x, y, w, h] = [at.0, at.1, size.0, size.1].map(short);
    format!("x=\"{x}\" y=\"{y}\" width=\"{w}\" height=\"{h}\"")
}

fn points(places: &[Place]) -> String {
    let place = |p: &Place| format!("{},{}", short(p.0), short(p.1));
    places.iter().map(place).collect::<Vec<_>>().join(" ")
}

/// Hundredths.
fn short(length: f64) -> String {
    format!("{}", (length * 100.).round() / 100.)
}

fn quoted(text: &str) -> String {
    let text = text.replace('&', "&amp;").replace('"', "&quot;");
    text.replace('<', "&lt;").replace('>', "&gt;")
}
