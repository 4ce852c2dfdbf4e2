//! Members of families, found by name and built from a TOML table.

use crate::options::{Described, Setting};
use anyhow::{Context, Result, anyhow, bail};
use toml::{Table, Value};

/// Anything with a name and one line about it.
pub trait Named {
    /// The name users type.
    fn name(&self) -> &'static str;
    /// One line: what it is, and its paper.
    fn about(&self) -> &'static str;
    /// Its options.
    fn options(&self) -> Vec<Setting> {
        vec![]
    }
}

/// A member that is built from options.
pub struct Entry<T: ?Sized> {
    /// The name users type.
    pub name: &'static str,
    /// What it is, and its paper.
    pub about: &'static str,
    /// Its options.
    pub options: Described,
    /// Builds it from its options.
    pub build: fn(Table) -> Result<Box<T>>,
}

impl<T: ?Sized> Named for Entry<T> {
    fn name(&self) -> &'static str {
        self.name
    }
    fn about(&self) -> &'static str {
        self.about
    }
    fn options(&self) -> Vec<Setting> {
        self.options.settings()
    }
}

/// The entry called `name`; otherwise an error that lists the known names, nearest first.
pub fn find<'a, E: Named>(kind: &str, entries: &'a [E], name: &str) -> Result<&'a E> {
    entries.iter().find(|e| e.name() == name).ok_or_else(|| unknown(kind, name, entries))
}

fn unknown<E: Named>(kind: &str, name: &str, entries: &[E]) -> anyhow::Error {
    let known = nearest(name, entries.iter().map(Named::name));
    anyhow!("unknown {kind} `{name}`; known, nearest first: {}", known.join(", "))
}

/// `names` in the order of how little has to be changed of them to have `name`.
pub fn nearest<'a>(name: &str, names: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let mut known: Vec<&str> = names.collect();
    known.sort_by_cached_key(|known| strsim::damerau_levenshtein(known, name));
    known
}

/// Builds what `table` asks for: `name` picks the entry, the other keys are its options.
pub fn build<T: ?Sized>(kind: &str, entries: &[Entry<T>], mut table: Table) -> Result<Box<T>> {
    let name = match table.remove("name") {
        Some(Value::String(name)) => name,
        Some(other) => bail!("{kind}: `name` is {other}, not a string"),
        None => bail!("{kind}: missing `name`"),
    };
    let entry = find(kind, entries, &name)?;
    check_counts(&table, &entry.options())
        .and_then(|()| (entry.build)(table))
        .with_context(|| format!("{kind} `{name}`"))
}

/// No number of steps, points, samples or pixels that somebody means is larger.
const MOST: u64 = 1_000_000;

/// Errors: a whole number that no computer would be done with, but for a seed, and for an option that
/// takes any number.
fn check_counts(options: &Table, known: &[Setting]) -> Result<()> {
    let any = |key: &str| known.iter().any(|s| s.name == key && s.kind() == Some("float"));
    for (key, value) in options.iter().filter(|(key, _)| *key != "seed" && !any(key)) {
        let too_large = value.as_integer().filter(|n| n.unsigned_abs() > MOST);
        too_large.map_or(Ok(()), |n| Err(anyhow!("`{key}` is {n}; {MOST} is the most")))?;
    }
    Ok(())
}
