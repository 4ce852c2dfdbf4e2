//! Line charts: several panels with a common legend as one figure, or one panel alone for a page.

use crate::palette::{INK, SERIES};
use crate::panel::{Panel, SIZE};
use crate::sheet::{Sheet, element};
use crate::text::{Align, Label, bold, regular};
use anyhow::Result;
use std::path::Path;

/// Panels in rows of two, and the names of their lines below them.
#[derive(Clone, Debug)]
pub struct Figure {
    /// Above everything.
    pub title: String,
    /// From left to right, then down.
    pub panels: Vec<Panel>,
    /// Slot and name of each line.
    pub legend: Vec<(usize, String)>,
}

/// Pixels a unit in PNG files.
pub(crate) const DENSITY: usize = 2;
const HEADER: f64 = 36.0;
const LEGEND_LINE: f64 = 22.0;
const TITLE: f32 = 15.0;
const TITLE_LINE: f64 = 20.0;
const SWATCH: f64 = 30.0;
const NAME: f32 = 12.0;

/// Draws `figure` at `path`, as PNG, SVG or PDF by its ending. Errors: unwritable path.
pub fn chart(path: &Path, figure: &Figure) -> Result<()> {
    compose(figure).save(path)
}

/// One panel as an `<svg>` element that fills the width it is given. It has no colours of its own
/// on a dark page; see [`dark_rules`](super::dark_rules). `alt` describes it.
pub fn svg(panel: &Panel, alt: &str) -> Result<String> {
    let mut sheet = Sheet::new(SIZE, DENSITY);
    panel.draw(&mut sheet, (0.0, 0.0));
    element(&sheet, alt)
}

/// The line and marker of `color_index` as a small `<svg>` element, for a legend.
pub fn swatch(color_index: usize) -> Result<String> {
    let mut sheet = Sheet::new((SWATCH, 12.0), DENSITY);
    draw_swatch(&mut sheet, color_index, (1.0, 6.0));
    let svg = element(&sheet, "")?;
    Ok(svg.replacen("<svg ", "<svg width=\"30\" height=\"12\" ", 1))
}

fn draw_swatch(sheet: &mut Sheet, color_index: usize, at: (f64, f64)) {
    let colour = SERIES[color_index % SERIES.len()].light;
    sheet.line(&[at, (at.0 + SWATCH - 2.0, at.1)], colour, 2.0);
    sheet.marker((at.0 + SWATCH / 2.0 - 1.0, at.1), color_index, 4.0, colour);
}

fn compose(figure: &Figure) -> Sheet {
    let columns = figure.panels.len().clamp(1, 2);
    let rows = figure.panels.len().div_ceil(columns);
    let width = columns as f64 * SIZE.0;
    let (names, legend_height) = legend(figure, width);
    let title = bold(TITLE).wrap(&figure.title, width as f32 - 16.0, 2);
    let header = HEADER + TITLE_LINE * title.len().saturating_sub(1) as f64;
    let height = header + rows as f64 * SIZE.1 + legend_height;
    let mut sheet = Sheet::new((width, height), DENSITY);
    for (i, line) in title.into_iter().enumerate() {
        sheet.text(label(line, (8.0, 12.0 + TITLE_LINE * i as f64), bold(TITLE)));
    }
    for (i, panel) in figure.panels.iter().enumerate() {
        let (row, column) = ((i / columns) as f64, (i % columns) as f64);
        panel.draw(&mut sheet, (column * SIZE.0, header + row * SIZE.1));
    }
    let top = height - legend_height;
    for (color_index, name, (x, y)) in names {
        draw_swatch(&mut sheet, color_index, (x, top + y + 5.0));
        sheet.text(label(name, (x + SWATCH + 6.0, top + y), regular(NAME)));
    }
    sheet
}

fn label(text: String, at: (f64, f64), face: crate::text::Face) -> Label {
    let (x, y) = (at.0 as f32, at.1 as f32);
    Label { text, x, y, face, align: Align::Left, colour: INK.light }
}

/// Slot, name and place of a line in the legend.
type Entry = (usize, String, (f64, f64));

/// Places the names in lines of `width`; also the height they take.
fn legend(figure: &Figure, width: f64) -> (Vec<Entry>, f64) {
    let (mut x, mut y, mut placed) = (8.0, 4.0, vec![]);
    for (color_index, name) in &figure.legend {
        let name = regular(NAME).fit(name, (width - SWATCH - 40.0) as f32);
        let wide = SWATCH + 6.0 + f64::from(regular(NAME).width(&name));
        if x > 8.0 && x + wide > width - 8.0 {
            (x, y) = (8.0, y + LEGEND_LINE);
        }
        placed.push((*color_index, name, (x, y)));
        x += wide + 22.0;
    }
    let height = if placed.is_empty() { 0.0 } else { y + LEGEND_LINE };
    (placed, height)
}

#[cfg(test)]
mod tests {
    use super::super::{Point, Series, XAxis};
    use super::*;

    fn panel(title: &str, y: f64) -> Panel {
        let point = |k: f64| Point::new(k / 255.0, format!("{k}/255"), y, 0.1);
        let series = vec![Series { color_index: 0, points: vec![point(2.0), point(4.0)] }];
        Panel {
            title: title.into(),
            x_axis: XAxis::Radii,
            x_label: "ε".into(),
            y_label: "k-in".into(),
            y_range: (0.0, 1.0),
            equal: false,
            series,
        }
    }

    #[test]
    fn svg_is_escaped_and_repeatable() {
        let one = svg(&panel("<b> & co", 0.5), "k-in \"over\" ε").unwrap();
        assert_eq!(one, svg(&panel("<b> & co", 0.5), "k-in \"over\" ε").unwrap());
        assert!(one.contains("&lt;b&gt; &amp; co") && !one.contains("<b>"));
        assert!(one.contains("aria-label=\"k-in &quot;over&quot; ε\""));
        assert!(one.starts_with("<svg class=\"chart\" viewBox=\"0 0 440 260\""));
        assert!(one.trim_end().ends_with("</svg>"));
    }

    #[test]
    fn figures_grow_with_panels_and_legend() {
        let names = |count| (0..count).map(|i| (i, format!("model {i}"))).collect();
        let titled = |title: &str, panels: usize, lines: usize| {
            let panels = vec![panel("k-in", f64::NAN); panels];
            let figure = Figure { title: title.into(), panels, legend: names(lines) };
            let bitmap = compose(&figure).bitmap().unwrap();
            (bitmap.width, bitmap.height)
        };
        let of = |panels, lines| titled("t", panels, lines);
        let one = of(1, 1);
        assert_eq!(one.0, 440 * DENSITY);
        assert_eq!(of(4, 1).0, 880 * DENSITY);
        assert!(of(4, 12).1 > of(4, 1).1);
        assert!(of(1, 12).1 > one.1);
        let long = "A title of more words than one line has room for, which two have";
        assert_eq!(titled(long, 1, 1).1 - one.1, 20 * DENSITY);
    }
}
