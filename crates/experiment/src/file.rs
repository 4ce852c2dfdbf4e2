//! The experiment file as it is written, and where in it something stands.

use anyhow::{Error, anyhow, bail};
use serde::{Deserialize, Deserializer, de::Error as _};
use std::{collections::BTreeMap, path::Path};
use toml::{Spanned, Value};

/// The scale that every experiment has: the settings of the paper, which no `[scale.NAME]` changes.
pub const PAPER: &str = "paper";

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
    pub vars: BTreeMap<String, Spanned<Value>>,
    /// Cells of one command, in the order of the file.
    pub step: BTreeMap<String, Spanned<StepSpec>>,
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
pub struct StepSpec {
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
    pub vars: BTreeMap<String, Spanned<Value>>,
    /// Other choices: step, axis, choices.
    #[serde(default)]
    pub axes: BTreeMap<String, BTreeMap<String, Spanned<Vec<Value>>>>,
}

/// Words by name: labels of axes, keys of rows, `quantity`, `statistic`.
pub type Words = BTreeMap<String, String>;

/// A table: combinations of some axes down, of others across, some numbers of each.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TableSpec {
    pub title: String,
    pub step: String,
    pub rows: Vec<String>,
    #[serde(default)]
    pub columns: Vec<String>,
    /// What holds for all of `values`: the choice of an axis that is in neither, by label, and keys.
    #[serde(default, rename = "where", deserialize_with = "words")]
    pub common: Words,
    pub values: Vec<ValueSpec>,
    /// What the paper prints: labels of rows and columns, a number for each of `values`.
    #[serde(default)]
    pub published: BTreeMap<String, Vec<f64>>,
}

/// A number of a cell: its name in the table, and which.
#[derive(Debug, Deserialize)]
pub struct ValueSpec {
    pub name: String,
    #[serde(flatten, deserialize_with = "words")]
    pub query: Words,
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

impl Kind {
    /// As in the file.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Lines => "lines",
            Kind::Boxes => "boxes",
            Kind::Scatter => "scatter",
            Kind::Heatmap => "heatmap",
            Kind::Picture => "picture",
        }
    }
}

/// A figure in the form of the paper's.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FigureSpec {
    pub title: String,
    pub kind: Kind,
    pub step: String,
    /// An axis of `lines`, `boxes` and `heatmap`, a number of `scatter`.
    pub x: Option<X>,
    /// The number; none of `picture`.
    #[serde(default, deserialize_with = "words")]
    pub y: Words,
    /// Whether the standard error of `y` is drawn.
    #[serde(default)]
    pub error: bool,
    /// The file of `picture`, in the folder of its cell.
    pub picture: Option<String>,
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
    #[serde(default, rename = "where", deserialize_with = "words")]
    pub common: Words,
}

/// What is across.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub enum X {
    /// The choices of an axis.
    Axis(String),
    /// A number.
    Number(#[serde(deserialize_with = "words")] Words),
}

/// What a paper says, as a relation of numbers of a step: one for every combination of the axes that
/// neither `where` nor the relation names.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClaimSpec {
    /// In words, and where it stands.
    pub text: String,
    #[serde(rename = "where")]
    pub common: Common,
    /// The number with the first words is less than that with the second.
    #[serde(default, deserialize_with = "pairs")]
    pub less: Pairs,
    /// They are apart by at most `within` of the second.
    #[serde(default, deserialize_with = "pairs")]
    pub near: Pairs,
    #[serde(default = "tenth")]
    pub within: f64,
    /// Along this axis.
    pub rising: Option<String>,
    pub falling: Option<String>,
    /// The largest is neither the first nor the last.
    pub peaks: Option<String>,
    /// The smallest is neither the first nor the last.
    pub dips: Option<String>,
    pub above: Option<f64>,
    pub below: Option<f64>,
    /// Whether the paper prints the limit of `near`, `above` or `below`; else it is ours.
    #[serde(default)]
    pub printed: bool,
    /// Scales that are large enough to say.
    #[serde(default = "large")]
    pub tested: Vec<String>,
}

/// Two words by name.
pub type Pairs = BTreeMap<String, [String; 2]>;

/// What holds for all numbers of a claim.
#[derive(Debug, Deserialize)]
pub struct Common {
    pub step: String,
    #[serde(flatten, deserialize_with = "words")]
    pub words: Words,
}

/// A value as it is written.
pub fn spelled(value: &Value) -> anyhow::Result<String> {
    match value {
        Value::String(text) => Ok(text.clone()),
        Value::Integer(_) | Value::Float(_) | Value::Boolean(_) => Ok(value.to_string()),
        other => bail!("`{other}` is neither a string nor a number"),
    }
}

/// Strings, and numbers as they are written.
fn words<'de, D: Deserializer<'de>>(from: D) -> Result<Words, D::Error> {
    let word = |(name, value)| Ok((name, spelled(&value).map_err(D::Error::custom)?));
    BTreeMap::<String, Value>::deserialize(from)?.into_iter().map(word).collect()
}

fn pairs<'de, D: Deserializer<'de>>(from: D) -> Result<Pairs, D::Error> {
    let pair = |(name, [a, b]): (String, [Value; 2])| {
        let word = |value| spelled(value).map_err(D::Error::custom);
        Ok((name, [word(&a)?, word(&b)?]))
    };
    BTreeMap::<String, [Value; 2]>::deserialize(from)?.into_iter().map(pair).collect()
}

fn tenth() -> f64 {
    0.1
}

fn large() -> Vec<String> {
    vec!["cpu".into(), PAPER.into()]
}

/// The text of a file, to say where in it something is wrong.
#[derive(Debug)]
pub struct Source {
    pub name: String,
    text: String,
}

impl Source {
    /// Reads `path`. Errors: no such file, or not what a [`File`] is, with its line.
    pub fn read(path: &Path) -> anyhow::Result<(Self, File)> {
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
