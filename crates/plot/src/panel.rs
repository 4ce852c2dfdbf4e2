//! One chart: values over ε (logarithmic), over epochs or over any number, with standard errors.
//! Values that are not finite, and those on a logarithmic axis that are not positive, are left out.

use crate::palette::{AXIS, GRID, INK, MUTED, SERIES};
use crate::sheet::{Place, Sheet};
use crate::text::{Align, Label, bold, regular};
use crate::ticks::{log_ticks, ticks};

mod point;

pub use point::Point;

/// What runs from left to right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum XAxis {
    /// ε in units of [0, 1], drawn over log2(255 ε).
    Radii,
    /// Epochs finished.
    Epochs,
    /// Any number, whose labels are those of the points.
    Linear,
    /// The same; equal ratios are equal distances.
    Log,
    /// The number of a category, whose label is that of the point; points are not joined.
    Category,
    /// Any number, with round labels; points are not joined.
    Scatter,
    /// The same with points so small that many of them make lines and areas.
    Dots,
    /// As `Scatter`; equal ratios are equal distances, labels are powers of ten.
    LogScatter,
}

/// One chart.
#[derive(Clone, Debug)]
pub struct Panel {
    /// Above the chart; says what is measured.
    pub title: String,
    /// What runs from left to right.
    pub x_axis: XAxis,
    /// Its name, below the axis.
    pub x_label: String,
    /// What runs upwards, above the axis.
    pub y_label: String,
    /// Values the axis has to reach, whatever was measured.
    pub y_range: (f64, f64),
    /// Whether a unit is as long across as upwards.
    pub equal: bool,
    /// The lines.
    pub series: Vec<Series>,
}

/// One line of a [`Panel`].
#[derive(Clone, Debug)]
pub struct Series {
    /// Which colour and marker, from 0: the same number is the same model everywhere.
    pub color_index: usize,
    /// In ascending order of `x`.
    pub points: Vec<Point>,
}

impl Series {
    /// Points of a cloud, in any order.
    pub fn cloud(color_index: usize, mut points: Vec<(f64, f64)>) -> Self {
        points.sort_by(|a, b| a.0.total_cmp(&b.0));
        let point = |(x, y): (f64, f64)| Point::new(x, String::new(), y, 0.);
        Series { color_index, points: points.into_iter().map(point).collect() }
    }
}

/// Size of a panel in figure coordinates.
pub(crate) const SIZE: Place = (440.0, 260.0);
const TICK: f32 = 12.5;
const TITLE: f32 = 14.0;
/// Titles that are too long are this small at the least.
const SMALL: f32 = 11.0;
/// Half the width of a box.
const BOX: f64 = 6.0;
/// Most markers on a line over epochs.
const MARKERS: usize = 12;
/// Most points of a cloud that tell their numbers under the mouse.
const MOST_HINTS: usize = 500;
const TOP: f64 = 46.0;
const BOTTOM: f64 = 214.0;
const RIGHT: f64 = SIZE.0 - 20.0;

impl Panel {
    /// Draws the chart with its upper left corner at `origin`.
    pub(crate) fn draw(&self, sheet: &mut Sheet, origin: Place) {
        let frame = Frame::of(self, origin);
        let room = SIZE.0 as f32 - 16.0;
        let face = bold((TITLE * room / bold(TITLE).width(&self.title)).clamp(SMALL, TITLE));
        let title = face.fit(&self.title, room);
        sheet.text(Label { face, ..frame.label(title, (2.0, 6.0), Align::Left, INK.light) });
        frame.draw_axes(sheet, self);
        let mut shown: Vec<&Series> = self.series.iter().collect();
        shown.reverse(); // the first line on top
        let middle = (shown.len() as f64 - 1.0) / 2.0;
        for (i, series) in shown.iter().enumerate() {
            let step = match self.x_axis {
                // Boxes stand side by side.
                XAxis::Category => 2.0 * BOX + 2.0,
                x_axis if x_axis.shared() => (12.0 / middle.max(1.0)).min(3.0),
                _ => 0.0,
            };
            frame.draw_series(sheet, series, self.x_axis, (middle - i as f64) * step);
        }
    }

