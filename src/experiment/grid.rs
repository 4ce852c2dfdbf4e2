//! From a file to the cells of a run: every combination of the choices of a step, as a command line.

use super::file::{File, Source, Step};
use anyhow::{Result, anyhow, bail, ensure};
use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};
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
    pub elsewhere: BTreeSet<String>,
    /// Whether all choices are in one cell.
    pub within: bool,
}

/// A step with the choices of the scale.
#[derive(Debug)]
pub struct Block {
    pub name: String,
    command: String,
    /// Where the command stands in the file.
    pub at: usize,
    /// In the order of the file, those of the grid first.
    pub axes: Vec<Axis>,
}

/// Longer commands are a mistake in variables that stand in one another.
const LONGEST: usize = 1 << 16;

/// More cells than this are a mistake in a grid.
const MOST_CELLS: usize = 100_000;

impl Block {
    fn check_size(&self) -> Result<()> {
        let axes = self.axes.iter().filter(|axis| !axis.within);
        let cells = axes.fold(1usize, |cells, axis| cells.saturating_mul(axis.choices.len()));
        let name = &self.name;
        ensure!(cells <= MOST_CELLS, "step `{name}` has {cells} cells; {MOST_CELLS} are the most");
        Ok(())
    }
}

/// One command of a run.
#[derive(Debug)]
pub struct Cell {
    /// Number of its block.
    pub block: usize,
    /// Its labels, which are also the names of its files.
    pub id: String,
    /// One for each axis of the grid, in order.
    pub choices: Vec<Choice>,
    /// With `${run}` as it stands.
    pub command: String,
}

/// One file at one scale.
#[derive(Debug)]
pub struct Experiment {
    /// The name of the file.
    pub name: String,
    pub scale: String,
    pub source: Source,
    pub file: File,
    pub vars: BTreeMap<String, String>,
    pub blocks: Vec<Block>,
    pub cells: Vec<Cell>,
}

/// What every command knows: where results go is filled in last, so that no result depends on it.
fn known(scale: &str) -> [(String, String); 3] {
    [("run", "${run}"), ("runs", "${runs}"), ("scale", scale)]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
}

impl Experiment {
    /// Reads `path` at a scale, with other values for some variables, `NAME=VALUE`. Errors: a malformed
    /// file, with its line; a scale or a variable that it does not know.
    pub fn read(path: &Path, scale: &str, set: &[String]) -> Result<Self> {
        let (source, file) = Source::read(path)?;
        let known: Vec<&str> = file.scale.keys().map(String::as_str).chain(["paper"]).collect();
        ensure!(
            scale == "paper" || file.scale.contains_key(scale),
            "`{}` has no scale `{scale}`; it has {}",
            source.name,
            known.join(", ")
        );
        let vars = vars(&file, scale, set)?;
        let mut steps: Vec<(&String, &Spanned<Step>)> = file.step.iter().collect();
        steps.sort_by_key(|(_, step)| step.span().start);
        let blocks = steps
            .into_iter()
            .map(|(name, step)| block(&source, &file, scale, &vars, name, step.get_ref()));
        let blocks = blocks.collect::<Result<Vec<_>>>()?;
        let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let mut experiment =
            Experiment { name, scale: scale.to_owned(), cells: vec![], source, vars, blocks, file };
        experiment.cells = experiment.expanded()?;
        Ok(experiment)
    }

    /// What the folder of its run is called.
    pub fn folder(&self) -> String {
        if self.scale == "paper" {
            self.name.clone()
        } else {
            format!("{}-{}", self.name, self.scale)
        }
    }

    /// The cells of this run whose folders `cell` reads.
    pub fn read_by<'a>(&'a self, cell: &'a Cell) -> impl Iterator<Item = &'a Cell> {
        let folder = |c: &Cell| format!("${{run}}/cells/{}/{}/", self.blocks[c.block].name, c.id);
        let others = self.cells.iter().filter(move |other| !std::ptr::eq(*other, cell));
        others.filter(move |other| cell.command.contains(&folder(other)))
    }

