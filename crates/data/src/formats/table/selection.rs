//! The options of a table: which columns and rows are taken.

use anyhow::{Result, ensure};
use registry::{Described, Text, described};
use serde::{Deserialize, Serialize};
use toml::Table;

/// What of a table is taken.
#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Selection {
    /// None: all columns of numbers.
    pub columns: Option<Columns>,
    /// None: all of a table that a network was not trained on, else a part.
    pub rows: Option<Rows>,
    /// Seeds which rows are for training. None: as for the training of the network, else 0.
    pub split: Option<u64>,
}

/// Some of the columns of numbers.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(from = "Text", into = "String")]
pub(crate) enum Columns {
    /// Those that lack no value.
    Complete,
    /// Those of these names.
    Named(Vec<String>),
}

/// Which rows.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Rows {
    /// Every one.
    All,
    /// Those for training or for testing.
    Split,
}

/// As users write [`Columns::Complete`].
const COMPLETE: &str = "complete";

impl From<Text> for Columns {
    fn from(Text(text): Text) -> Self {
        match text.as_str() {
            COMPLETE => Columns::Complete,
            names => Columns::Named(names.split('+').map(|name| name.trim().to_owned()).collect()),
        }
    }
}

impl From<Columns> for String {
    fn from(columns: Columns) -> Self {
        match columns {
            Columns::Complete => COMPLETE.into(),
            Columns::Named(names) => names.join("+"),
        }
    }
}

impl Selection {
    /// As users are told of it.
    pub const OPTIONS: Described = described::<Selection>(&[
        ("columns", "A+B: these; complete: those that lack no value; default: all of numbers"),
        (
            "rows",
            "all, or split: a fifth for testing, the others for training; default: split, but all of a table that \
             the weights were not trained on",
        ),
        ("split", "seed that draws the fifth; default: that of the weights' training, or 0"),
    ]);

    /// Errors: an option is unknown or does not fit the others.
    pub fn new(table: Table) -> Result<Self> {
        let selection: Selection = registry::options(table)?;
        let both = selection.rows == Some(Rows::All) && selection.split.is_some();
        ensure!(!both, "`rows=all` and `split=` do not fit each other: all rows, or a fifth");
        Ok(selection)
    }
}
