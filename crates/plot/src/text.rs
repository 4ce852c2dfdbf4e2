//! Text in DejaVu Sans: measuring, shortening, wrapping, and setting on a [`Bitmap`](crate::bitmap).
//! Glyphs are placed at fractions of a pixel, which keeps small text even. Left to right only.

use ab_glyph::{Font, FontRef, GlyphId, PxScale, ScaleFont, point};
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
}

impl Label {
    /// Calls `dot(x, y, cover)` for every pixel touched, cover in (0, 1].
    pub(crate) fn draw(&self, mut dot: impl FnMut(i64, i64, f32)) {
        let (glyphs, width) = self.face.set(&self.text);
        let left = match self.align {
            Align::Left => self.x,
            Align::Centre => self.x - width / 2.0,
            Align::Right => self.x - width,
        };
        // On a whole pixel the feet of the letters are sharp.
        let baseline = (self.y + CAPITALS * self.face.size).round();
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

/// Height of capitals in ems; also the shift plotters writes into SVG for text hung by its top.
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
    fn text_wraps_into_the_lines_there_are() {
        let face = bold(11.0);
        let lines = face.wrap("golden retriever 0.98 → labrador retriever 0.91", 128.0, 2);
        assert_eq!(lines.len(), 2);
        assert!(lines.iter().all(|line| face.width(line) <= 128.0));
        assert_eq!(face.wrap("", 50.0, 2), Vec::<String>::new());
    }
}
