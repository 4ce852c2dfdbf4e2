//! Tables of settings over one another: files that extend files, scales, and pairs of the command line.

use crate::{objective::OBJECTIVES, optimizer::OPTIMIZERS, schedule::SCHEDULES};
use anyhow::{Context, Result, ensure};
use registry::own_table;
use std::path::Path;
use toml::{Table, Value};

/// Files that extend files that extend files: more is a circle.
const DEEPEST: usize = 8;

/// The table of a file over those of the files it extends, later ones over earlier ones.
pub(super) fn merged(path: &Path, depth: usize) -> Result<Table> {
    let name = path.display();
    ensure!(depth <= DEEPEST, "`{name}`: `extends` goes in a circle");
    let text = tensorfile::foreign::read_text(path)?;
    let parsed = toml::from_str(&text).map_err(|e| one_line(&e, &text));
    let own = parsed.and_then(with_own_names).with_context(|| format!("`{name}`"))?;
    let mut own: Table = own;
    let mut table = Table::new();
    let told = || format!("`{name}`: `extends` is a list of files beside this one");
    let bases = own.remove("extends").unwrap_or_else(|| Value::Array(vec![]));
    for base in bases.as_array().with_context(told)? {
        let base = path.with_file_name(base.as_str().with_context(told)?);
        over(&mut table, &merged(&base, depth + 1).with_context(|| format!("`{name}`"))?);
    }
    over(&mut table, &own);
    Ok(table)
}

/// The parts that name a member of a family, with our names for those of other libraries. Errors: an
/// option that is given by two of its names.
pub(super) fn with_own_names(mut table: Table) -> Result<Table> {
    for (part, value) in &mut table {
        if let Some(own) = value.as_table_mut() {
            let taken = std::mem::take(own);
            *own = match part.as_str() {
                "optimizer" => own_table(OPTIMIZERS, taken),
                "schedule" => own_table(SCHEDULES, taken),
                "objective" => own_table(OBJECTIVES, taken),
                "scale" => scales(taken),
                _ => Ok(taken),
            }
            .with_context(|| format!("`{part}`"))?;
        }
    }
    Ok(table)
}

/// The same in each scale.
fn scales(table: Table) -> Result<Table> {
    let own = |(name, value): (String, Value)| match value {
        Value::Table(scale) => Ok((name, Value::Table(with_own_names(scale)?))),
        other => Ok((name, other)),
    };
    table.into_iter().map(own).collect()
}

/// Puts `upper` over `table`: tables are merged, but one that says its own `name` replaces one
/// with another name, whose options would mean nothing to it.
pub(super) fn over(table: &mut Table, upper: &Table) {
    for (key, value) in upper {
        match (table.get_mut(key).and_then(Value::as_table_mut), value.as_table()) {
            (Some(below), Some(above)) if !renamed(below, above) => over(below, above),
            _ => drop(table.insert(key.clone(), value.clone())),
        }
    }
}

fn renamed(below: &Table, above: &Table) -> bool {
    above.get("name").is_some_and(|name| below.get("name").is_some_and(|was| was != name))
}

pub(super) fn take_table(table: &mut Table, key: &str) -> Result<Table> {
    match table.remove(key) {
        None => Ok(Table::new()),
        Some(Value::Table(inner)) => Ok(inner),
        Some(_) => anyhow::bail!("`{key}` is not a table"),
    }
}

/// A TOML syntax error with its line, on one line.
pub(super) fn one_line(e: &toml::de::Error, text: &str) -> anyhow::Error {
    let line = e.span().map_or(0, |s| text[..s.start].matches('\n').count() + 1);
    anyhow::anyhow!("line {line}: {}", e.message().replace('\n', ", "))
}

/// Sets `a.b.c=value` in `table`, making tables on the way.
pub(super) fn assign(table: &mut Table, pair: &str) -> Result<()> {
    let (path, value) = pair.split_once('=').context("expected `key=value`")?;
    let mut keys: Vec<&str> = path.trim().split('.').collect();
    let last = keys.pop().context("no key")?;
    let (last, value) = own_name(&keys, last, registry::value_of(value.trim()))?;
    let mut at = table;
    for key in keys {
        let entry = at.entry(key).or_insert_with(|| Table::new().into());
        at = entry.as_table_mut().with_context(|| format!("`{key}` is not a table"))?;
    }
    at.insert(last, value);
    Ok(())
}

/// The key and the value below `path` with our names, as of [`with_own_names`].
fn own_name(path: &[&str], key: &str, value: Value) -> Result<(String, Value)> {
    let plain = (key.to_owned(), value);
    let [part] = path else { return Ok(plain) };
    let below = Table::from_iter([plain.clone()]);
    let own = with_own_names(Table::from_iter([((*part).to_owned(), Value::Table(below))]))?;
    let first =
        own.into_iter().next().and_then(|(_, own)| own.as_table()?.clone().into_iter().next());
    Ok(first.unwrap_or(plain))
}
