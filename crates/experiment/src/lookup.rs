//! Numbers of finished cells, which tables, figures and claims ask for by keys.

use super::{
    file::Words,
    grid::{Cell, Experiment},
    step::{Axis, Choice, Step, combinations, vars},
    vars::{filled, known},
};
use anyhow::{Context, Result, bail, ensure};
use results::{Keys, Number, QUANTITY, Row, Table};
use serde_json::Value;
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

/// In rows that a command will have: what is not known before it has run.
pub const UNKNOWN: &str = "*";

/// The results of a run, as far as there are any.
pub struct Results<'a> {
    /// Whose results they are.
    pub experiment: &'a Experiment,
    run: &'a Path,
    /// Of each cell the rows that its command will have; none where it has no numbers.
    expected: &'a [Option<Table>],
    /// What each cell found; none where it is not there.
    cells: Vec<Option<Found>>,
}

/// The kind of a result and its rows.
struct Found {
    kind: String,
    rows: Table,
}

/// A number of a claim.
#[derive(Clone, Copy, Debug)]
pub struct Measured<'r> {
    /// NaN where it is undefined.
    pub number: f64,
    /// What it is a number of.
    pub source: Source<'r>,
}

/// What a number was drawn from.
#[derive(Clone, Copy, Debug)]
pub enum Source<'r> {
    /// Images: a value of each, NaN where undefined.
    Images(&'r [f64]),
    /// Networks; how many, where that is known.
    Networks(Option<u64>),
    /// Nothing: a function's value, a count.
    Exact,
    /// Images whose values were not kept.
    Unkept,
}

impl<'r> Measured<'r> {
    fn new(row: &'r Row, statistic: &str, kind: &str) -> Self {
        let counted = ["n", "undefined", "infinite"].contains(&statistic);
        let source = match (kind, row.quantity()) {
            ("plane", _) | (_, "no-map") => Source::Exact,
            _ if counted => Source::Exact,
            ("train", _) | (_, "rank-correlation") => Source::Networks(row.number.n),
            _ if row.values.is_empty() => Source::Unkept,
            _ => Source::Images(&row.values),
        };
        Measured { number: row.number.statistic(statistic).unwrap_or(f64::NAN), source }
    }

    /// One value an image; none of what is over no images.
    pub fn values(&self) -> &'r [f64] {
        match self.source {
            Source::Images(values) => values,
            _ => &[],
        }
    }
}

/// Which number of a step: labels of some of its axes, keys of rows, a statistic.
pub struct Query<'a> {
    pub step: &'a Step,
    labels: BTreeMap<&'a str, &'a str>,
    keys: BTreeMap<&'a str, &'a str>,
    statistic: &'a str,
}

/// One choice of every axis of a step, or of all but some.
type Point<'a> = BTreeMap<&'a str, &'a Choice>;

impl<'a> Query<'a> {
    /// From words: a name of an axis says which choice, by label; any other is a key of rows. Errors:
    /// a name that stands there twice, a label or a statistic that there is not.
    pub fn new(
        step: &'a Step,
        words: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Result<Self> {
        let (mut labels, mut keys) = (BTreeMap::new(), BTreeMap::from([("statistic", "mean")]));
        let mut seen = vec![];
        for (name, word) in words {
            ensure!(!seen.contains(&name), "`{name}` is said twice");
            seen.push(name);
            match step.axes.iter().find(|axis| axis.name == name) {
                Some(axis) => axis.choice(word).map(|_| labels.insert(name, word))?,
                None => keys.insert(name, word),
            };
        }
        let statistic = keys.remove("statistic").unwrap_or_default();
        ensure!(
            Number::STATISTICS.contains(&statistic),
            "no statistic is called `{statistic}`; there are {}",
            Number::STATISTICS.join(", ")
        );
        Ok(Query { step, labels, keys, statistic })
    }

    /// The same, of the standard error.
    pub fn error(&self) -> Self {
        let Query { step, ref labels, ref keys, .. } = *self;
        Query { step, labels: labels.clone(), keys: keys.clone(), statistic: "stderr" }
    }

    /// Which statistic is asked for.
    pub fn statistic(&self) -> &'a str {
        self.statistic
    }

