//! Names that other libraries have for an option of ours, where both mean the same. Users may type them;
//! results and files have our own.

use anyhow::{Result, bail};
use std::collections::BTreeMap;
use toml::{Table, Value};

/// Gives a text of a user's the names that we have.
pub type OwnNames = fn(&str) -> Result<String>;

/// Our name of an option.
pub(crate) fn own_key<'a>(aliases: &[(&'static str, &'static str)], key: &'a str) -> &'a str {
    aliases.iter().find(|(alias, _)| *alias == key).map_or(key, |(_, own)| own)
}

/// Notes that `own` was given as `key`. Errors: it was given by another name before.
pub(crate) fn once<'a>(
    seen: &mut BTreeMap<&'a str, &'a str>,
    own: &'a str,
    key: &'a str,
) -> Result<()> {
    match seen.insert(own, key) {
        Some(before) if before != key => {
            bail!("`{before}` and `{key}` are names of one option; give one of them")
        }
        _ => Ok(()),
    }
}

/// A table with our names of options, which `aliases` has behind those of other libraries. Errors: an
/// option that is given by two of its names.
pub fn own_keys(table: Table, aliases: &[(&'static str, &'static str)]) -> Result<Table> {
    let mut seen = BTreeMap::new();
    table.keys().try_for_each(|key| once(&mut seen, own_key(aliases, key), key))?;
    let own = |(key, value): (String, Value)| (own_key(aliases, &key).to_owned(), value);
    Ok(table.into_iter().map(own).collect())
}
