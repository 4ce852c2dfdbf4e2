//! A table of the page as data: a query over rows, how a number is written, what is bold.

use crate::report::html::{column, error, number, percent};
use crate::results::{Better, QUANTITY, Quantity, Row, UNDEFINED};
use ::results::{Grid, Line, Query, inference::told_apart};
use maud::{Markup, html};

/// How the cells of a table are written.
#[derive(Clone, Copy, Debug)]
pub(super) enum Format {
    /// Mean ± standard error; of shares in percent.
    Error,
    /// The same, and in brackets the mean over the images whose attack succeeded.
    Successes,
    /// Mean, 95 % interval, and what is not in the mean.
    Interval,
}

/// Which cells compete: what paired tests tell to be better is bold.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Best {
    /// None.
    No,
    /// Those of a column, where there are several lines.
    OfColumn,
    /// Those of a line that are not of the control `random`, where they differ.
    OfLine,
}

/// A table of the page.
#[derive(Clone, Copy, Debug)]
pub(super) struct View<'v> {
    pub query: Query<'v>,
    pub format: Format,
    pub best: Best,
    /// Whether names of quantities have arrows.
    pub arrows: bool,
}

/// What is written in percent.
const SHARES: &[&str] = &["success", "accuracy"];

impl View<'_> {
    /// The name of a line or a column from the values of its keys.
    pub fn name(&self, keys: &[&str], values: &[&str], quantities: &[Quantity]) -> String {
        let name = |(key, value): (&&str, &&str)| {
            let known = quantities.iter().find(|q| *key == QUANTITY && q.name == **value);
            match known.filter(|_| self.arrows) {
                Some(quantity) => format!("{value} {}", quantity.better.arrow()),
                None => (*value).to_owned(),
            }
        };
        let names = keys.iter().zip(values).map(name).filter(|name| !name.is_empty());
        names.collect::<Vec<_>>().join(", ")
    }

    /// The heads of the columns.
    pub fn heads(&self, grid: &Grid, quantities: &[Quantity]) -> Markup {
        html! {
            @for values in &grid.columns {
                (column(&self.name(self.query.across, values, quantities)))
            }
        }
    }

    /// The cells of some lines that compete with each other, without the heads of lines.
    pub fn cells(&self, grid: &Grid, lines: &[Line], quantities: &[Quantity]) -> Vec<Markup> {
        let marks = self.marks(grid, lines, quantities);
        let cell = |line: &Line, place: (usize, usize)| match line.cells[place.1] {
            Some(row) => self.cell(row, marks[place.0][place.1]),
            None => html! { td { "–" } },
        };
        let line = |(i, line): (usize, &Line)| {
            html! { @for j in 0..line.cells.len() { (cell(line, (i, j))) } }
        };
        lines.iter().enumerate().map(line).collect()
    }

    /// What is said of each cell beside its number.
    fn marks(&self, grid: &Grid, lines: &[Line], quantities: &[Quantity]) -> Vec<Vec<Mark>> {
        let (down, across) = (lines.len(), grid.columns.len());
        let mut marks = vec![vec![Mark::default(); across]; down];
        let groups: Vec<Vec<(usize, usize)>> = match self.best {
            Best::No => vec![],
            Best::OfColumn => (0..across).map(|j| (0..down).map(|i| (i, j)).collect()).collect(),
            Best::OfLine => (0..down).map(|i| (0..across).map(|j| (i, j)).collect()).collect(),
        };
        let at = self.query.across.iter().position(|key| *key == "method");
        for group in groups {
            let there = group.iter().filter_map(|&(i, j)| Some(((i, j), lines[i].cells[j]?)));
            let (places, rows): (Vec<_>, Vec<&Row>) = there.unzip();
            let method = |&(_, j): &(usize, usize)| at.map_or("", |at| grid.columns[j][at]);
            let methods: Vec<&str> = places.iter().map(method).collect();
            let known = rows
                .first()
                .and_then(|row| quantities.iter().find(|quantity| quantity.name == row.quantity()));
            let Some(known) = known else { continue };
            for ((i, j), mark) in places.iter().zip(judged(&rows, &methods, known.better)) {
                marks[*i][*j] = mark;
            }
        }
        marks
    }

    /// A number; what is better than others is bold.
    fn cell(&self, row: &Row, mark: Mark) -> Markup {
        let mean = row.number.mean.unwrap_or(f64::NAN);
        let share = SHARES.contains(&row.quantity());
        let shown = match self.format {
            Format::Interval => row.with_interval(),
            _ if share => percent(mean),
            _ => number(mean),
        };
        let shown = html! { @if mark.bold { strong { (shown) } } @else { (shown) } };
        match self.format {
            Format::Interval => html! {
                td { (shown) @if mark.overlaps { " " abbr title=(OVERLAPS) { "≈" } } }
            },
            _ if share => html! { td { (shown) } },
            Format::Error => html! { td { (shown) " " small { (error(row.number.stderr)) } } },
            Format::Successes => html! { td { (shown) " " small { (successes(row)) } } },
        }
    }
}

