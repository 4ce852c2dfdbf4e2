//! Numbers of several methods as marks with their intervals, a line each.

use crate::chart::DENSITY;
use crate::palette::{AXIS, GRID, INK, MUTED, SERIES};
use crate::sheet::{Place, Sheet, element};
use crate::text::{Align, Face, Label, bold, regular};
use crate::ticks::ticks;
use anyhow::Result;

/// Means with intervals, one below the other.
#[derive(Clone, Debug)]
pub struct Forest {
    /// Above the chart; says what is measured.
    pub title: String,
    /// Below the axis.
    pub x_label: String,
    /// From top to bottom.
    pub lines: Vec<Mark>,
}

/// One line of a [`Forest`].
#[derive(Clone, Debug)]
pub struct Mark {
    /// Left of the chart, such as a method.
    pub name: String,
    /// Which colour and marker, from 0.
    pub color_index: usize,
    /// The mean; a line whose mean is not finite is left out.
    pub mean: f64,
    /// Its interval; none where it is not known.
    pub interval: Option<(f64, f64)>,
    /// What is told under the mouse.
    pub told: String,
    /// Whether it is a control: a vertical line goes through its mean.
    pub control: bool,
}

const WIDTH: f64 = 440.0;
const TOP: f64 = 32.0;
const LINE: f64 = 22.0;
const FOOT: f64 = 46.0;
const TITLE: f32 = 14.0;
const NAME: f32 = 12.5;
/// Most that names take.
const NAMES: f32 = 170.0;

impl Forest {
    /// The chart as an `<svg>` element of a page, described by `alt`.
    pub fn svg(&self, alt: &str) -> Result<String> {
        element(&compose(self), alt)
    }
}

fn text(text: String, at: Place, align: Align, face: Face, colour: u32) -> Label {
    Label { text, x: at.0 as f32, y: at.1 as f32, face, align, colour }
}

fn compose(forest: &Forest) -> Sheet {
    let lines: Vec<&Mark> = forest.lines.iter().filter(|mark| mark.mean.is_finite()).collect();
    let bottom = TOP + LINE * lines.len().max(1) as f64;
    let mut sheet = Sheet::new((WIDTH, bottom + FOOT), DENSITY);
    let title = bold(TITLE).fit(&forest.title, WIDTH as f32 - 16.0);
    sheet.text(text(title, (2.0, 6.0), Align::Left, bold(TITLE), INK.light));
    let names: Vec<String> = lines.iter().map(|m| regular(NAME).fit(&m.name, NAMES)).collect();
    let wide = names.iter().map(|name| regular(NAME).width(name)).fold(40.0, f32::max);
    let (left, right) = (f64::from(wide.ceil()) + 14.0, WIDTH - 18.0);
    let marks = scale(&lines);
    let (from, to) = (marks[0].0, marks[marks.len() - 1].0);
    let at = |value: f64| left + (value - from) / (to - from) * (right - left);
    for (tick, label) in &marks {
        sheet.line(&[(at(*tick), TOP), (at(*tick), bottom)], GRID.light, 1.0);
        let place = (at(*tick), bottom + 9.0);
        sheet.text(text(label.clone(), place, Align::Centre, regular(NAME), MUTED.light));
    }
    sheet.line(&[(left, bottom), (right, bottom)], AXIS.light, 1.0);
    let x_label = regular(NAME).fit(&forest.x_label, (right - left) as f32);
    let below = ((left + right) / 2.0, bottom + 28.0);
    sheet.text(text(x_label, below, Align::Centre, regular(NAME), MUTED.light));
    for mark in lines.iter().filter(|mark| mark.control) {
        sheet.line(&[(at(mark.mean), TOP), (at(mark.mean), bottom)], AXIS.light, 1.5);
    }
    for (i, (mark, name)) in lines.iter().zip(names).enumerate() {
        let down = TOP + LINE * (i as f64 + 0.5);
        sheet.text(text(name, (2.0, down - 5.0), Align::Left, regular(NAME), INK.light));
        draw(&mut sheet, mark, down, at);
    }
    sheet
}

/// The ticks of the axis, which reaches over everything.
fn scale(lines: &[&Mark]) -> Vec<(f64, String)> {
    let ends = |mark: &&Mark| {
        let (low, high) = mark.interval.unwrap_or((mark.mean, mark.mean));
        [mark.mean, low, high]
    };
    let all: Vec<f64> = lines.iter().flat_map(ends).filter(|v| v.is_finite()).collect();
    if all.is_empty() {
        return ticks(0., 1., 4);
    }
    let low = all.iter().copied().fold(f64::INFINITY, f64::min);
    ticks(low, all.iter().copied().fold(f64::NEG_INFINITY, f64::max), 4)
}

fn draw(sheet: &mut Sheet, mark: &Mark, down: f64, at: impl Fn(f64) -> f64) {
    let colour = SERIES[mark.color_index % SERIES.len()].light;
    if let Some((low, high)) = mark.interval.filter(|(a, b)| a.is_finite() && b.is_finite()) {
        sheet.line(&[(at(low), down), (at(high), down)], colour, 2.0);
        for end in [low, high] {
            sheet.line(&[(at(end), down - 4.0), (at(end), down + 4.0)], colour, 1.5);
        }
    }
    sheet.marker((at(mark.mean), down), mark.color_index, 4.0, colour);
    sheet.hint((at(mark.mean), down), mark.told.clone());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(means: &[f64]) -> Forest {
        let mark = |(i, mean): (usize, &f64)| Mark {
            name: format!("method {i}"),
            color_index: i,
            mean: *mean,
            interval: Some((mean - 0.1, mean + 0.1)),
            told: format!("method {i}: {mean}"),
            control: i == 0,
        };
        let lines = means.iter().enumerate().map(mark).collect();
        Forest { title: "deletion".into(), x_label: "area".into(), lines }
    }

    #[test]
    fn every_mean_that_is_one_has_a_line() {
        let sheet = |means: &[f64]| compose(&of(means));
        let three = sheet(&[0.2, 0.4, 0.6]);
        assert_eq!(three.size.1 - sheet(&[0.2, f64::NAN]).size.1, 2.0 * LINE);
        let svg = of(&[0.2, 0.4]).svg("deletion").unwrap();
        assert!(svg.contains("<title>method 1: 0.4</title>") && svg.contains(">deletion<"));
        assert!(svg.contains(">area<") && !svg.contains("NaN"));
        assert!(!of(&[]).svg("none").unwrap().contains("NaN"));
    }
}