    /// The axes that it names no choice of.
    pub fn open(&self) -> impl Iterator<Item = &'a Axis> {
        self.step.axes.iter().filter(|axis| !self.labels.contains_key(axis.name.as_str()))
    }

    /// The choice of every axis: of `chosen`, its own, or the only one. An axis within a cell may be
    /// left out. None where only other scales have one of its own. Errors: an axis of which there are
    /// two choices, or none.
    fn point<'p>(&'p self, chosen: &[(&'p str, &'p Choice)]) -> Result<Option<Point<'p>>> {
        let mut point = Point::new();
        for axis in &self.step.axes {
            let name = axis.name.as_str();
            let given = chosen.iter().find(|(other, _)| *other == name).map(|(_, choice)| *choice);
            let choice = match (given, self.labels.get(name)) {
                (Some(_), Some(label)) => bail!("`{name}` is varied, and is said to be `{label}`"),
                (Some(choice), None) => choice,
                (None, Some(label)) => match axis.choice(label)? {
                    Some(choice) => choice,
                    None => return Ok(None),
                },
                (None, None) if axis.choices.len() == 1 => &axis.choices[0],
                (None, None) if axis.within => continue,
                (None, None) => {
                    bail!("which `{name}`? Name the axis, or one of its choices in `where`")
                }
            };
            point.insert(name, choice);
        }
        Ok(Some(point))
    }

    /// Whether the numbers of `expected` that it asks for differ along an axis.
    fn varies(&self, axis: &Axis, expected: &Table) -> bool {
        let quantity = self.keys.get(QUANTITY).copied().unwrap_or_default();
        let has = |row: &Row| row.quantity() == quantity && row.keys.contains_key(&axis.name);
        self.places(axis) || expected.rows.iter().any(has)
    }

    /// Whether a key of its own says where a choice of an axis stands in rows.
    fn places(&self, axis: &Axis) -> bool {
        let own = ["", ".label"].map(|part| format!("${{{}{part}}}", axis.name));
        self.keys.values().any(|word| own.iter().any(|own| word.contains(own)))
    }

    /// The keys of its row: its own, filled, and the values of axes within a cell that its rows have
    /// as keys, unless one of its own says where they stand.
    fn keys(&self, experiment: &Experiment, point: &Point, expected: &Table) -> Result<Keys> {
        ensure!(self.keys.contains_key(QUANTITY), "which `quantity`? Name it");
        let chosen = vars(point.iter().map(|(name, choice)| (*name, *choice)));
        let known = known(&experiment.scale, &experiment.vars);
        let mut keys = Keys::new();
        for axis in self.step.axes.iter().filter(|axis| axis.within && !self.places(axis)) {
            let choice = point.get(axis.name.as_str()).filter(|_| self.varies(axis, expected));
            keys.extend(choice.map(|choice| (axis.name.clone(), choice.value.clone())));
        }
        for (key, word) in &self.keys {
            keys.insert((*key).to_owned(), filled(word, &[&chosen, &known])?);
        }
        Ok(keys)
    }
}

impl<'a> Results<'a> {
    /// Reads what is there; `expected` are the rows that the command of each cell will have. Errors: a
    /// file that is no result.
    pub fn read(
        experiment: &'a Experiment,
        run: &'a Path,
        expected: &'a [Option<Table>],
    ) -> Result<Self> {
        let read = |(cell, expected): (&Cell, &Option<Table>)| -> Result<Option<Found>> {
            let path = cell.file(experiment, run);
            if !path.exists() {
                return Ok(None);
            }
            let context = || format!("`{}` is no result", path.display());
            let mut all: Value =
                serde_json::from_slice(&std::fs::read(&path)?).with_context(context)?;
            let rows = match all["result"]["rows"].take() {
                Value::Null => {
                    ensure!(expected.is_none(), "{}: it has no rows", context());
                    Table::default()
                }
                rows => serde_json::from_value(rows).with_context(context)?,
            };
            let kind = all["result"]["kind"].as_str().unwrap_or_default().to_owned();
            Ok(Some(Found { kind, rows }))
        };
        let cells = experiment.cells.iter().zip(expected).map(read).collect::<Result<_>>()?;
        Ok(Results { experiment, run, expected, cells })
    }

    /// How many cells are there, and how many there will be.
    pub fn done(&self) -> (usize, usize) {
        (self.cells.iter().flatten().count(), self.cells.len())
    }

    /// The combinations of the axes called `names` of a step, in this order.
    pub fn combinations(&self, step: &Step, names: &[String]) -> Result<Vec<Vec<Choice>>> {
        let axes = names.iter().map(|name| step.axis(name)).collect::<Result<Vec<_>>>()?;
        Ok(combinations(axes))
    }