/// What `≈` means.
const OVERLAPS: &str = "the interval overlaps that of the control random";

/// What is said of a cell beside its number.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Mark {
    /// Better than another of its group and the control, worse than none.
    bold: bool,
    /// Its interval overlaps that of the control.
    overlaps: bool,
}

/// Judges numbers of the same images, by paired tests over all pairs: bold is what is better than
/// another and than the control `random`, if that is there, and than which none is better.
fn judged(rows: &[&Row], methods: &[&str], way: Better) -> Vec<Mark> {
    let better = told_apart(rows, way);
    let random = methods.iter().position(|method| *method == "random");
    let rivals: Vec<usize> = (0..rows.len()).filter(|&i| !control(methods[i])).collect();
    let ends = |row: &Row| row.number.low.zip(row.number.high);
    let mark = |i: usize| {
        if control(methods[i]) {
            return Mark::default();
        }
        let beats = random.is_none_or(|random| better[i][random]);
        let some = random.is_some() || rivals.iter().any(|&j| better[i][j]);
        let none = rivals.iter().all(|&j| !better[j][i]);
        let both = random.and_then(|random| Some((ends(rows[i])?, ends(rows[random])?)));
        let overlaps = way != Better::Neither
            && both.is_some_and(|(own, other)| own.0 <= other.1 && other.0 <= own.1);
        Mark { bold: beats && some && none && rows[i].number.mean.is_some(), overlaps }
    };
    (0..rows.len()).map(mark).collect()
}

/// The standard error, the mean over successes, and what is left out.
fn successes(row: &Row) -> String {
    let of = &row.number;
    let successes = of.mean_of_successes.map(|mean| format!(" ({})", number(mean)));
    let left_out = match (of.mean, of.undefined) {
        (None, _) | (_, 0) => String::new(),
        (_, count) => format!(", {count} {UNDEFINED}"),
    };
    error(of.stderr) + &successes.unwrap_or_default() + &left_out
}

/// Whether a method is a control, which says nothing and is never the best.
fn control(method: &str) -> bool {
    ["random", "zero"].contains(&method)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::results::{Keys, Sample};

    fn row(shift: f64, wobble: f64) -> Row {
        let value = |i: u32| f64::from(i % 7) + shift + wobble * f64::from(i % 3);
        Row::new(&Keys::new(), "k", Sample::over_images((0..40).map(value).collect(), 0))
    }

    fn of(rows: &[Row], methods: &[&str]) -> Vec<(bool, bool)> {
        let rows: Vec<&Row> = rows.iter().collect();
        let marks = judged(&rows, methods, Better::Higher);
        marks.into_iter().map(|mark| (mark.bold, mark.overlaps)).collect()
    }

    #[test]
    fn nothing_is_bold_that_does_not_beat_the_control() {
        let rows = [row(0., 0.), row(-0.3, 0.1), row(9., 0.2)];
        assert_eq!(
            of(&rows, &["random", "ig", "gxi"]),
            [(false, false), (false, true), (true, false)]
        );
        // The larger one is worse than the control.
        assert_eq!(of(&rows[..2], &["random", "ig"]), [(false, false), (false, true)]);
        // Better by a paired test although the intervals overlap.
        let near = [row(0., 0.), row(0.3, 0.1)];
        assert_eq!(of(&near, &["random", "ig"]), [(false, false), (true, true)]);
    }

    #[test]
    fn without_a_control_bold_is_better_than_another() {
        let rows = [row(0., 0.), row(0.001, 0.), row(5., 0.1)];
        assert_eq!(of(&rows, &["a", "b", "c"]), [(false, false), (false, false), (true, false)]);
        let mut rows = [row(0., 0.), row(5., 0.1)];
        rows[0].values.clear();
        assert_eq!(of(&rows, &["a", "b"]), [(false, false); 2], "no values, no order");
        assert_eq!(of(&rows[1..], &["a"]), [(false, false)]);
    }
}
