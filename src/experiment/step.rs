//! A step of a file at one scale: its command and the axes it varies.

use super::{
    file::{File, Source, StepSpec, spelled},
    vars::{Vars, filled, with_builtin},
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
const MOST_CELLS: usize = 100_000;

impl Step {
    /// Errors: a choice that is none, an axis that only the scale names, with their lines.
    pub fn new(
        (source, file): (&Source, &File),
        (scale, vars): (&str, &Vars),
        (name, spec): (&str, &StepSpec),
    ) -> Result<Self> {
        let other = file.scale.get(scale).and_then(|scale| scale.axes.get(name));
        let all = with_builtin(vars, scale);
        let choices = |written: &Spanned<Vec<Value>>| {
            let made = written.get_ref().iter().map(|value| choice(value, &all));
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
        let known = |name: &String| axes.iter().any(|axis| axis.name == *name);
        if let Some((axis, written)) = other.into_iter().flatten().find(|(axis, _)| !known(axis)) {
            let error = anyhow!("step `{name}` has no axis `{axis}`");
            return Err(source.wrong(written.span().start, error));
        }
        let (command, start) = (spec.command.get_ref().clone(), spec.command.span().start);
        let step = Step { name: name.to_owned(), command, start, axes };
        step.check_size().map_err(|error| source.wrong(start, error))?;
        Ok(step)
    }

    fn check_size(&self) -> Result<()> {
        let cells = self.grid().fold(1usize, |n, axis| n.saturating_mul(axis.choices.len()));
        let name = &self.name;
        ensure!(cells <= MOST_CELLS, "step `{name}` has {cells} cells; {MOST_CELLS} are the most");
        Ok(())
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
fn choice(value: &Value, vars: &Vars) -> Result<Choice> {
    let (label, value) = match value {
        Value::Array(pair) => match &pair[..] {
            [label, value] => (spelled(label)?, spelled(value)?),
            _ => bail!("`{value}` is not a choice; write VALUE or [LABEL, VALUE]"),
        },
        value => (spelled(value)?, spelled(value)?),
    };
    let (label, value) = (filled(&label, vars)?, filled(&value, vars)?);
    ensure!(!label.is_empty(), "a label is empty");
    Ok(Choice { label, value })
}
