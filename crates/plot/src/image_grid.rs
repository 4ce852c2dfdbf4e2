//! A grid of pictures with captions, column titles and, where there are heat maps, a colour bar.

use crate::headers::headers;
use crate::palette::{Hue, INK, MUTED};
use crate::sheet::{MOST_PIXELS, Sheet};
use crate::text::{Align, Face, Label, bold, regular};
use crate::{Picture, Scale};
use anyhow::{Result, ensure};
use std::path::Path;

/// What [`grid`] draws.
#[derive(Clone, Debug, Default)]
pub struct Grid {
    /// Above everything.
    pub title: Option<String>,
    /// Above each column; may be shorter than the rows.
    pub columns: Vec<String>,
    /// From top to bottom; rows may differ in length.
    pub rows: Vec<Row>,
}

/// One row of a [`Grid`].
#[derive(Clone, Debug, Default)]
pub struct Row {
    /// From left to right.
    pub cells: Vec<Cell>,
}

/// One picture and what is written below it (two lines at most, then shortened).
#[derive(Clone, Debug)]
pub struct Cell {
    /// The picture, at its own size; small ones are enlarged without smoothing.
    pub picture: Picture,
    /// Such as `cat 0.98 → cat 0.91`; may be empty.
    pub caption: String,
}

const MARGIN: usize = 16;
const GAP: usize = 14;
/// Sides shorter than this are enlarged by the least whole factor that reaches it.
const LEGIBLE: usize = 128;
const TITLE: f32 = 15.0;
const HEADING: f32 = 12.0;
const CAPTION: f32 = 11.0;
const LINE: usize = 15;
const TITLE_LINE: usize = 19;
const BAR: (usize, usize) = (180, 10);
/// Height of a colour bar with what is written below it.
const BAR_HEIGHT: usize = 46;

/// Draws `grid` at `path`, as PNG, SVG or PDF by its ending. Errors: no picture, too many pictures,
/// unwritable path.
pub fn grid(path: &Path, grid: &Grid) -> Result<()> {
    compose(grid)?.save(path)
}

fn compose(grid: &Grid) -> Result<Sheet> {
    let plan = Plan::of(grid)?;
    ensure!(
        plan.width * plan.height <= MOST_PIXELS,
        "a figure of {}×{} pixels is too large; draw fewer images",
        plan.width,
        plan.height
    );
    let mut sheet = Sheet::new((plan.width as f64, plan.height as f64), 1);
    let mut y = MARGIN;
    for line in &plan.title {
        sheet.text(label(line.clone(), (MARGIN, y), Align::Left, bold(TITLE), INK));
        y += TITLE_LINE;
    }
    if !plan.title.is_empty() {
        y += LINE;
    }
    for (column, lines) in plan.heads.iter().enumerate() {
        let first = plan.head_lines() - lines.len();
        for (i, line) in lines.iter().enumerate() {
            let at = (plan.centre(column), y + (first + i) * LINE);
            sheet.text(label(line.clone(), at, Align::Centre, bold(HEADING), INK));
        }
    }
    y += plan.head_height();
    for (row, lines) in grid.rows.iter().zip(&plan.lines) {
        for (column, cell) in row.cells.iter().enumerate() {
            put(&mut sheet, cell, &plan, (plan.centre(column), y));
        }
        y += plan.row_height(*lines);
    }
    for scale in &plan.bars {
        bar(&mut sheet, *scale, y);
        y += BAR_HEIGHT;
    }
    Ok(sheet)
}

/// A colour bar and what its colours mean.
fn bar(sheet: &mut Sheet, scale: Scale, y: usize) {
    let size = (BAR.0 as f64, BAR.1 as f64);
    sheet.picture(&Picture::colour_bar(scale, BAR.0, BAR.1), (MARGIN as f64, y as f64), size);
    for (text, share, align) in scale.ends() {
        let at = (MARGIN + (share * size.0) as usize, y + 15);
        sheet.text(label(text.to_owned(), at, align, regular(CAPTION), MUTED));
    }
    let about = scale.about().to_owned();
    sheet.text(label(about, (MARGIN, y + 31), Align::Left, regular(CAPTION), MUTED));
}

