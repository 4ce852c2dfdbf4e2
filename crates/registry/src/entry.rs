//! Members of families, found by name and built from a TOML table.

use crate::{Setting, alias::own_keys, options::Described};
use anyhow::{Context, Result, anyhow, bail};
use toml::{Table, Value};

/// Anything with a name and one line about it.
pub trait Named {
    /// The name users type.
    fn name(&self) -> &'static str;
    /// One line: what it is, and its paper.
    fn about(&self) -> &'static str;
    /// What other libraries call it.
    fn aliases(&self) -> &'static [&'static str] {
        &[]
    }
    /// Its options.
    fn options(&self) -> Vec<Setting> {
        vec![]
    }
    /// Whether `name` is its name or an alias.
    fn is_called(&self, name: &str) -> bool {
        self.name() == name || self.aliases().contains(&name)
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
    fn aliases(&self) -> &'static [&'static str] {
        self.options.names()
    }
    fn options(&self) -> Vec<Setting> {
        self.options.settings()
    }
}

/// The entry called `name`, or with that alias; otherwise an error that lists the known names, nearest
/// first.
pub fn find<'a, E: Named>(kind: &str, entries: &'a [E], name: &str) -> Result<&'a E> {
    entries.iter().find(|e| e.is_called(name)).ok_or_else(|| unknown(kind, name, entries))
}

/// A member is named by its alias too where that is nearer to what was typed.
fn unknown<E: Named>(kind: &str, name: &str, entries: &[E]) -> anyhow::Error {
    let all = entries.iter().flat_map(|e| [&[e.name()][..], e.aliases()].concat());
    let mut told = vec![];
    for near in nearest(name, all) {
        let Some(entry) = entries.iter().find(|e| e.is_called(near)) else { continue };
        let own = entry.name();
        if told.iter().all(|(known, _)| *known != own) {
            told.push((own, if near == own { own.into() } else { format!("{own} ({near})") }));
        }
    }
    let known: Vec<String> = told.into_iter().map(|(_, told)| told).collect();
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
    let settings = entry.options();
    let built = || {
        let table = own_keys(table, entry.options.all_aliases())?;
        check_counts(&table, &settings)?;
        (entry.build)(table).map_err(|e| with_aliases(e, entry))
    };
    built().with_context(|| format!("{kind} `{}`", entry.name))
}

/// Says what else options are called where one was not known.
fn with_aliases<T: ?Sized>(error: anyhow::Error, entry: &Entry<T>) -> anyhow::Error {
    let aliases = entry.options.all_aliases();
    if aliases.is_empty() || !error.to_string().starts_with("unknown field") {
        return error;
    }
    let told: Vec<_> =
        aliases.iter().map(|(alias, own)| format!("`{alias}` for `{own}`")).collect();
    anyhow!("{error}; also {}", told.join(", "))
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