    fn places(&self) -> impl Iterator<Item = (f64, &Point)> {
        self.series.iter().flat_map(|s| &s.points).filter_map(|p| Some((self.x_axis.place(p)?, p)))
    }
}

impl XAxis {
    /// Where on a linear axis the point lies; none if it cannot be drawn.
    fn place(self, point: &Point) -> Option<f64> {
        let x = match self {
            XAxis::Radii => (255.0 * point.x).log2(),
            XAxis::Log | XAxis::LogScatter => point.x.log10(),
            XAxis::Epochs | XAxis::Linear | XAxis::Category | XAxis::Scatter | XAxis::Dots => {
                point.x
            }
        };
        (x.is_finite() && point.y.is_finite()).then_some(x)
    }

    /// Whether a line goes from point to point.
    fn joined(self) -> bool {
        !matches!(self, XAxis::Category | XAxis::Scatter | XAxis::Dots | XAxis::LogScatter)
    }

    /// Whether the points of several lines stand above each other.
    fn shared(self) -> bool {
        matches!(self, XAxis::Radii | XAxis::Linear | XAxis::Log)
    }
}

/// The axes of one panel, laid out.
struct Frame {
    origin: Place,
    left: f64,
    x: (f64, f64),
    x_ticks: Vec<(f64, String)>,
    y: (f64, f64),
    y_ticks: Vec<(f64, String)>,
}

impl Frame {
    fn of(panel: &Panel, origin: Place) -> Self {
        let (mut low, mut high) = panel.y_range;
        let mut x = (f64::INFINITY, f64::NEG_INFINITY);
        for (place, point) in panel.places() {
            x = (x.0.min(place), x.1.max(place));
            let ends = point.ends();
            (low, high) = (low.min(ends.0), high.max(ends.1));
        }
        if x.0 > x.1 {
            x = (0.0, 1.0);
        } else if x.0 == x.1 && panel.x_axis != XAxis::Category {
            x = (x.0 - 0.5, x.1 + 0.5);
        }
        let pad = if panel.x_axis == XAxis::Category { 0.5 } else { 0.03 * (x.1 - x.0) };
        let y_ticks = ticks(low, high, 5);
        let y = (y_ticks[0].0.min(low), y_ticks[y_ticks.len() - 1].0.max(high));
        let widest = y_ticks.iter().map(|(_, text)| regular(TICK).width(text)).fold(0.0, f32::max);
        let left = f64::from(widest.ceil()) + 18.0;
        let x_ticks = x_ticks(panel, x, RIGHT - left);
        let frame = Frame { origin, left, x: (x.0 - pad, x.1 + pad), x_ticks, y, y_ticks };
        if panel.equal { frame.equal(panel) } else { frame }
    }

    /// With a unit as long across as upwards: more of the axis whose units were longer is shown.
    fn equal(mut self, panel: &Panel) -> Self {
        let sides = (RIGHT - self.left, BOTTOM - TOP);
        let units = [(self.x.1 - self.x.0) / sides.0, (self.y.1 - self.y.0) / sides.1];
        let unit = units[0].max(units[1]);
        let widened = |range: (f64, f64), side: f64| {
            let (middle, half) = ((range.0 + range.1) / 2., unit * side / 2.);
            (middle - half, middle + half)
        };
        (self.x, self.y) = (widened(self.x, sides.0), widened(self.y, sides.1));
        self.x_ticks = x_ticks(panel, self.x, sides.0);
        let y = self.y;
        let inside = |(tick, _): &(f64, String)| (y.0..=y.1).contains(tick);
        self.y_ticks = ticks(y.0, y.1, 5).into_iter().filter(inside).collect();
        self
    }

    fn right(&self, x: f64) -> f64 {
        self.origin.0 + self.left + (x - self.x.0) / (self.x.1 - self.x.0) * (RIGHT - self.left)
    }