fn label(text: String, at: (usize, usize), align: Align, face: Face, hue: Hue) -> Label {
    Label { text, x: at.0 as f32, y: at.1 as f32, face, align, colour: hue.light }
}

/// One cell, hung by the middle of its upper edge.
fn put(sheet: &mut Sheet, cell: &Cell, plan: &Plan, (centre, y): (usize, usize)) {
    let (width, height) = drawn((cell.picture.width, cell.picture.height));
    let at = (centre - width / 2, y + (plan.cell.1 - height) / 2);
    let size = (width as f64, height as f64);
    sheet.picture(&cell.picture, (at.0 as f64, at.1 as f64), size);
    let face = regular(CAPTION);
    for (i, line) in face.wrap(&cell.caption, plan.cell.0 as f32, 2).into_iter().enumerate() {
        let at = (centre, y + plan.cell.1 + 5 + i * LINE);
        sheet.text(label(line, at, Align::Centre, face, INK));
    }
}

/// The size at which a picture is drawn.
fn drawn((width, height): (usize, usize)) -> (usize, usize) {
    let factor = LEGIBLE.div_ceil(width.max(height)).max(1);
    (width * factor, height * factor)
}

/// How many rows of so many pictures `[_, H, W]` a bitmap has room for, at least one.
pub fn rows_that_fit(columns: usize, [_, height, width]: [i64; 3]) -> usize {
    // Small pictures are enlarged to less than twice what is legible; a cell has a caption of at most
    // two lines; a tenth is left for what stands around the rows.
    let side = |n: i64| (n as usize).max(2 * LEGIBLE);
    let row = columns * (side(width) + GAP) * (side(height) + 2 * LINE + GAP);
    (MOST_PIXELS * 9 / 10 / row).max(1)
}

/// Where everything goes.
struct Plan {
    /// Width and height of the largest picture as drawn.
    cell: (usize, usize),
    /// Caption lines of each row.
    lines: Vec<usize>,
    /// Lines of the title.
    title: Vec<String>,
    /// Lines of each column's header.
    heads: Vec<Vec<String>>,
    /// Colour bars that are owed.
    bars: Vec<Scale>,
    width: usize,
    height: usize,
}

impl Plan {
    fn of(grid: &Grid) -> Result<Self> {
        let cells = || grid.rows.iter().flat_map(|row| &row.cells);
        ensure!(cells().next().is_some(), "a figure needs at least one picture");
        let sizes = || cells().map(|cell| (cell.picture.width, cell.picture.height));
        let cell = sizes().map(drawn).fold((0, 0), |a, b| (a.0.max(b.0), a.1.max(b.1)));
        let cell = (cell.0.max(96), cell.1); // narrow pictures still need room for a caption
        let wrapped = |text: &str| regular(CAPTION).wrap(text, cell.0 as f32, 2).len();
        let most = |row: &Row| row.cells.iter().map(|c| wrapped(&c.caption)).max().unwrap_or(0);
        let columns = grid.rows.iter().map(|row| row.cells.len()).max().unwrap_or(0);
        let mut plan = Plan {
            cell,
            lines: grid.rows.iter().map(most).collect(),
            title: vec![],
            heads: vec![],
            bars: Scale::owed(cells().map(|cell| cell.picture.scale)),
            width: 0,
            height: 0,
        };
        let named = &grid.columns[..grid.columns.len().min(columns)];
        plan.heads = headers(named, bold(HEADING), cell.0 as f32);
        let told = plan.bars.iter().map(|bar| regular(CAPTION).width(bar.about()).ceil() as usize);
        let bar_width = told.map(|width| width.max(BAR.0)).max().unwrap_or(0);
        let body = columns * cell.0 + (columns - 1) * GAP;
        plan.width = 2 * MARGIN + body.max(bar_width);
        let room = (plan.width - 2 * MARGIN) as f32;
        plan.title = grid.title.iter().flat_map(|title| bold(TITLE).wrap(title, room, 2)).collect();
        let top = if plan.title.is_empty() { 0 } else { plan.title.len() * TITLE_LINE + LINE }
            + plan.head_height();
        let rows: usize = plan.lines.iter().map(|&lines| plan.row_height(lines)).sum();
        plan.height = 2 * MARGIN + top + rows + plan.bars.len() * BAR_HEIGHT;
        Ok(plan)
    }