    pub fn block(&self, name: &str) -> Option<&Block> {
        self.blocks.iter().find(|block| block.name == name)
    }

    fn expanded(&self) -> Result<Vec<Cell>> {
        let mut cells = vec![];
        for (number, block) in self.blocks.iter().enumerate() {
            block.check_size().map_err(|error| self.source.wrong(block.at, error))?;
            let mut ids = BTreeSet::new();
            for choices in combinations(block.axes.iter().filter(|axis| !axis.within)) {
                let id = match choices.len() {
                    0 => "all".to_owned(),
                    _ => plain(
                        &choices.iter().map(|c| c.label.as_str()).collect::<Vec<_>>().join("+"),
                    ),
                };
                let told = || anyhow!("two cells of step `{}` are called `{id}`", block.name);
                if !ids.insert(id.clone()) {
                    return Err(self.source.wrong(block.at, told()));
                }
                let command = self.command(block, &choices, &id);
                let command = command.map_err(|error| self.source.wrong(block.at, error))?;
                cells.push(Cell { block: number, id, choices, command });
            }
        }
        Ok(cells)
    }

    fn command(&self, block: &Block, choices: &[Choice], id: &str) -> Result<String> {
        let mut all = self.vars.clone();
        all.extend(known(&self.scale));
        all.insert("cell".into(), format!("${{run}}/cells/{}/{id}", block.name));
        let mut chosen = choices.iter();
        for axis in &block.axes {
            let here: Vec<&Choice> = match axis.within {
                true => axis.choices.iter().collect(),
                false => chosen.next().into_iter().collect(),
            };
            let joined = |of: fn(&Choice) -> &str| {
                here.iter().map(|choice| of(choice)).collect::<Vec<_>>().join(",")
            };
            all.insert(axis.name.clone(), joined(|choice| &choice.value));
            all.insert(format!("{}.label", axis.name), joined(|choice| &choice.label));
        }
        filled(&block.command, &all)
    }
}

impl Cell {
    /// Its step and its labels.
    pub fn name(&self, experiment: &Experiment) -> String {
        format!("{} {}", experiment.blocks[self.block].name, self.id)
    }

    /// What is typed behind `gradproof`, for a run in `run`.
    pub fn words(&self, run: &Path) -> Vec<String> {
        let runs = run.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let line = self.command.replace("${run}", &run.display().to_string());
        let line = line.replace("${runs}", &runs.display().to_string());
        line.split_whitespace().map(str::to_owned).collect()
    }

    /// Where its result is.
    pub fn file(&self, experiment: &Experiment, run: &Path) -> PathBuf {
        run.join("cells")
            .join(&experiment.blocks[self.block].name)
            .join(format!("{}.json", self.id))
    }
}

/// Every combination, the last axis fastest.
pub fn combinations<'a>(axes: impl Iterator<Item = &'a Axis>) -> Vec<Vec<Choice>> {
    let mut all = vec![vec![]];
    for axis in axes {
        let longer = |start: Vec<Choice>| {
            axis.choices.iter().map(move |c| [&start[..], std::slice::from_ref(c)].concat())
        };
        all = all.into_iter().flat_map(longer).collect();
    }
    all
}

/// `template` with what its `${NAME}`s stand for. Errors: a name that nothing is called.
pub fn filled(template: &str, vars: &BTreeMap<String, String>) -> Result<String> {
    let mut text = String::new();
    let mut rest = template;
    while let Some((before, after)) = rest.split_once("${") {
        let Some((name, behind)) = after.split_once('}') else {
            bail!("`${{` without `}}` in `{template}`");
        };
        let Some(value) = vars.get(name) else {
            let known: Vec<&str> = vars.keys().map(String::as_str).collect();
            bail!("nothing is called `{name}` in `{template}`; known: {}", known.join(", "));
        };
        text += before;
        text += value;
        ensure!(text.len() <= LONGEST, "`{template}` becomes longer than {LONGEST} bytes");
        rest = behind;
    }
    Ok(text + rest)
}

