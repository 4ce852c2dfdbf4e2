//! Our names for what users write of members as other libraries name them and their options.

use crate::{
    Named, Setting,
    alias::{OwnNames, once, own_key, own_keys},
    parse::{parts, split},
};
use anyhow::Result;
use std::collections::BTreeMap;
use toml::{Table, Value};

/// `list` (as of [`split`]) with our names of members and options for those of other libraries; what is
/// of no member stays as it is.
///
/// ```
/// use registry::{Described, Entry, own_names};
///
/// trait Shape {}
/// const SHAPES: &[Entry<dyn Shape>] = &[Entry {
///     name: "square",
///     about: "four equal sides",
///     options: Described::NONE.alias(&["Quadrat"]),
///     build: |_| unreachable!(),
/// }];
/// assert_eq!(own_names(SHAPES, "Quadrat,circle")?, "square,circle");
/// # Ok::<(), anyhow::Error>(())
/// ```
///
/// Errors: an option that is given by two of its names.
pub fn own_names<E: Named>(entries: &[E], list: &str) -> Result<String> {
    let all = split(list);
    let own = all.iter().map(|one| own_name(entries, one)).collect::<Result<Vec<_>>>()?;
    Ok(if own == all { list.to_owned() } else { own.join(",") })
}

/// The same of one member.
fn own_name<E: Named>(entries: &[E], text: &str) -> Result<String> {
    let (name, rest) = text.split_once(':').unwrap_or((text, ""));
    let Some(entry) = entries.iter().find(|e| e.is_called(name.trim())) else {
        return Ok(text.to_owned());
    };
    let settings = entry.options();
    let (aliases, mut seen, mut options) = (aliases(&settings), BTreeMap::new(), vec![]);
    for part in parts(rest) {
        let Some((key, value)) = part.split_once('=') else {
            options.push(part.to_owned());
            continue;
        };
        let own = own_key(&aliases, key.trim());
        once(&mut seen, own, key.trim())?;
        let nested = settings.iter().find(|s| s.name == own).and_then(|s| s.nested);
        options.push(match nested {
            Some(names) => format!("{own}={}", quoted(value.trim(), names)?),
            None if own == key.trim() => part.to_owned(),
            None => format!("{own}={value}"),
        });
    }
    let name = entry.name();
    Ok(if text.contains(':') { format!("{name}:{}", options.join(",")) } else { name.to_owned() })
}

/// A member inside an option, which may stand in quotes.
fn quoted(value: &str, names: OwnNames) -> Result<String> {
    let inside = value.strip_prefix('"').and_then(|v| v.strip_suffix('"'));
    inside.map_or_else(|| names(value), |inside| Ok(format!("\"{}\"", names(inside)?)))
}

/// What other libraries call options, each before our name.
fn aliases(settings: &[Setting]) -> Vec<(&'static str, &'static str)> {
    let of = |s: &Setting| s.aliases.iter().map(|alias| (*alias, s.name)).collect::<Vec<_>>();
    settings.iter().flat_map(of).collect()
}

/// A part of a settings file: the table of a member of `entries`, perhaps without its name, which
/// another file says. Errors: as of [`own_keys`].
pub fn own_table<E: Named>(entries: &[E], mut table: Table) -> Result<Table> {
    let name = table.get("name").and_then(Value::as_str).map(str::to_owned);
    let entry = name.and_then(|name| entries.iter().find(|e| e.is_called(&name)));
    let Some(entry) = entry else {
        // Which options are meant is the same for all that have them.
        let settings: Vec<Setting> = entries.iter().flat_map(Named::options).collect();
        return own_keys(table, &aliases(&settings));
    };
    table.insert("name".into(), Value::String(entry.name().into()));
    own_keys(table, &aliases(&entry.options()))
}
