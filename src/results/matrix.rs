//! A transfer as a matrix: attacked maps down, judged maps across.

use super::Attacked;
use ::results::{Grid, Number, Query, Record, Row, keys};

/// What keys say of a line, and of a column.
const DOWN: &[&str] = &["from_model", "from_method"];
const ACROSS: &[&str] = &["model", "method"];

/// The maps of one model by one method.
pub type Maps<'a> = [&'a str; 2];

/// The rows of a transfer.
#[derive(Debug)]
pub struct Matrix<'a> {
    /// The result.
    pub record: &'a Record,
    /// Lines: whose maps were attacked.
    pub sources: Vec<Maps<'a>>,
    /// Columns: whose maps were judged.
    pub targets: Vec<Maps<'a>>,
}

impl<'a> Matrix<'a> {
    /// The matrix of a result of `transfer`.
    pub fn of(record: &'a Record) -> Self {
        let (mut sources, mut targets) = (vec![], vec![]);
        for row in Self::judged(record) {
            let of = |[model, method]: [&str; 2]| [row.key(model), row.key(method)];
            let (from, to) = (of([DOWN[0], DOWN[1]]), of([ACROSS[0], ACROSS[1]]));
            if !sources.contains(&from) {
                sources.push(from);
            }
            if !targets.contains(&to) {
                targets.push(to);
            }
        }
        Matrix { record, sources, targets }
    }

    fn judged(record: &Record) -> impl Iterator<Item = &Row> {
        let both = [DOWN[0], ACROSS[0]];
        let judged = move |row: &&Row| both.iter().all(|key| row.keys.contains_key(*key));
        record.rows.rows.iter().filter(judged)
    }

    /// What the images made against the maps of a line do to those of a column.
    pub fn cell(&self, from: Maps, to: Maps) -> Attacked<'a> {
        let of =
            keys([(DOWN[0], from[0]), (DOWN[1], from[1]), (ACROSS[0], to[0]), (ACROSS[1], to[1])]);
        Attacked::of(self.record, &of)
    }

    /// The first cell: what all have in common.
    pub fn first(&self) -> Attacked<'a> {
        match (self.sources.first(), self.targets.first()) {
            (Some(from), Some(to)) => self.cell(*from, *to),
            _ => Attacked::of(self.record, &keys([(DOWN[0], "")])),
        }
    }

    /// The areas of a metric over the radii, or its means at the largest one where there are no areas;
    /// NaN where it is undefined.
    pub fn values(&self, metric: &str) -> Vec<Vec<f64>> {
        let first = self.first();
        let area = format!("{metric}{}", super::AUC);
        let (name, at) = match (first.has_areas(), first.radii().last()) {
            (false, Some((_, label))) => (metric, *label),
            _ => (area.as_str(), ""),
        };
        let query = Query { quantities: &[name], down: DOWN, across: ACROSS, ..Query::default() };
        let grids = query.of(Self::judged(self.record).filter(|row| row.key("eps") == at));
        let mean = |grid: &Grid, from: &Maps, to: &Maps| -> Option<f64> {
            let line = grid.lines.iter().find(|line| line.head == from)?;
            let column = grid.columns.iter().position(|column| column == to)?;
            line.cells[column].map(|row| &row.number).and_then(|number: &Number| number.mean)
        };
        let value = |from, to| grids.first().and_then(|grid| mean(grid, from, to));
        let line =
            |from| self.targets.iter().map(|to| value(from, to).unwrap_or(f64::NAN)).collect();
        self.sources.iter().map(line).collect()
    }

    fn one_method(&self) -> bool {
        let mut all = self.sources.iter().chain(&self.targets);
        all.all(|[_, method]| *method == self.sources[0][1])
    }

    /// `model: method`; without what is the same in every row and column.
    pub fn labels(&self, all: &[Maps]) -> Vec<String> {
        let (one_model, one_method) = (self.record.models.len() == 1, self.one_method());
        let label = |[model, method]: &Maps| match (one_model, one_method) {
            (true, _) => (*method).to_owned(),
            (false, true) => (*model).to_owned(),
            (false, false) => format!("{model}: {method}"),
        };
        all.iter().map(label).collect()
    }

    /// Such as `topk on maps of resnet20 by gxi, shapes`: with what the labels leave out.
    pub fn title(&self) -> String {
        let about = match self.record.models.as_slice() {
            [one] => one.name.clone(),
            _ if self.one_method() => format!("maps by {}", self.sources[0][1]),
            _ => "maps".into(),
        };
        // Of a path its end.
        let data = self.record.data.trim_end_matches('/').rsplit('/').next().unwrap_or_default();
        format!("{} on {about}, {data}", self.first().key("attack"))
    }

    /// What [`Matrix::values`] are: `area over ε 2/255 to 16/255`, or `ε 8/255`.
    pub fn over(&self) -> String {
        let (radii, areas) = (self.first().radii(), self.first().has_areas());
        let mut radii = radii.iter().filter(|(eps, _)| !areas || *eps > 0.);
        match (radii.next(), radii.next_back(), areas) {
            (Some((_, first)), Some((_, last)), true) => format!("area over ε {first} to {last}"),
            (Some((_, one)), None, _) | (_, Some((_, one)), false) => format!("ε {one}"),
            _ => String::new(),
        }
    }
}
