//! A step of a file at one scale: its command and the axes it varies.

use super::{
    file::{File, Source, StepSpec, spelled},
    vars::{Vars, check_length, filled},
};
use anyhow::{Context, Result, anyhow, bail, ensure};
use std::collections::BTreeSet;
use toml::{Spanned, Value};

/// A choice of an axis: how it is called and what it stands for in a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Choice {
    pub label: String,
    pub value: String,
}

/// One of the things that a step varies.
#[derive(Clone, Debug)]
pub struct Axis {
    pub name: String,
    pub choices: Vec<Choice>,
    /// Labels that other scales have.
    elsewhere: BTreeSet<String>,
    /// Whether all choices are in one cell.
    pub within: bool,
}

/// A step with the choices of the scale.
#[derive(Debug)]
pub struct Step {
    pub name: String,
    pub command: String,
    /// Where the command stands in the file.
    pub start: usize,
    /// In the order of the file, those of the grid first.
    pub axes: Vec<Axis>,
}

/// More cells than this are a mistake in a grid.
const MOST_CELLS: usize = 10_000;

/// A longer choice is a mistake in variables that stand in one another.
const LONGEST_CHOICE: usize = 1 << 12;

impl Step {
    /// Errors: a choice that is none, an axis that only the scale names, with their lines.
    pub fn new(
        (source, file): (&Source, &File),
        (scale, known): (&str, &Vars),
        (name, spec): (&str, &StepSpec),
    ) -> Result<Self> {
        let other = file.scale.get(scale).and_then(|scale| scale.axes.get(name));
        let choices = |written: &Spanned<Vec<Value>>| {
            let made = written.get_ref().iter().map(|value| choice(value, known));
            let made = made.collect::<Result<Vec<_>>>();
            made.map_err(|error| source.wrong(written.span().start, error))
        };
        let mut axes = vec![];
        for (within, specs) in [(false, &spec.grid), (true, &spec.within)] {
            let mut specs: Vec<_> = specs.iter().collect();
            specs.sort_by_key(|(_, written)| written.span().start);
            for (axis, written) in specs {
                let all_scales = file.scale.values().filter_map(|s| s.axes.get(name)?.get(axis));
                let elsewhere =
                    all_scales.chain([written]).map(choices).collect::<Result<Vec<_>>>()?;
                let elsewhere = elsewhere.into_iter().flatten().map(|choice| choice.label);
                let here = other.and_then(|other| other.get(axis)).unwrap_or(written);
                axes.push(Axis {
                    name: axis.clone(),
                    choices: choices(here)?,
                    elsewhere: elsewhere.collect(),
                    within,
                });
            }
        }
        let has = |name: &String| axes.iter().any(|axis| axis.name == *name);
        if let Some((axis, written)) = other.into_iter().flatten().find(|(axis, _)| !has(axis)) {
            let error = anyhow!("step `{name}` has no axis `{axis}`");
            return Err(source.wrong(written.span().start, error));
        }
        let (command, start) = (spec.command.get_ref().clone(), spec.command.span().start);
        Ok(Step { name: name.to_owned(), command, start, axes })
    }

    /// How many cells there will be. Errors: more than there may be, `before` those of other steps.
    pub fn cells(&self, before: usize) -> Result<usize> {
        let cells = self.grid().fold(1usize, |n, axis| n.saturating_mul(axis.choices.len()));
        let name = &self.name;
        ensure!(
            cells.saturating_add(before) <= MOST_CELLS,
            "step `{name}` has {cells} cells, other steps {before}; {MOST_CELLS} in all are the most"
        );
        let length =
            |choice: &Choice| size_of::<Choice>() + choice.label.len() + choice.value.len();
        let longest = self.grid().map(|axis| axis.choices.iter().map(length).max().unwrap_or(0));
        check_length(&format!("the choices of step `{name}`"), cells * longest.sum::<usize>())?;
        Ok(cells)
    }

    /// What the axes within a cell stand for: each for all of its choices.
    pub fn within(&self) -> Vars {
        let joined = |axis: &Axis, part: fn(&Choice) -> &str| {
            axis.choices.iter().map(part).collect::<Vec<_>>().join(",")
        };
        let both = |axis: &Axis| {
            let (value, label) = (joined(axis, |c| &c.value), joined(axis, |c| &c.label));
            [(axis.name.clone(), value), (format!("{}.label", axis.name), label)]
        };
        self.axes.iter().filter(|axis| axis.within).flat_map(both).collect()
    }

    /// What stands in the command of one cell alone.
    pub fn chosen(&self, choices: &[Choice], id: &str) -> Vars {
        let cell = ("cell".to_owned(), format!("${{run}}/cells/{}/{id}", self.name));
        let names = self.grid().map(|axis| axis.name.as_str());
        [cell].into_iter().chain(vars(names.zip(choices))).collect()
    }

    /// The axes with a cell for each choice.
    pub fn grid(&self) -> impl Iterator<Item = &Axis> {
        self.axes.iter().filter(|axis| !axis.within)
    }

    /// The axis called `name`.
    pub fn axis(&self, name: &str) -> Result<&Axis> {
        let known: Vec<&str> = self.axes.iter().map(|axis| axis.name.as_str()).collect();
        self.axes.iter().find(|axis| axis.name == name).with_context(|| {
            format!("step `{}` has no axis `{name}`; it has {}", self.name, known.join(", "))
        })
    }
}

impl Axis {
    /// The choice called `label`; none where only other scales have it.
    pub fn choice(&self, label: &str) -> Result<Option<&Choice>> {
        let found = self.choices.iter().find(|choice| choice.label == label);
        let labels: Vec<&str> = self.choices.iter().map(|choice| choice.label.as_str()).collect();
        ensure!(
            found.is_some() || self.elsewhere.contains(label),
            "axis `{}` has no choice `{label}`; it has {}",
            self.name,
            labels.join(", ")
        );
        Ok(found)
    }
}

/// What choices of axes stand for.
pub fn vars<'a>(chosen: impl IntoIterator<Item = (&'a str, &'a Choice)>) -> Vars {
    let both = |(name, choice): (&str, &Choice)| {
        [(name.to_owned(), choice.value.clone()), (format!("{name}.label"), choice.label.clone())]
    };
    chosen.into_iter().flat_map(both).collect()
}

/// Every combination, the last axis fastest.
pub fn combinations<'a>(axes: impl IntoIterator<Item = &'a Axis>) -> Vec<Vec<Choice>> {
    let mut all = vec![vec![]];
    for axis in axes {
        let longer = |start: Vec<Choice>| {
            axis.choices.iter().map(move |c| [&start[..], std::slice::from_ref(c)].concat())
        };
        all = all.into_iter().flat_map(longer).collect();
    }
    all
}

/// A value that is its own label, or a label and a value.
fn choice(value: &Value, known: &Vars) -> Result<Choice> {
    let (label, value) = match value {
        Value::Array(pair) => match &pair[..] {
            [label, value] => (spelled(label)?, spelled(value)?),
            _ => bail!("`{value}` is not a choice; write VALUE or [LABEL, VALUE]"),
        },
        value => (spelled(value)?, spelled(value)?),
    };
    let (label, value) = (filled(&label, &[known])?, filled(&value, &[known])?);
    let longest = label.len().max(value.len());
    ensure!(
        longest <= LONGEST_CHOICE,
        "a choice has {longest} bytes; {LONGEST_CHOICE} are the most"
    );
    ensure!(!label.is_empty(), "a label is empty");
    Ok(Choice { label, value })
}
