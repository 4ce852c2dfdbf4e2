//! A sheet as a PDF of one page. A unit is a point; text is drawn as outlines, so no font is embedded.

use super::{Item, Place, Sheet};
use crate::Picture;
use anyhow::Result;
use flate2::{Compression, write::ZlibEncoder};
use pdf_writer::{Content, Filter, Finish, Name, Pdf, Rect, Ref};
use std::io::Write;

/// Of a circle's radius: how far from its four points the handles of Bézier curves are.
const HANDLE: f64 = 0.552_284_75;

impl Sheet {
    /// The sheet as a PDF file.
    pub(super) fn pdf(&self) -> Result<Vec<u8>> {
        let [catalog, tree, page_id, content_id] = [1, 2, 3, 4].map(Ref::new);
        let mut pdf = Pdf::new();
        pdf.catalog(catalog).pages(tree);
        pdf.pages(tree).kids([page_id]).count(1);
        let pictures: Vec<(String, Ref, &Picture)> = self
            .items
            .iter()
            .filter_map(|item| match item {
                Item::Picture { picture, .. } => Some(picture),
                _ => None,
            })
            .enumerate()
            .map(|(i, picture)| (format!("P{i}"), Ref::new(5 + i as i32), picture))
            .collect();
        let mut page = pdf.page(page_id);
        page.parent(tree).contents(content_id);
        page.media_box(Rect::new(0., 0., self.size.0 as f32, self.size.1 as f32));
        let mut resources = page.resources();
        let mut named = resources.x_objects();
        for (name, id, _) in &pictures {
            named.pair(Name(name.as_bytes()), *id);
        }
        named.finish();
        resources.finish();
        page.finish();
        let drawn = packed(&self.content(&pictures))?;
        pdf.stream(content_id, &drawn).filter(Filter::FlateDecode);
        for (_, id, picture) in &pictures {
            let pixels = packed(&picture.rgb)?;
            let mut image = pdf.image_xobject(*id, &pixels);
            image.filter(Filter::FlateDecode);
            image.bits_per_component(8).interpolate(false);
            image.width(picture.width as i32).height(picture.height as i32);
            image.color_space().device_rgb();
        }
        Ok(pdf.finish())
    }

    fn content(&self, pictures: &[(String, Ref, &Picture)]) -> Vec<u8> {
        let mut ink = Content::new();
        // From the top left, down.
        ink.transform([1., 0., 0., -1., 0., self.size.1 as f32]);
        let mut names = pictures.iter();
        for item in &self.items {
            match item {
                Item::Line { places, colour, width } => {
                    let [r, g, b] = shares(*colour);
                    ink.set_stroke_rgb(r, g, b).set_line_width(*width as f32);
                    outline(&mut ink, places);
                    ink.stroke();
                }
                Item::Polygon { corners, colour } => {
                    fill(&mut ink, *colour);
                    outline(&mut ink, corners);
                    ink.close_path().fill_nonzero();
                }
                Item::Circle { at, radius, colour } => {
                    fill(&mut ink, *colour);
                    circle(&mut ink, *at, *radius);
                    ink.fill_nonzero();
                }
                Item::Block { at, size, colour } => {
                    fill(&mut ink, *colour);
                    let [x, y, w, h] = [at.0, at.1, size.0, size.1].map(|n| n as f32);
                    ink.rect(x, y, w, h).fill_nonzero();
                }
                Item::Picture { at, size, .. } => {
                    let Some((name, ..)) = names.next() else { continue };
                    let [x, y, w, h] = [at.0, at.1, size.0, size.1].map(|n| n as f32);
                    ink.save_state().transform([w, 0., 0., -h, x, y + h]);
                    ink.x_object(Name(name.as_bytes())).restore_state();
                }
                Item::Text(label) => {
                    fill(&mut ink, label.colour);
                    label.outline(|contour| {
                        ink.move_to(contour[0][2].0, contour[0][2].1);
                        for [a, b, end] in &contour[1..] {
                            ink.cubic_to(a.0, a.1, b.0, b.1, end.0, end.1);
                        }
                        ink.close_path();
                    });
                    ink.fill_nonzero();
                }
                Item::Hint { .. } => {}
            }
        }
        ink.finish().to_vec()
    }
}

fn outline(ink: &mut Content, places: &[Place]) {
    for (i, (x, y)) in places.iter().enumerate() {
        let (x, y) = (*x as f32, *y as f32);
        if i == 0 {
            ink.move_to(x, y)
        } else {
            ink.line_to(x, y)
        };
    }
}

fn circle(ink: &mut Content, (x, y): Place, radius: f64) {
    let at = |dx: f64, dy: f64| ((x + dx * radius) as f32, (y + dy * radius) as f32);
    let start = at(1., 0.);
    ink.move_to(start.0, start.1);
    let quarters: [[f64; 2]; 4] = [[1., 0.], [0., 1.], [-1., 0.], [0., -1.]];
    for (i, [dx, dy]) in quarters.iter().enumerate() {
        let [ex, ey] = quarters[(i + 1) % 4];
        let a = at(dx + HANDLE * ex, dy + HANDLE * ey);
        let b = at(ex + HANDLE * dx, ey + HANDLE * dy);
        let end = at(ex, ey);
        ink.cubic_to(a.0, a.1, b.0, b.1, end.0, end.1);
    }
    ink.close_path();
}

fn fill(ink: &mut Content, colour: u32) {
    let [r, g, b] = shares(colour);
    ink.set_fill_rgb(r, g, b);
}

/// Red, green and blue from 0 to 1.
fn shares(colour: u32) -> [f32; 3] {
    [16, 8, 0].map(|shift| f32::from((colour >> shift) as u8) / 255.)
}

fn packed(bytes: &[u8]) -> Result<Vec<u8>> {
    let mut packer = ZlibEncoder::new(vec![], Compression::default());
    packer.write_all(bytes)?;
    Ok(packer.finish()?)
}
