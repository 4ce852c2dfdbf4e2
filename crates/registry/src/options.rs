//! The options of a member of a family: read from a table into a struct, and told to users from that
//! same struct.

use crate::fraction::spelled;
use anyhow::{Result, anyhow};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::fmt;
use toml::{Table, Value};

/// The options of `C` from a table; unknown keys are errors where `C` denies them.
pub fn options<C: DeserializeOwned>(table: Table) -> Result<C> {
    // The second line of an error says which option it is about.
    let told = |e: toml::de::Error| anyhow!("{}", e.to_string().trim().replace('\n', " "));
    table.try_into().map_err(told)
}

/// A struct of options with a description of each field. Defaults are those of the struct.
#[derive(Clone, Copy, Debug)]
pub struct Described {
    about: &'static [(&'static str, &'static str)],
    needed: &'static [(&'static str, &'static str)],
    read: fn(Table) -> Result<Table>,
}

/// The options of members that have none.
#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct NoOptions {}

/// The fields of `C`, each with its description: what it is, its unit and range, no default. A
/// default that depends on other options is an `Option`, and its description says what it is.
pub const fn described<C: DeserializeOwned + Serialize>(
    about: &'static [(&'static str, &'static str)],
) -> Described {
    Described { about, needed: &[], read: read_again::<C> }
}

fn read_again<C: DeserializeOwned + Serialize>(table: Table) -> Result<Table> {
    Ok(Table::try_from(options::<C>(table)?)?)
}

/// One option, as users are told of it.
#[derive(Clone, Debug)]
pub struct Setting {
    /// Its key.
    pub name: &'static str,
    /// What it is, its unit and range.
    pub about: &'static str,
    /// What it is where nothing is said; none: that depends on other options, or it is needed.
    pub default: Option<Value>,
    /// Whether it has to be given.
    pub needed: bool,
}

impl Described {
    /// For members without options.
    pub const NONE: Described = described::<NoOptions>(&[]);

    /// Options without a default, each with an example as users write it.
    pub const fn needing(self, needed: &'static [(&'static str, &'static str)]) -> Self {
        Described { needed, ..self }
    }

    /// The options that have to be given, as in the examples.
    pub fn examples(&self) -> Table {
        let value = |&(name, text): &(&str, &str)| (name.to_owned(), crate::value_of(text));
        self.needed.iter().map(value).collect()
    }

    /// Every option in the order of the descriptions. Panics where the examples of needed options are
    /// no options of the struct.
    pub fn settings(&self) -> Vec<Setting> {
        let defaults = self.read(Table::new()).expect("the examples are options");
        let setting = |&(name, about): &(&'static str, &'static str)| {
            let needed = self.needed.iter().any(|(other, _)| *other == name);
            let default = defaults.get(name).filter(|_| !needed).cloned();
            Setting { name, about, default, needed }
        };
        self.about.iter().map(setting).collect()
    }

    /// The fields of the struct, those without a default too: what it says to a key it does not have.
    /// Empty where the struct takes any key.
    pub fn fields(&self) -> Vec<String> {
        let unknown = Table::from_iter([(String::new(), Value::Boolean(true))]);
        let Err(told) = self.read(unknown) else { return vec![] };
        let told = told.to_string();
        let known = told.split_once("expected").map_or("", |(_, known)| known);
        known.split('`').skip(1).step_by(2).map(str::to_owned).collect()
    }

    /// All options as the struct reads them from `table`, which may leave some out. Errors: the struct
    /// does not take it.
    pub fn read(&self, table: Table) -> Result<Table> {
        let mut all = self.examples();
        all.extend(table);
        (self.read)(all)
    }
}

impl Setting {
    /// `integer`, `float`, `boolean`, `string`, `array` or `table`, where a default shows it.
    pub fn kind(&self) -> Option<&'static str> {
        self.default.as_ref().map(Value::type_str)
    }
}

/// `samples = 100`, as users write it but for the spaces; only the name without a default.
impl fmt::Display for Setting {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let written = match &self.default {
            None if self.needed => format!("{} (required)", self.name),
            None => self.name.to_owned(),
            Some(Value::String(text)) => format!("{} = {text}", self.name),
            Some(Value::Float(value)) => format!("{} = {}", self.name, spelled(*value)),
            Some(value) => format!("{} = {value}", self.name),
        };
        f.pad(&written)
    }
}