    fn down(&self, y: f64) -> f64 {
        self.origin.1 + BOTTOM - (y - self.y.0) / (self.y.1 - self.y.0) * (BOTTOM - TOP)
    }

    /// A label at a place of the panel.
    fn label(&self, text: String, at: Place, align: Align, colour: u32) -> Label {
        let (x, y) = ((self.origin.0 + at.0) as f32, (self.origin.1 + at.1) as f32);
        Label { text, x, y, face: regular(TICK), align, colour }
    }

    fn draw_axes(&self, sheet: &mut Sheet, panel: &Panel) {
        let (left, right) = (self.origin.0 + self.left, self.origin.0 + RIGHT);
        for (y, text) in &self.y_ticks {
            let down = self.down(*y);
            sheet.line(&[(left, down), (right, down)], GRID.light, 1.0);
            let at = (self.left - 8.0, down - self.origin.1 - 5.0);
            sheet.text(self.label(text.clone(), at, Align::Right, MUTED.light));
        }
        let floor = self.origin.1 + BOTTOM;
        sheet.line(&[(left, floor), (right, floor)], AXIS.light, 1.0);
        for (x, text) in &self.x_ticks {
            let at = self.right(*x);
            sheet.line(&[(at, floor), (at, floor + 4.0)], AXIS.light, 1.0);
            let place = (at - self.origin.0, BOTTOM + 9.0);
            sheet.text(self.label(text.clone(), place, Align::Centre, MUTED.light));
        }
        let middle = ((self.left + RIGHT) / 2.0, BOTTOM + 29.0);
        sheet.text(self.label(panel.x_label.clone(), middle, Align::Centre, MUTED.light));
        let above = regular(TICK).fit(&panel.y_label, (SIZE.0 - 4.0) as f32);
        sheet.text(self.label(above, (2.0, TOP - 20.0), Align::Left, MUTED.light));
    }

    /// One line; `aside` moves it right, so that error bars do not cover each other.
    fn draw_series(&self, sheet: &mut Sheet, series: &Series, x_axis: XAxis, aside: f64) {
        let colour = SERIES[series.color_index % SERIES.len()].light;
        let points = || series.points.iter().filter_map(|p| Some((x_axis.place(p)?, p)));
        let place = |(x, p): (f64, &Point)| (self.right(x) + aside, self.down(p.y));
        if x_axis.joined() {
            sheet.line(&points().map(place).collect::<Vec<_>>(), colour, 2.0);
        }
        let radius = if x_axis == XAxis::Dots { 1.25 } else { 4.0 };
        let every = if x_axis == XAxis::Epochs { points().count().div_ceil(MARKERS) } else { 1 };
        for (i, (x, point)) in points().enumerate() {
            let (right, down) = place((x, point));
            if let Some(five) = point.spread {
                self.draw_box(sheet, right, five, colour);
                sheet.hint((right, down), point.told(x));
                continue;
            }
            if point.stderr.is_finite() && point.stderr > 0.0 {
                let ends = [self.down(point.y - point.stderr), self.down(point.y + point.stderr)];
                sheet.line(&[(right, ends[0]), (right, ends[1])], colour, 1.25);
                for end in ends {
                    sheet.line(&[(right - 3.5, end), (right + 3.5, end)], colour, 1.25);
                }
            }
            if i % every.max(1) == 0 {
                sheet.marker((right, down), series.color_index, radius, colour);
            }
            if x_axis != XAxis::Dots && (x_axis.joined() || points().count() <= MOST_HINTS) {
                sheet.hint((right, down), point.told(x));
            }
        }
    }
}

