//! Matrices as panels of coloured cells with their numbers; what is written stays readable on
//! every colour.

use crate::palette::{Hue, INK, MUTED};
use crate::sheet::Sheet;
use crate::text::{Align, Face, Label, bold, regular};
use anyhow::{Result, ensure};
use std::path::Path;

/// What [`heatmap`] draws.
#[derive(Clone, Debug)]
pub struct Heatmap {
    /// Above everything.
    pub title: String,
    /// Below the title: what the colours mean.
    pub note: String,
    /// Above the names of the rows, and of the columns.
    pub axes: [String; 2],
    /// Names of the rows, of every panel.
    pub rows: Vec<String>,
    /// Names of the columns.
    pub columns: Vec<String>,
    /// From left to right, then down.
    pub panels: Vec<HeatPanel>,
}

/// One matrix.
#[derive(Clone, Debug)]
pub struct HeatPanel {
    /// Above the matrix.
    pub title: String,
    /// A row of cells for each row's name.
    pub cells: Vec<Vec<HeatCell>>,
}

/// One number.
#[derive(Clone, Debug)]
pub struct HeatCell {
    /// What is written.
    pub text: String,
    /// How dark: 0 is paper, 1 the darkest; NaN counts as 0.
    pub shade: f64,
}

impl HeatCell {
    /// Its colour, 0xRRGGBB.
    pub fn colour(&self) -> u32 {
        let share = if self.shade.is_finite() { self.shade.clamp(0., 1.) } else { 0. };
        let mixed = |shift: u32| {
            let [from, to] = [PALEST, DARKEST].map(|c| f64::from((c >> shift) & 0xFF));
            ((from + (to - from) * share).round() as u32) << shift
        };
        mixed(16) | mixed(8) | mixed(0)
    }
}

/// The ends of the colours: both bear dark text.
const PALEST: u32 = 0xFFF9F0;
const DARKEST: u32 = 0xF08C3C;
/// Pixels a unit.
const DENSITY: usize = 2;
const MARGIN: usize = 16;
const TITLE: f32 = 15.0;
const HEADING: f32 = 13.0;
const NAME: f32 = 11.5;
const NUMBER: f32 = 12.5;
const LINE: usize = 15;
/// Lines a name may take.
const LINES: usize = 4;
const CELL_HEIGHT: usize = 34;
/// Widths of a column and of the names of the rows, between these.
const COLUMN: (f32, f32) = (58., 110.);
const LEFT: (f32, f32) = (70., 190.);
const GAP: usize = 28;

/// Draws `map` at `path`, as PNG, SVG or PDF by its ending. Errors: no panel, a figure that is too large,
/// unwritable path.
pub fn heatmap(path: &Path, map: &Heatmap) -> Result<()> {
    compose(map)?.save(path)
}

/// Where everything goes, in units.
struct Plan {
    /// The rows' names, and the columns', as lines.
    rows: Vec<Vec<String>>,
    columns: Vec<Vec<String>>,
    left: usize,
    cell: (usize, usize),
    /// Lines above the cells, for the columns' names.
    head: usize,
    panel: (usize, usize),
    /// Panels side by side.
    across: usize,
}

impl Plan {
    fn of(map: &Heatmap) -> Result<Self> {
        ensure!(!map.panels.is_empty(), "a heat map needs at least one panel");
        let face = regular(NAME);
        let wide = |names: &[String], (least, most): (f32, f32)| {
            names.iter().map(|name| face.width(name)).fold(least, f32::max).min(most)
        };
        let (left, cell) = (wide(&map.rows, LEFT), wide(&map.columns, COLUMN));
        let lines = |names: &[String], width: f32| -> Vec<Vec<String>> {
            names.iter().map(|name| face.broken(name, width, LINES)).collect()
        };
        let (rows, columns) = (lines(&map.rows, left), lines(&map.columns, cell));
        let most = |all: &[Vec<String>]| all.iter().map(Vec::len).max().unwrap_or(1);
        let (left, cell) = (left.ceil() as usize + 10, cell.ceil() as usize + 8);
        let head = most(&columns) + 1;
        let height = CELL_HEIGHT.max(most(&rows) * LINE + 4);
        let panel =
            (left + cell * map.columns.len(), 2 * LINE + head * LINE + height * map.rows.len());
        let across = if map.panels.len() > 1 { 2 } else { 1 };
        Ok(Plan { rows, columns, left, cell: (cell, height), head, panel, across })
    }

    fn size(&self, map: &Heatmap) -> (usize, usize) {
        let down = map.panels.len().div_ceil(self.across);
        let body = self.across * self.panel.0 + (self.across - 1) * GAP;
        let wanted = bold(TITLE).width(&map.title).max(regular(NAME).width(&map.note));
        let body = body.max((wanted.ceil() as usize + 2).min(900));
        let top = 2 * LINE + LINE + 8;
        (2 * MARGIN + body, 2 * MARGIN + top + down * self.panel.1 + (down - 1) * GAP)
    }
}

