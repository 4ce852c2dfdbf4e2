//! `NAME:key=value,…`, the one syntax in which users name a member of a family and its options.

use anyhow::{Result, anyhow, ensure};
use toml::{Table, Value};

/// `NAME` or `NAME:key=value,key=value` as a table with `name` in it.
pub fn parse(text: &str) -> Result<Table> {
    let (name, rest) = text.split_once(':').unwrap_or((text, ""));
    let mut table = Table::new();
    for pair in parts(rest).into_iter().filter(|p| !p.is_empty()) {
        let (key, value) = pair
            .split_once('=')
            .ok_or_else(|| anyhow!("`{pair}` in `{text}`: expected `key=value`"))?;
        let key = key.trim();
        ensure!(key != "name", "`{text}`: the name stands before the colon");
        let before = table.insert(key.into(), value_of(value.trim()));
        ensure!(before.is_none(), "`{text}` says `{key}` twice");
    }
    table.insert("name".into(), Value::String(name.trim().into()));
    Ok(table)
}

/// `NAME:key=value,…` of a table with `name` in it, its keys sorted: the inverse of [`parse`].
pub fn spelled(table: &Table) -> String {
    let word = |value: &Value| match value {
        // Text that reads as text.
        Value::String(text)
            if value_of(text) == *value
                && !text.contains([',', '=', ':', '"', '[', ']', '{', '}']) =>
        {
            text.clone()
        }
        other => other.to_string(),
    };
    let options = table.iter().filter(|(key, _)| *key != "name");
    let options: Vec<_> = options.map(|(key, value)| format!("{key}={}", word(value))).collect();
    let name = table.get("name").map_or_else(String::new, word);
    if options.is_empty() { name } else { format!("{name}:{}", options.join(",")) }
}

/// What stands between commas that are not inside brackets or quotes.
pub(crate) fn parts(text: &str) -> Vec<&str> {
    let (mut parts, mut from, mut depth, mut quoted) = (vec![], 0, 0, false);
    for (i, c) in text.char_indices() {
        match c {
            '"' => quoted = !quoted,
            '[' | '{' if !quoted => depth += 1,
            ']' | '}' if !quoted => depth -= 1,
            ',' if !quoted && depth <= 0 => {
                parts.push(&text[from..i]);
                from = i + 1;
            }
            _ => {}
        }
    }
    parts.push(&text[from..]);
    parts
}

/// A typed TOML value if the text is one (`3`, `0.1`, `true`, `"x"`, `[1, 2]`), else a string.
pub fn value_of(text: &str) -> Value {
    let parsed = toml::from_str::<Table>(&format!("v = {text}"));
    let value = parsed.ok().and_then(|mut t| t.remove("v"));
    value.unwrap_or_else(|| Value::String(text.into()))
}

/// Splits a list such as `gxi,smoothgrad:sigma=0.1,samples=5,ig` into its members: a part in which a `=`
/// comes before any colon is an option of the member before it.
pub fn split(list: &str) -> Vec<String> {
    let mut members: Vec<String> = vec![];
    for part in parts(list) {
        let option = part.find([':', '=']).is_some_and(|at| part[at..].starts_with('='));
        match members.last_mut() {
            Some(member) if option => {
                member.push(',');
                member.push_str(part);
            }
            _ => members.push(part.trim().to_owned()),
        }
    }
    members
}
