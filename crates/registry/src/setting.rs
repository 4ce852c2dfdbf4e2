//! An option, as users are told of it.

use crate::{alias::OwnNames, fraction::spelled};
use std::fmt;
use toml::Value;

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
    /// What other libraries call it.
    pub aliases: Vec<&'static str>,
    /// Its value is a member of a family, whose names this knows.
    pub nested: Option<OwnNames>,
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
