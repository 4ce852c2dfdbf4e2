//! From a file to the cells of a run: every combination of the choices of a step, as a command line.

use super::{
    file::{File, PAPER, Source, StepSpec},
    step::{Choice, Step, combinations},
    vars::{Vars, check_length, filled, known, vars},
};
use anyhow::{Result, anyhow, ensure};
use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};
use toml::Spanned;

/// One command of a run.
#[derive(Debug)]
pub struct Cell {
    /// Number of its step.
    pub step: usize,
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
    /// Its size: `smoke`, `cpu` or `paper`.
    pub scale: String,
    /// Its text, for messages with line numbers.
    pub source: Source,
    /// As it is written.
    pub file: File,
    /// What `${NAME}` stands for at this scale.
    pub vars: Vars,
    /// In the order of the file.
    pub steps: Vec<Step>,
    /// One command each, step by step.
    pub cells: Vec<Cell>,
}

impl Experiment {
    /// Reads `path` at a scale, with other values for some variables, `NAME=VALUE`. Errors: a malformed
    /// file, with its line; a scale or a variable that it does not know.
    pub fn read(path: &Path, scale: &str, set: &[String]) -> Result<Self> {
        let (source, file) = Source::read(path)?;
        let scales: Vec<&str> = file.scale.keys().map(String::as_str).chain([PAPER]).collect();
        ensure!(
            scale == PAPER || file.scale.contains_key(scale),
            "`{}` has no scale `{scale}`; it has {}",
            source.name,
            scales.join(", ")
        );
        let vars = vars(&source, &file, scale, set)?;
        let all = known(scale, &vars);
        let mut specs: Vec<(&String, &Spanned<StepSpec>)> = file.step.iter().collect();
        specs.sort_by_key(|(_, spec)| spec.span().start);
        let step = |(name, spec): (&String, &Spanned<StepSpec>)| {
            Step::new((&source, &file), (scale, &all), (name, spec.get_ref()))
        };
        let steps = specs.into_iter().map(step).collect::<Result<Vec<_>>>()?;
        let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let mut experiment =
            Experiment { name, scale: scale.to_owned(), cells: vec![], source, vars, steps, file };
        experiment.cells = experiment.expanded()?;
        Ok(experiment)
    }

    /// What the folder of its run is called.
    pub fn folder(&self) -> String {
        if self.scale == PAPER {
            self.name.clone()
        } else {
            format!("{}-{}", self.name, self.scale)
        }
    }

    /// How many cells of the run in `run` are there, and how many there will be.
    pub fn done(&self, run: &Path) -> (usize, usize) {
        let there = self.cells.iter().filter(|cell| cell.file(self, run).exists());
        (there.count(), self.cells.len())
    }

    /// The cells of this run whose folders `cell` reads.
    pub fn read_by<'a>(&'a self, cell: &'a Cell) -> impl Iterator<Item = &'a Cell> {
        let folder = |c: &Cell| format!("${{run}}/cells/{}/{}/", self.steps[c.step].name, c.id);
        let others = self.cells.iter().filter(move |other| !std::ptr::eq(*other, cell));
        others.filter(move |other| cell.command.contains(&folder(other)))
    }

    /// The step called `name`. Errors: there is none.
    pub fn step(&self, name: &str) -> Result<&Step> {
        let found = self.steps.iter().find(|step| step.name == name);
        let known: Vec<&str> = self.steps.iter().map(|step| step.name.as_str()).collect();
        found.ok_or_else(|| anyhow!("no step is called `{name}`; there are {}", known.join(", ")))
    }

    fn expanded(&self) -> Result<Vec<Cell>> {
        let known = known(&self.scale, &self.vars);
        let (mut cells, mut before, mut length) = (vec![], 0, 0);
        for (number, step) in self.steps.iter().enumerate() {
            let wrong = |error| self.source.wrong(step.start, error);
            before += step.cells(before).map_err(wrong)?;
            let within = step.within();
            let mut ids = BTreeSet::new();
            for choices in combinations(step.grid()) {
                let labels: Vec<&str> = choices.iter().map(|c| c.label.as_str()).collect();
                let id = if labels.is_empty() { "all".into() } else { plain(&labels.join("+")) };
                if !ids.insert(id.clone()) {
                    let error = anyhow!("two cells of step `{}` are called `{id}`", step.name);
                    return Err(wrong(error));
                }
                let chosen = step.chosen(&choices, &id);
                let command = filled(&step.command, &[&within, &chosen, &known]).map_err(wrong)?;
                length += command.len();
                check_length("the commands of all cells", length).map_err(wrong)?;
                cells.push(Cell { step: number, id, choices, command });
            }
        }
        Ok(cells)
    }
}

impl Cell {
    /// Its step and its labels.
    pub fn name(&self, experiment: &Experiment) -> String {
        format!("{} {}", experiment.steps[self.step].name, self.id)
    }

    /// What is typed behind `gradproof`, for a run in `run`.
    pub fn words(&self, run: &Path) -> Vec<String> {
        let line = self.command.replace("${run}", &run.display().to_string());
        let line = line.replace("${runs}", &all_runs(run).display().to_string());
        line.split_whitespace().map(str::to_owned).collect()
    }

    /// Where its result is.
    pub fn file(&self, experiment: &Experiment, run: &Path) -> PathBuf {
        run.join("cells").join(&experiment.steps[self.step].name).join(format!("{}.json", self.id))
    }
}

/// The folder of all runs, where one of them is in `run`.
fn all_runs(run: &Path) -> &Path {
    run.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// A text of a result with `${run}` and `${runs}` in place of where they are: the same wherever that is.
pub fn unplaced(text: &str, run: &Path) -> String {
    let mut text = text.replace(&run.display().to_string(), "${run}");
    let runs = format!("{}/", all_runs(run).display());
    if text.starts_with(&runs) {
        text.replace_range(..runs.len(), "${runs}/");
    }
    // A path begins there; the name of the folder alone may be part of another.
    for before in ['=', ':', ',', ' ', '"'] {
        text = text.replace(&format!("{before}{runs}"), &format!("{before}${{runs}}/"));
    }
    text
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
    fn places_are_taken_out_where_paths_begin() {
        for (run, text, wanted) in [
            (
                "runs/a-cpu",
                "rtsal:masker=runs/b-cpu/m.safetensors",
                "rtsal:masker=${runs}/b-cpu/m.safetensors",
            ),
            ("runs/a-cpu", "runs/a-cpu/cells/x.png", "${run}/cells/x.png"),
            ("runs/a-cpu", "runs/b-cpu/x.png", "${runs}/b-cpu/x.png"),
            ("runs/a-cpu", "my/runs/b-cpu/x.png", "my/runs/b-cpu/x.png"),
            ("a-cpu", "x=./b-cpu/y,z", "x=${runs}/b-cpu/y,z"),
            ("a-cpu", "weights/w.safetensors", "weights/w.safetensors"),
        ] {
            assert_eq!(unplaced(text, Path::new(run)), wanted);
        }
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
