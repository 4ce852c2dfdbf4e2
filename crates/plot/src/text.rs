//! Text in DejaVu Sans: measuring, shortening, wrapping, and setting on a [`Sheet`](crate::sheet).
//! Glyphs are placed at fractions of a pixel, which keeps small text even. Left to right only.

use ab_glyph::{Font, FontRef, GlyphId, OutlineCurve, Point, PxScale, ScaleFont, point};
use std::sync::OnceLock;

/// The family's name, for SVG.
pub(crate) const FAMILY: &str = "DejaVu Sans";

/// How heavy the strokes are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Weight {
    Regular,
    Bold,
}

/// Where a label lies about its x.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Align {
    Left,
    Centre,
    Right,
}

/// Size of the em in pixels, and weight.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Face {
    pub(crate) size: f32,
    pub(crate) weight: Weight,
}

/// A line of text: `y` is the top of its capitals.
#[derive(Clone, Debug)]
pub(crate) struct Label {
    pub(crate) text: String,
    pub(crate) x: f32,
    pub(crate) y: f32,
    pub(crate) face: Face,
    pub(crate) align: Align,
    /// 0xRRGGBB.
    pub(crate) colour: u32,
}

/// Regular text of `size` pixels.
pub(crate) fn regular(size: f32) -> Face {
    Face { size, weight: Weight::Regular }
}

/// Bold text of `size` pixels.
pub(crate) fn bold(size: f32) -> Face {
    Face { size, weight: Weight::Bold }
}

impl Face {
    fn font(self) -> &'static FontRef<'static> {
        static REGULAR: OnceLock<FontRef<'static>> = OnceLock::new();
        static BOLD: OnceLock<FontRef<'static>> = OnceLock::new();
        let (cell, bytes): (_, fn() -> &'static [u8]) = match self.weight {
            Weight::Regular => (&REGULAR, dejavu::sans::regular),
            Weight::Bold => (&BOLD, dejavu::sans::bold),
        };
        cell.get_or_init(|| FontRef::try_from_slice(bytes()).expect("the font is compiled in"))
    }

    fn scale(self) -> PxScale {
        let font = self.font();
        let em = font.units_per_em().expect("a TrueType font says its em");
        PxScale::from(self.size * font.height_unscaled() / em)
    }

    /// The glyphs of `text` with their x, and the x after the last.
    fn set(self, text: &str) -> (Vec<(GlyphId, f32)>, f32) {
        let font = self.font().as_scaled(self.scale());
        let (mut glyphs, mut x, mut last) = (vec![], 0.0, None);
        for id in text.chars().map(|c| font.glyph_id(c)) {
            x += last.map_or(0.0, |before| font.kern(before, id));
            glyphs.push((id, x));
            x += font.h_advance(id);
            last = Some(id);
        }
        (glyphs, x)
    }

    /// Width of `text` in pixels.
    pub(crate) fn width(self, text: &str) -> f32 {
        self.set(text).1
    }

    /// `text`, or as much of its beginning as fits into `width`, with an ellipsis.
    pub(crate) fn fit(self, text: &str, width: f32) -> String {
        if self.width(text) <= width {
            return text.to_owned();
        }
        let mut short: Vec<char> = text.chars().collect();
        while short.pop().is_some() {
            let tried = short.iter().collect::<String>().trim_end().to_owned() + "…";
            if self.width(&tried) <= width {
                return tried;
            }
        }
        String::new()
    }

    /// `text` broken at spaces into at most `lines` lines of `width`, the last one shortened.
    pub(crate) fn wrap(self, text: &str, width: f32, lines: usize) -> Vec<String> {
        let mut done: Vec<String> = vec![];
        for word in text.split_whitespace() {
            let joined = done.last().map(|line| format!("{line} {word}"));
            match joined {
                Some(line) if done.len() == lines || self.width(&line) <= width => {
                    let last = done.len() - 1;
                    done[last] = line;
                }
                _ => done.push(word.to_owned()),
            }
        }
        done.iter().map(|line| self.fit(line, width)).collect()
    }

    /// `name` in at most `lines` lines of `width`, broken after spaces, colons, commas and hyphens where
    /// it has to be.
    pub(crate) fn broken(self, name: &str, width: f32, lines: usize) -> Vec<String> {
        let full =
            |line: &str, piece: &str| self.width(format!("{line}{piece}").trim_end()) > width;
        let mut found: Vec<String> = vec![];
        for piece in name.split_inclusive([' ', ':', ',', '-']) {
            match found.last_mut() {
                Some(line) if full(line, piece) => found.push(piece.to_owned()),
                Some(line) => line.push_str(piece),
                None => found.push(piece.to_owned()),
            }
        }
        if found.len() > lines {
            let rest = found.split_off(lines - 1).concat();
            found.push(rest);
        }
        let fitted = found.iter().map(|line| self.fit(line.trim(), width));
        fitted.filter(|line| !line.is_empty()).collect()
    }
}

/// A part of an outline: two handles and an end; of the first of a contour the end alone counts.
pub(crate) type Curve = [(f32, f32); 3];

