//! A table of the page as data: a query over rows, how a number is written, what is bold.

use crate::report::html::{column, error, number, percent};
use crate::results::{QUANTITY, Quantity, Row, UNDEFINED};
use ::results::{Grid, Line, Query};
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

/// Which cells compete for the best number, which is bold.
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
        let cell = |line: &Line, column: usize| {
            let Some(row) = line.cells[column] else { return html! { td { "–" } } };
            let method = |column: usize| {
                let at = self.query.across.iter().position(|key| *key == "method");
                at.map(|at| grid.columns[column][at])
            };
            let means = |rows: &mut dyn Iterator<Item = &Row>| -> Vec<f64> {
                rows.filter_map(|row| row.number.mean).collect()
            };
            let rivals = match self.best {
                Best::OfColumn if lines.len() > 1 => {
                    means(&mut lines.iter().filter_map(|line| line.cells[column]))
                }
                Best::OfLine if !control(method(column)) => {
                    let judged = (0..line.cells.len()).filter(|c| !control(method(*c)));
                    let all = means(&mut judged.filter_map(|c| line.cells[c]));
                    if all.iter().any(|mean| *mean != all[0]) { all } else { vec![] }
                }
                _ => vec![],
            };
            let known = quantities.iter().find(|quantity| quantity.name == row.quantity());
            let best = known.and_then(|quantity| quantity.better.best(rivals.into_iter()));
            self.cell(row, best.is_some() && best == row.number.mean)
        };
        let line = |line: &Line| html! { @for i in 0..line.cells.len() { (cell(line, i)) } };
        lines.iter().map(line).collect()
    }

    /// A number; the best is bold.
    fn cell(&self, row: &Row, best: bool) -> Markup {
        let mean = row.number.mean.unwrap_or(f64::NAN);
        let share = SHARES.contains(&row.quantity());
        let shown = match self.format {
            Format::Interval => row.with_interval(),
            _ if share => percent(mean),
            _ => number(mean),
        };
        let shown = html! { @if best { strong { (shown) } } @else { (shown) } };
        match self.format {
            Format::Interval => html! { td { (shown) } },
            _ if share => html! { td { (shown) } },
            Format::Error => html! { td { (shown) " " small { (error(row.number.stderr)) } } },
            Format::Successes => html! { td { (shown) " " small { (successes(row)) } } },
        }
    }
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
fn control(method: Option<&str>) -> bool {
    method.is_some_and(|method| ["random", "zero"].contains(&method))
}