fn spelled(value: &Value) -> Result<String> {
    match value {
        Value::String(text) => Ok(text.clone()),
        Value::Integer(_) | Value::Float(_) | Value::Boolean(_) => Ok(value.to_string()),
        other => bail!("`{other}` is neither a string nor a number"),
    }
}

fn vars(file: &File, scale: &str, set: &[String]) -> Result<BTreeMap<String, String>> {
    let mut values = file.vars.clone();
    values.extend(file.scale.get(scale).into_iter().flat_map(|scale| scale.vars.clone()));
    let mut vars = BTreeMap::new();
    for (name, value) in values {
        let taken = known(scale).iter().any(|(known, _)| *known == name) || name == "cell";
        ensure!(!taken, "a variable cannot be called `{name}`");
        vars.insert(name, spelled(&value)?);
    }
    for text in set {
        let Some((name, value)) = text.split_once('=') else {
            bail!("`--set {text}` is not NAME=VALUE");
        };
        let known: Vec<String> = vars.keys().cloned().collect();
        let Some(var) = vars.get_mut(name) else {
            bail!("`--set {text}`: no variable is called `{name}`; there are {}", known.join(", "));
        };
        value.clone_into(var);
    }
    // Variables may stand in others, a few deep.
    for _ in 0..4 {
        let mut all = vars.clone();
        all.extend(known(scale));
        for value in vars.values_mut() {
            *value = filled(value, &all)?;
        }
    }
    Ok(vars)
}

fn block(
    source: &Source,
    file: &File,
    scale: &str,
    vars: &BTreeMap<String, String>,
    name: &str,
    step: &Step,
) -> Result<Block> {
    let other = file.scale.get(scale).and_then(|scale| scale.axes.get(name));
    let mut all = vars.clone();
    all.extend(known(scale));
    let mut found = vec![];
    for (within, axes) in [(false, &step.grid), (true, &step.within)] {
        let mut axes: Vec<_> = axes.iter().collect();
        axes.sort_by_key(|(_, choices)| choices.span().start);
        for (axis, choices) in axes {
            let made = |choices: &Spanned<Vec<Value>>| {
                let made = choices.get_ref().iter().map(|value| choice(value, &all));
                let made = made.collect::<Result<Vec<_>>>();
                made.map_err(|error| source.wrong(choices.span().start, error))
            };
            let all_scales = file.scale.values().filter_map(|s| s.axes.get(name)?.get(axis));
            let elsewhere = all_scales.chain([choices]).map(made).collect::<Result<Vec<_>>>()?;
            let elsewhere = elsewhere.into_iter().flatten().map(|choice| choice.label).collect();
            let choices = made(other.and_then(|other| other.get(axis)).unwrap_or(choices))?;
            found.push(Axis { name: axis.clone(), choices, elsewhere, within });
        }
    }
    if let Some(unknown) =
        other.into_iter().flatten().find(|(axis, _)| found.iter().all(|known| known.name != **axis))
    {
        let told = anyhow!("step `{name}` has no axis `{}`", unknown.0);
        return Err(source.wrong(unknown.1.span().start, told));
    }
    let (command, at) = (step.command.get_ref().clone(), step.command.span().start);
    Ok(Block { name: name.to_owned(), command, at, axes: found })
}

/// A value that is its own label, or a label and a value.
fn choice(value: &Value, vars: &BTreeMap<String, String>) -> Result<Choice> {
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

/// `label` as a file name.
fn plain(label: &str) -> String {
    let kept = |c: char| c.is_alphanumeric() || "+-_.,=".contains(c);
    label.chars().map(|c| if kept(c) { c } else { '-' }).collect()
}
