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

/// A longer command is a mistake in variables that stand in one another.
const LONGEST: usize = 1 << 16;

/// A longer choice is one, too.
const LONGEST_CHOICE: usize = 1 << 12;

/// So are longer variables, choices of all cells or commands, each in all.
const LONGEST_ALL: usize = 1 << 26;

/// More cells than this are a mistake in a grid.
const MOST_CELLS: usize = 10_000;

impl Block {
    fn grid(&self) -> impl Iterator<Item = &Axis> {
        self.axes.iter().filter(|axis| !axis.within)
    }

    /// How many cells there will be. Errors: more than there may be, `before` those of other steps.
    fn cells(&self, before: usize) -> Result<usize> {
        let cells =
            self.grid().fold(1usize, |cells, axis| cells.saturating_mul(axis.choices.len()));
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
    fn within(&self) -> BTreeMap<String, String> {
        let joined = |axis: &Axis, of: fn(&Choice) -> &str| {
            axis.choices.iter().map(of).collect::<Vec<_>>().join(",")
        };
        let both = |axis: &Axis| {
            let (value, label) = (joined(axis, |c| &c.value), joined(axis, |c| &c.label));
            [(axis.name.clone(), value), (format!("{}.label", axis.name), label)]
        };
        self.axes.iter().filter(|axis| axis.within).flat_map(both).collect()
    }

    /// What stands in the command of one cell alone.
    fn chosen(&self, choices: &[Choice], id: &str) -> BTreeMap<String, String> {
        let both = |(axis, choice): (&Axis, &Choice)| {
            let label = format!("{}.label", axis.name);
            [(axis.name.clone(), choice.value.clone()), (label, choice.label.clone())]
        };
        let cell = ("cell".to_owned(), format!("${{run}}/cells/{}/{id}", self.name));
        [cell].into_iter().chain(self.grid().zip(choices).flat_map(both)).collect()
    }
}

fn check_length(what: &str, bytes: usize) -> Result<()> {
    ensure!(bytes <= LONGEST_ALL, "{what} have {bytes} bytes; {LONGEST_ALL} are the most");
    Ok(())
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

/// What every command knows, and the variables: where results go is filled in last, so that no result
/// depends on it.
fn known(scale: &str, vars: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    let own = KNOWN.into_iter().zip(["${run}", "${runs}", scale]);
    let own = own.map(|(name, value)| (name.to_owned(), value.to_owned()));
    vars.clone().into_iter().chain(own).collect()
}

/// Names that no variable may have.
const KNOWN: [&str; 4] = ["run", "runs", "scale", "cell"];

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
        let all = self::known(scale, &vars);
        let mut steps: Vec<(&String, &Spanned<Step>)> = file.step.iter().collect();
        steps.sort_by_key(|(_, step)| step.span().start);
        let blocks = steps
            .into_iter()
            .map(|(name, step)| block(&source, &file, scale, &all, name, step.get_ref()));
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
        let known = known(&self.scale, &self.vars);
        let (mut cells, mut before, mut length) = (vec![], 0, 0);
        for (number, block) in self.blocks.iter().enumerate() {
            let wrong = |error| self.source.wrong(block.at, error);
            before += block.cells(before).map_err(wrong)?;
            let within = block.within();
            let mut ids = BTreeSet::new();
            for choices in combinations(block.grid()) {
                let id = match choices.len() {
                    0 => "all".to_owned(),
                    _ => plain(
                        &choices.iter().map(|c| c.label.as_str()).collect::<Vec<_>>().join("+"),
                    ),
                };
                let told = || anyhow!("two cells of step `{}` are called `{id}`", block.name);
                if !ids.insert(id.clone()) {
                    return Err(wrong(told()));
                }
                let chosen = block.chosen(&choices, &id);
                let command = filled(&block.command, &[&within, &chosen, &known]).map_err(wrong)?;
                length += command.len();
                check_length("the commands of all cells", length).map_err(wrong)?;
                cells.push(Cell { block: number, id, choices, command });
            }
        }
        Ok(cells)
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

/// `template` with what its `${NAME}`s stand for, in the first of `vars` that knows. Errors: a name
/// that nothing is called.
pub fn filled(template: &str, vars: &[&BTreeMap<String, String>]) -> Result<String> {
    let mut text = String::new();
    let mut rest = template;
    while let Some((before, after)) = rest.split_once("${") {
        let Some((name, behind)) = after.split_once('}') else {
            bail!("`${{` without `}}` in `{template}`");
        };
        let Some(value) = vars.iter().find_map(|vars| vars.get(name)) else {
            let known: BTreeSet<&str> =
                vars.iter().flat_map(|vars| vars.keys()).map(String::as_str).collect();
            let known = known.into_iter().collect::<Vec<_>>().join(", ");
            bail!("nothing is called `{name}` in `{template}`; known: {known}");
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
        ensure!(!KNOWN.contains(&name.as_str()), "a variable cannot be called `{name}`");
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
        let all = known(scale, &vars);
        for value in vars.values_mut() {
            *value = filled(value, &[&all])?;
        }
        check_length("the variables", vars.values().map(String::len).sum())?;
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
    let mut found = vec![];
    for (within, axes) in [(false, &step.grid), (true, &step.within)] {
        let mut axes: Vec<_> = axes.iter().collect();
        axes.sort_by_key(|(_, choices)| choices.span().start);
        for (axis, choices) in axes {
            let made = |choices: &Spanned<Vec<Value>>| {
                let made = choices.get_ref().iter().map(|value| choice(value, vars));
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
    let (label, value) = (filled(&label, &[vars])?, filled(&value, &[vars])?);
    let longest = label.len().max(value.len());
    ensure!(
        longest <= LONGEST_CHOICE,
        "a choice has {longest} bytes; {LONGEST_CHOICE} are the most"
    );
    ensure!(!label.is_empty(), "a label is empty");
    Ok(Choice { label, value })
}

/// `label` as a file name.
fn plain(label: &str) -> String {
    let kept = |c: char| c.is_alphanumeric() || "+-_.,=".contains(c);
    label.chars().map(|c| if kept(c) { c } else { '-' }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(steps: &str) -> String {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), format!("title = \"t\"\nquestion = \"?\"\n{steps}")).unwrap();
        format!("{:#}", Experiment::read(file.path(), "paper", &[]).unwrap_err())
    }

    #[test]
    fn what_no_run_can_be_is_refused_before_it_is_made() {
        let axis = |n: usize, value: &str| format!("[{}]", vec![value; n].join(", "));
        let step = |name: &str, side: usize| {
            let grid = format!("a = {}\nb = {}", axis(side, "1"), axis(side, "1"));
            format!("[step.{name}]\ncommand = \"list\"\n[step.{name}.grid]\n{grid}\n")
        };
        assert!(
            refused(&step("a", 101)).contains("line 4: step `a` has 10201 cells, other steps 0")
        );
        let told = refused(&(step("b", 1) + &step("c", 100)));
        assert!(told.contains("step `c` has 10000 cells, other steps 1; 10000 in all"), "{told}");
        let long = format!("[vars]\nv = \"{}\"\n[step.a]\ncommand = \"list\"\n", "x".repeat(5000));
        let told = refused(&(long + "[step.a.grid]\na = [\"${v}\"]\n"));
        assert!(told.contains("a choice has 5000 bytes; 4096 are the most"), "{told}");
    }
}
