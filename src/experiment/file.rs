//! The experiment file as it is written, and where in it something stands.

use anyhow::{Error, Result, anyhow};
use serde::Deserialize;
use std::{collections::BTreeMap, path::Path};
use toml::{Spanned, Value};

/// One question, the commands that answer it, and what the answer looks like.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct File {
    /// Above the page.
    pub title: String,
    /// The tables and figures that this makes again, such as `Wang et al. 2020, Table 2`.
    #[serde(default)]
    pub reproduces: Vec<String>,
    /// What is asked, in a sentence or two.
    pub question: String,
    /// How it differs from the paper.
    #[serde(default)]
    pub notes: String,
    /// Experiments whose files this one reads; they run first, at the same scale.
    #[serde(default)]
    pub needs: Vec<Spanned<String>>,
    /// What `${NAME}` stands for.
    #[serde(default)]
    pub vars: BTreeMap<String, Value>,
    /// Cells of one command, in the order of the file.
    pub step: BTreeMap<String, Spanned<Step>>,
    /// Other variables and grids, by name of the scale.
    #[serde(default)]
    pub scale: BTreeMap<String, Scale>,
    #[serde(default)]
    pub table: Vec<Spanned<TableSpec>>,
    #[serde(default)]
    pub figure: Vec<Spanned<FigureSpec>>,
    #[serde(default)]
    pub claim: Vec<Spanned<ClaimSpec>>,
}

/// A command for every combination of a grid.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// A command line of gradproof without its name, with `${NAME}`s.
    pub command: Spanned<String>,
    /// Axes: each combination of their choices is a cell.
    #[serde(default)]
    pub grid: BTreeMap<String, Spanned<Vec<Value>>>,
    /// Axes inside a cell: the command has all choices between commas.
    #[serde(default)]
    pub within: BTreeMap<String, Spanned<Vec<Value>>>,
}

/// What a scale changes.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scale {
    #[serde(default)]
    pub vars: BTreeMap<String, Value>,
    /// Other choices: step, axis, choices.
    #[serde(default)]
    pub axes: BTreeMap<String, BTreeMap<String, Spanned<Vec<Value>>>>,
}

/// A table: combinations of some axes down, of others across, some numbers of each.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TableSpec {
    pub title: String,
    pub step: String,
    pub rows: Vec<String>,
    #[serde(default)]
    pub columns: Vec<String>,
    /// The one choice of an axis that is in neither, by label.
    #[serde(default, rename = "where")]
    pub only: BTreeMap<String, String>,
    pub values: Vec<ValueSpec>,
    /// What the paper prints: labels of rows and columns, a number for each of `values`.
    #[serde(default)]
    pub published: BTreeMap<String, Vec<f64>>,
}

/// A number in a cell's result.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ValueSpec {
    pub name: String,
    /// See [`super::found`].
    pub path: String,
}

/// How a figure is drawn.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// `y` over the axis `x`.
    Lines,
    /// Least, quartiles and largest at each choice of the axis `x`.
    Boxes,
    /// The number `y` over the number `x`, a point for each choice.
    Scatter,
    /// `y` in every row and column.
    Heatmap,
    /// A picture that the command left.
    Picture,
}

/// A figure in the form of the paper's.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FigureSpec {
    pub title: String,
    pub kind: Kind,
    pub step: String,
    /// An axis of `lines` and `boxes`, a path of `scatter`, the axis across of `heatmap`.
    #[serde(default)]
    pub x: String,
    /// A path; the file of `picture`.
    pub y: String,
    /// Path of the standard error of `y`.
    pub stderr: Option<String>,
    /// Below the figure, left to right.
    #[serde(default)]
    pub across: String,
    /// Whether equal ratios of `x` are equal distances.
    #[serde(default)]
    pub log: bool,
    /// The axis with a line, a kind of point or a row for each choice.
    pub lines: Option<String>,
    /// The axis with a panel for each choice.
    pub panels: Option<String>,
    #[serde(default, rename = "where")]
    pub only: BTreeMap<String, String>,
}

/// What a paper says, as a relation of numbers; `STEP LABEL,LABEL,… PATH`, a label of `*` for every
/// choice.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClaimSpec {
    /// In words, and where it stands.
    pub text: String,
    /// The first is less than the second.
    pub less: Option<[String; 2]>,
    /// They are apart by at most `within` of the second.
    pub near: Option<[String; 2]>,
    #[serde(default = "tenth")]
    pub within: f64,
    /// Along the only axis that is `*`.
    pub rising: Option<String>,
    pub falling: Option<String>,
    /// The largest is neither the first nor the last.
    pub peaks: Option<String>,
    pub above: Option<(String, f64)>,
    pub below: Option<(String, f64)>,
    /// Scales that are large enough to say.
    #[serde(default = "large")]
    pub tested: Vec<String>,
}

fn tenth() -> f64 {
    0.1
}

fn large() -> Vec<String> {
    vec!["cpu".into(), "paper".into()]
}

/// The text of a file, to say where in it something is wrong.
#[derive(Debug)]
pub struct Source {
    pub name: String,
    text: String,
}

impl Source {
    /// Reads `path`. Errors: no such file, or not what a [`File`] is, with its line.
    pub fn read(path: &Path) -> Result<(Self, File)> {
        let name = path.display().to_string();
        let text = tensorfile::foreign::read_text(path)?;
        let source = Source { name, text };
        let file = toml::from_str(&source.text).map_err(|error| {
            let told = error.message().trim().replace('\n', " ");
            source.wrong(error.span().map_or(0, |span| span.start), anyhow!("{told}"))
        })?;
        Ok((source, file))
    }

    /// `error`, with the line of byte number `at`.
    pub fn wrong(&self, at: usize, error: Error) -> Error {
        let line = 1 + self.text[..at.min(self.text.len())].matches('\n').count();
        error.context(format!("`{}`, line {line}", self.name))
    }
}
