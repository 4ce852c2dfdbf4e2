//! The options of a member of a family: read from a table into a struct, and told to users from that
//! same struct.

use crate::{Setting, alias::OwnNames};
use anyhow::{Result, anyhow};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use toml::{Table, Value};

/// The options of `C` from a table; unknown keys are errors where `C` denies them.
pub fn options<C: DeserializeOwned>(table: Table) -> Result<C> {
    // The second line of an error says which option it is about.
    let told = |e: toml::de::Error| anyhow!("{}", e.to_string().trim().replace('\n', " "));
    table.try_into().map_err(told)
}

/// A struct of options with a description of each field, and what other libraries call the member and
/// its options. Defaults are those of the struct.
#[derive(Clone, Copy, Debug)]
pub struct Described {
    about: &'static [(&'static str, &'static str)],
    needed: &'static [(&'static str, &'static str)],
    names: &'static [&'static str],
    aliases: &'static [(&'static str, &'static str)],
    nested: Option<(&'static str, OwnNames)>,
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
    let (needed, names, aliases): (_, _, &[(&str, &str)]) = (&[], &[], &[]);
    Described { about, needed, names, aliases, nested: None, read: read_again::<C> }
}

fn read_again<C: DeserializeOwned + Serialize>(table: Table) -> Result<Table> {
    Ok(Table::try_from(options::<C>(table)?)?)
}

impl Described {
    /// For members without options.
    pub const NONE: Described = described::<NoOptions>(&[]);

    /// Options without a default, each with an example as users write it.
    pub const fn needing(self, needed: &'static [(&'static str, &'static str)]) -> Self {
        Described { needed, ..self }
    }

    /// What other libraries call the member: something that is the same, by their formula and with some
    /// of their options.
    pub const fn alias(self, names: &'static [&'static str]) -> Self {
        Described { names, ..self }
    }

    /// What other libraries call options, each before our name: the same quantity in the same unit.
    pub const fn option_aliases(self, aliases: &'static [(&'static str, &'static str)]) -> Self {
        Described { aliases, ..self }
    }

    /// The value of `option` is a member of a family, whose names `names` knows.
    pub const fn nested(self, option: &'static str, names: OwnNames) -> Self {
        Described { nested: Some((option, names)), ..self }
    }

    /// What other libraries call the member.
    pub fn names(&self) -> &'static [&'static str] {
        self.names
    }

    /// Other names of options, each before ours.
    pub fn all_aliases(&self) -> &'static [(&'static str, &'static str)] {
        self.aliases
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
            let own = self.aliases.iter().filter(|(_, own)| *own == name);
            let aliases = own.map(|(alias, _)| *alias).collect();
            let nested = self.nested.filter(|(option, _)| *option == name).map(|(_, names)| names);
            Setting { name, about, default, needed, aliases, nested }
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