fn compose(map: &Heatmap) -> Result<Sheet> {
    let plan = Plan::of(map)?;
    let (width, height) = plan.size(map);
    let mut sheet = Sheet::new((width as f64, height as f64), DENSITY);
    let room = (width - 2 * MARGIN) as f32;
    let title = bold(TITLE).fit(&map.title, room);
    write(&mut sheet, title, (MARGIN, MARGIN), Align::Left, bold(TITLE), INK);
    let note = regular(NAME).fit(&map.note, room);
    write(&mut sheet, note, (MARGIN, MARGIN + LINE + 7), Align::Left, regular(NAME), MUTED);
    for (i, panel) in map.panels.iter().enumerate() {
        let x = MARGIN + (i % plan.across) * (plan.panel.0 + GAP);
        let y = MARGIN + 3 * LINE + 8 + (i / plan.across) * (plan.panel.1 + GAP);
        draw(&mut sheet, map, panel, &plan, (x, y));
    }
    Ok(sheet)
}

fn draw(sheet: &mut Sheet, map: &Heatmap, panel: &HeatPanel, plan: &Plan, (x, y): (usize, usize)) {
    let title = bold(HEADING).fit(&panel.title, plan.panel.0 as f32);
    write(sheet, title, (x, y), Align::Left, bold(HEADING), INK);
    let face = regular(NAME);
    let head = y + LINE + 10;
    let [rows, columns] = &map.axes;
    let axis = |text: &str, width: usize| face.fit(text, width as f32);
    let body = x + plan.left;
    let over = plan.cell.0 * map.columns.len();
    write(sheet, axis(columns, over), (body + over / 2, head), Align::Centre, face, MUTED);
    let top = head + plan.head * LINE + 5;
    write(sheet, axis(rows, plan.left - 8), (x, top - LINE - 3), Align::Left, face, MUTED);
    for (i, lines) in plan.columns.iter().enumerate() {
        let first = plan.head - lines.len();
        for (k, line) in lines.iter().enumerate() {
            let at = (body + i * plan.cell.0 + plan.cell.0 / 2, head + (first + k) * LINE);
            write(sheet, line.clone(), at, Align::Centre, face, INK);
        }
    }
    for (i, (lines, cells)) in plan.rows.iter().zip(&panel.cells).enumerate() {
        let down = top + i * plan.cell.1;
        let middle = down + plan.cell.1 / 2;
        for (k, line) in lines.iter().enumerate() {
            let at = (body - 8, middle + k * LINE - lines.len() * LINE / 2 + 3);
            write(sheet, line.clone(), at, Align::Right, face, INK);
        }
        for (j, cell) in cells.iter().enumerate() {
            let right = body + j * plan.cell.0;
            fill(sheet, (right, down), (plan.cell.0 - 1, plan.cell.1 - 1), cell.colour());
            let at = (right + plan.cell.0 / 2, middle - 5);
            write(sheet, cell.text.clone(), at, Align::Centre, regular(NUMBER), INK);
        }
    }
}

fn write(sheet: &mut Sheet, text: String, at: (usize, usize), align: Align, face: Face, hue: Hue) {
    let [x, y] = [at.0, at.1].map(|place| place as f32);
    sheet.text(Label { text, x, y, face, align, colour: hue.light });
}

fn fill(sheet: &mut Sheet, at: (usize, usize), size: (usize, usize), colour: u32) {
    sheet.block((at.0 as f64, at.1 as f64), (size.0 as f64, size.1 as f64), colour);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(panels: usize, columns: usize) -> Heatmap {
        let cell = HeatCell { text: "0.12".into(), shade: 0.5 };
        let cells = vec![vec![cell; columns]; 2];
        Heatmap {
            title: "t".into(),
            note: "n".into(),
            axes: ["attacked".into(), "judged".into()],
            rows: vec!["gxi".into(), "a-name-that-is-long: integrated gradients".into()],
            columns: vec!["gxi".into(); columns],
            panels: vec![HeatPanel { title: "k-in".into(), cells }; panels],
        }
    }

    #[test]
    fn sheets_grow_with_panels_and_columns() {
        let size = |panels, columns| compose(&map(panels, columns)).unwrap().size;
        assert!(size(1, 4).0 > size(1, 2).0);
        assert_eq!(size(2, 4).0, size(4, 4).0);
        assert!(size(4, 4).1 > size(2, 4).1);
        assert!(compose(&map(0, 1)).is_err());
    }

    #[test]
    fn shades_run_from_paper_to_dark() {
        let colour = |shade| HeatCell { text: String::new(), shade }.colour();
        assert_eq!([0., -1., f64::NAN].map(colour), [PALEST; 3]);
        assert_eq!([1., 7.].map(colour), [DARKEST; 2]);
    }
}