    /// The axes along which what is asked for differs and of which it names no choice.
    pub fn open<'q>(&self, query: &Query<'q>) -> Vec<&'q Axis> {
        let cells = self.experiment.cells.iter().zip(self.expected);
        let own =
            cells.filter(|(cell, _)| self.experiment.steps[cell.step].name == query.step.name);
        let expected: Vec<&Table> = own.filter_map(|(_, expected)| expected.as_ref()).collect();
        let varies = |axis: &&Axis| expected.iter().any(|table| query.varies(axis, table));
        query.open().filter(|axis| !axis.within || varies(axis)).collect()
    }

    /// The number of the cell with this choice of each axis of its grid.
    fn cell(&self, step: &Step, point: &Point) -> Option<usize> {
        let chosen = step.grid().map(|axis| point.get(axis.name.as_str()).copied());
        let chosen = chosen.collect::<Option<Vec<_>>>()?;
        let cells = &self.experiment.cells;
        cells.iter().position(|cell| {
            self.experiment.steps[cell.step].name == step.name
                && cell.choices.iter().eq(chosen.iter().copied())
        })
    }

    /// Where the files of a cell are.
    pub fn folder(&self, query: &Query, chosen: &[(&str, &Choice)]) -> Result<Option<PathBuf>> {
        let point = query.point(chosen)?;
        let cell = point.and_then(|point| self.cell(query.step, &point));
        let cell = cell.filter(|&cell| self.cells[cell].is_some());
        let file = |cell: usize| self.experiment.cells[cell].file(self.experiment, self.run);
        Ok(cell.map(|cell| file(cell).with_extension("")))
    }

    /// The row that is asked for; none where its cell is not there. Errors, also before the cell is
    /// there: none of its rows is that, or several are.
    pub fn row(&self, query: &Query, chosen: &[(&str, &Choice)]) -> Result<Option<&Row>> {
        Ok(self.found(query, chosen)?.map(|(row, _)| row))
    }

    /// The same, with the kind of the result.
    fn found(&self, query: &Query, chosen: &[(&str, &Choice)]) -> Result<Option<(&Row, &str)>> {
        let Some(point) = query.point(chosen)? else { return Ok(None) };
        let Some(cell) = self.cell(query.step, &point) else { return Ok(None) };
        let context = || format!("cell `{}`", self.experiment.cells[cell].name(self.experiment));
        let Some(expected) = &self.expected[cell] else {
            bail!("{}: its command finds no numbers", context());
        };
        let keys = query.keys(self.experiment, &point, expected)?;
        let expected = concrete(expected, &keys);
        let number = &expected.only(&keys).with_context(context)?.number;
        let (quantity, statistic) = (&keys[QUANTITY], query.statistic);
        let known = |name: &&str| number.statistic(name).is_some();
        ensure!(
            known(&statistic),
            "{}: `{quantity}` has no {statistic}; it has {}",
            context(),
            Number::STATISTICS.into_iter().filter(known).collect::<Vec<_>>().join(", ")
        );
        let Some(Found { kind, rows }) = &self.cells[cell] else { return Ok(None) };
        Ok(Some((rows.only(&keys).with_context(context)?, kind)))
    }

    /// The number that is asked for, with what it is of; none where its cell is not there.
    pub fn measured(
        &self,
        query: &Query,
        chosen: &[(&str, &Choice)],
    ) -> Result<Option<Measured<'_>>> {
        let found = self.found(query, chosen)?;
        Ok(found.map(|(row, kind)| Measured::new(row, query.statistic, kind)))
    }

    /// The number that is asked for, NaN where it is undefined; none where its cell is not there.
    pub fn number(&self, query: &Query, chosen: &[(&str, &Choice)]) -> Result<Option<f64>> {
        let row = self.row(query, chosen)?;
        Ok(row.map(|row| row.number.statistic(query.statistic).unwrap_or(f64::NAN)))
    }
}

/// Names with choices.
pub fn named<'a>(
    names: impl IntoIterator<Item = &'a str>,
    choices: impl IntoIterator<Item = &'a Choice>,
) -> Vec<(&'a str, &'a Choice)> {
    names.into_iter().zip(choices).collect()
}

/// Words as pairs.
pub fn pairs(words: &Words) -> impl Iterator<Item = (&str, &str)> {
    words.iter().map(|(name, word)| (name.as_str(), word.as_str()))
}

/// Rows where what is not known is what is asked for.
fn concrete(expected: &Table, keys: &Keys) -> Table {
    let mut table = Table::default();
    for row in &expected.rows {
        let mut row = row.clone();
        for (key, value) in row.keys.iter_mut().filter(|(_, value)| *value == UNKNOWN) {
            value.clone_from(keys.get(key).unwrap_or(&String::new()));
        }
        // Two rows may become one where what tells them apart is not known; only those asked for matter.
        let asked = row.matches(keys.iter().map(|(key, value)| (key.as_str(), value.as_str())));
        if !(asked && table.rows.contains(&row)) {
            table.rows.push(row);
        }
    }
    table
}