impl Label {
    fn left(&self, width: f32) -> f32 {
        match self.align {
            Align::Left => self.x,
            Align::Centre => self.x - width / 2.0,
            Align::Right => self.x - width,
        }
    }

    /// Where the feet of the letters are.
    pub(crate) fn baseline(&self) -> f32 {
        self.y + CAPITALS * self.face.size
    }

    /// Calls `each` with every contour of the text as Bézier curves.
    pub(crate) fn outline(&self, mut each: impl FnMut(&[Curve])) {
        let (glyphs, width) = self.face.set(&self.text);
        let (left, down) = (self.left(width), self.baseline());
        let font = self.face.font();
        let scaled = font.as_scaled(self.face.scale());
        let (across, up) = (scaled.h_scale_factor(), scaled.v_scale_factor());
        for (id, x) in glyphs {
            let at = |p: Point| (left + x + p.x * across, down - p.y * up);
            let Some(outline) = font.outline(id) else { continue };
            let mut contour: Vec<Curve> = vec![];
            let mut end = None;
            for curve in &outline.curves {
                let (from, a, b, to) = cubic(curve);
                if end != Some(from) {
                    if contour.len() > 1 {
                        each(&contour);
                    }
                    contour = vec![[at(from); 3]];
                }
                contour.push([at(a), at(b), at(to)]);
                end = Some(to);
            }
            if contour.len() > 1 {
                each(&contour);
            }
        }
    }

    /// Calls `dot(x, y, cover)` for every pixel touched, cover in (0, 1].
    pub(crate) fn draw(&self, mut dot: impl FnMut(i64, i64, f32)) {
        let (glyphs, width) = self.face.set(&self.text);
        let left = self.left(width);
        // On a whole pixel the feet of the letters are sharp.
        let baseline = self.baseline().round();
        let font = self.face.font();
        for (id, x) in glyphs {
            let glyph = id.with_scale_and_position(self.face.scale(), point(left + x, baseline));
            if let Some(outline) = font.outline_glyph(glyph) {
                let corner = outline.px_bounds().min;
                outline.draw(|dx, dy, cover| {
                    let (x, y) = (corner.x as i64 + i64::from(dx), corner.y as i64 + i64::from(dy));
                    if cover > 0.0 {
                        dot(x, y, cover.min(1.0));
                    }
                });
            }
        }
    }
}

/// Any curve as a cubic one: its start, two handles, its end.
fn cubic(curve: &OutlineCurve) -> (Point, Point, Point, Point) {
    let between = |a: Point, b: Point, share: f32| {
        point(a.x + (b.x - a.x) * share, a.y + (b.y - a.y) * share)
    };
    match *curve {
        OutlineCurve::Line(a, b) => (a, between(a, b, 1. / 3.), between(a, b, 2. / 3.), b),
        OutlineCurve::Quad(a, c, b) => (a, between(a, c, 2. / 3.), between(b, c, 2. / 3.), b),
        OutlineCurve::Cubic(a, c, d, b) => (a, c, d, b),
    }
}

/// Height of capitals in ems.
const CAPITALS: f32 = 0.76;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_text_is_shortened() {
        let face = regular(12.0);
        assert_eq!(face.fit("cat", 100.0), "cat");
        let short = face.fit("a name that is far too long", 60.0);
        assert!(short.ends_with('…') && face.width(&short) <= 60.0);
        assert_eq!(face.fit("cat", 1.0), "");
    }

    #[test]
    fn names_break_where_they_may() {
        let face = regular(12.0);
        let lines = face.broken("resnet20-cifar10-natural: gxi", 80.0, 4);
        assert_eq!(lines.concat().replace(' ', ""), "resnet20-cifar10-natural:gxi");
        assert!(lines.len() > 1 && lines.iter().all(|line| face.width(line) <= 80.0));
        assert_eq!(face.broken("gxi", 80.0, 4), ["gxi"]);
        assert_eq!(face.broken(&"long-".repeat(40), 80.0, 4).len(), 4);
    }

    #[test]
    fn outlines_are_closed_contours_about_the_glyphs() {
        let label = |text: &str| Label {
            text: text.into(),
            x: 10.0,
            y: 5.0,
            face: regular(20.0),
            align: Align::Left,
            colour: 0,
        };
        let mut contours = vec![];
        label("io").outline(|contour| contours.push(contour.to_vec()));
        assert_eq!(contours.len(), 4, "a dot and a stem, a ring inside a ring");
        for contour in &contours {
            assert_eq!(contour[0][2], contour[contour.len() - 1][2]);
            let inside = |p: &(f32, f32)| (10.0..40.0).contains(&p.0) && (2.0..22.0).contains(&p.1);
            assert!(contour.iter().flatten().all(inside), "{contour:?}");
        }
    }

    #[test]
    fn text_wraps_into_the_lines_there_are() {
        let face = bold(11.0);
        let lines = face.wrap("golden retriever 0.98 → labrador retriever 0.91", 128.0, 2);
        assert_eq!(lines.len(), 2);
        assert!(lines.iter().all(|line| face.width(line) <= 128.0));
        assert_eq!(face.wrap("", 50.0, 2), Vec::<String>::new());
    }
}