impl Frame {
    /// Whiskers to the least and the largest, a box between the quartiles, the middle as a thick line.
    fn draw_box(&self, sheet: &mut Sheet, right: f64, five: [f64; 5], colour: u32) {
        let at = five.map(|y| self.down(y));
        let (left, side) = (right - BOX, right + BOX);
        for (from, to) in [(at[0], at[1]), (at[3], at[4])] {
            sheet.line(&[(right, from), (right, to)], colour, 1.25);
        }
        for end in [at[0], at[4]] {
            sheet.line(&[(right - 3.0, end), (right + 3.0, end)], colour, 1.25);
        }
        let corners = [(left, at[1]), (side, at[1]), (side, at[3]), (left, at[3]), (left, at[1])];
        sheet.line(&corners, colour, 1.5);
        sheet.line(&[(left, at[2]), (side, at[2])], colour, 3.0);
    }
}

/// Labels of the x axis, left out where they would touch.
fn x_ticks(panel: &Panel, x: (f64, f64), room: f64) -> Vec<(f64, String)> {
    let mut all: Vec<(f64, String)> = match panel.x_axis {
        XAxis::Radii | XAxis::Linear | XAxis::Log | XAxis::Category => {
            panel.places().map(|(x, point)| (x, point.label.clone())).collect()
        }
        XAxis::Scatter | XAxis::Dots => {
            let inside = |(tick, _): &(f64, String)| (x.0..=x.1).contains(tick);
            ticks(x.0, x.1, 5).into_iter().filter(inside).collect()
        }
        XAxis::LogScatter => log_ticks(x.0, x.1),
        XAxis::Epochs => ticks(x.0, x.1, 6)
            .into_iter()
            .filter(|(tick, _)| tick.fract() == 0.0 && (x.0..=x.1).contains(tick))
            .map(|(tick, _)| (tick, format!("{tick}")))
            .collect(),
    };
    all.sort_by(|a, b| a.0.total_cmp(&b.0));
    let mut kept: Vec<(f64, String)> = vec![];
    let mut free = f64::NEG_INFINITY;
    for (tick, text) in all {
        let at = (tick - x.0) / (x.1 - x.0) * room;
        let half = f64::from(regular(TICK).width(&text)) / 2.0;
        if at - half >= free {
            free = at + half + 8.0;
            kept.push((tick, text));
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_that_would_touch_are_left_out() {
        let radii = [1.0, 2.0, 2.1, 4.0, 8.0];
        let point = |k: &f64| Point::new(k / 255.0, format!("{k}/255"), 0.5, 0.0);
        let series = vec![Series { color_index: 0, points: radii.iter().map(point).collect() }];
        let panel = Panel {
            title: String::new(),
            x_axis: XAxis::Radii,
            x_label: String::new(),
            y_label: String::new(),
            y_range: (0.0, 1.0),
            equal: false,
            series,
        };
        let frame = Frame::of(&panel, (0.0, 0.0));
        let texts: Vec<&str> = frame.x_ticks.iter().map(|(_, text)| text.as_str()).collect();
        assert_eq!(texts, ["1/255", "2/255", "4/255", "8/255"]);
        // Equal ratios are equal distances.
        let steps = [0, 1, 2].map(|i| frame.right(i as f64 + 1.0) - frame.right(i as f64));
        assert!((steps[0] - steps[1]).abs() < 1e-9 && (steps[1] - steps[2]).abs() < 1e-9);
    }

    #[test]
    fn equal_scales_have_units_of_one_length() {
        let points = vec![(0.0, 0.0), (1.0, 8.0)];
        let series = vec![Series::cloud(0, points)];
        let panel = Panel {
            title: String::new(),
            x_axis: XAxis::Dots,
            x_label: "x1".into(),
            y_label: "x2".into(),
            y_range: (0.0, 8.0),
            equal: true,
            series,
        };
        let frame = Frame::of(&panel, (0.0, 0.0));
        let (across, up) = (frame.right(1.0) - frame.right(0.0), frame.down(0.0) - frame.down(1.0));
        assert!((across - up).abs() < 1e-9, "{across} {up}");
        let wide = Frame::of(&Panel { equal: false, ..panel }, (0.0, 0.0));
        assert!(wide.right(1.0) - wide.right(0.0) > 3.0 * across);
    }
}