    fn centre(&self, column: usize) -> usize {
        MARGIN + column * (self.cell.0 + GAP) + self.cell.0 / 2
    }

    fn head_lines(&self) -> usize {
        self.heads.iter().map(Vec::len).max().unwrap_or(0)
    }

    fn head_height(&self) -> usize {
        if self.heads.is_empty() { 0 } else { self.head_lines() * LINE + 4 }
    }

    fn row_height(&self, lines: usize) -> usize {
        self.cell.1 + lines * LINE + if lines > 0 { 4 } else { 0 } + GAP
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cell(side: usize, caption: &str) -> Cell {
        let picture = Picture::from_map(&vec![1.0; side * side], side, side).unwrap();
        Cell { picture, caption: caption.into() }
    }

    #[test]
    fn every_picture_lies_on_the_sheet_and_captions_add_height() {
        let rows = vec![
            Row { cells: vec![cell(32, "a"), cell(28, "b")] },
            Row { cells: vec![cell(32, "a caption that has to go on two lines, or more")] },
        ];
        let plain = Grid { title: None, columns: vec![], rows };
        let low = compose(&plain).unwrap();
        assert_eq!(low.size.0 as usize, 2 * MARGIN + 2 * 140 + GAP);
        let titled = Grid { title: Some("t".into()), columns: vec!["c".into()], ..plain };
        let one = compose(&titled).unwrap().size.1 as usize;
        assert!(one > (low.size.1 as usize));
        let long = "resnet20-cifar10-natural: topk on gxi at 8/255 of 255";
        let titled = Grid { title: Some(long.into()), ..titled };
        assert_eq!(compose(&titled).unwrap().size.1 as usize - one, TITLE_LINE);
    }

    #[test]
    fn as_many_rows_are_drawn_as_a_sheet_has_room_for() {
        assert!(rows_that_fit(5, [3, 32, 32]) > 100);
        for side in [32usize, 129] {
            let picture = Picture::from_map(&vec![1.0; side * side], side, side).unwrap();
            let cell = Cell { picture, caption: "a b c ".repeat(60) };
            let rows = rows_that_fit(500, [3, side as i64, side as i64]);
            let all = (0..rows).map(|_| Row { cells: vec![cell.clone(); 500] }).collect();
            let grid = Grid { title: Some("t".into()), columns: vec![], rows: all };
            let plan = Plan::of(&grid).unwrap();
            let area = plan.width * plan.height;
            assert!(rows > 1 && area <= MOST_PIXELS, "{side}: {area}");
        }
    }

    #[test]
    fn extreme_grids() {
        assert!(compose(&Grid::default()).is_err());
        let lines = Row { cells: vec![cell(1, ""), cell(300, "x")] };
        let one = Grid { title: None, columns: vec!["only".into()], rows: vec![lines] };
        assert_eq!(compose(&one).unwrap().size.0 as usize, 2 * MARGIN + 2 * 300 + GAP);
        let endless = Row { cells: vec![cell(32, ""); 40_000] };
        let error = compose(&Grid { rows: vec![endless], ..Grid::default() }).err().unwrap();
        assert!(error.to_string().contains("draw fewer images"));
    }
}
