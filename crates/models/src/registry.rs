//! A sorted list of named things that a TOML table can build: the one mechanism behind
//! architectures, objectives, methods and attacks, their `--help` and their error messages.

use anyhow::{Context, Result, anyhow, bail, ensure};
use serde::{Deserialize, Deserializer, de::DeserializeOwned};
use toml::{Table, Value};

/// Anything with a name and one line about it.
pub trait Named {
    /// The name users type.
    fn name(&self) -> &'static str;
    /// One line: what it is, its paper, its options with defaults and units.
    fn about(&self) -> &'static str;
}

/// One line of a registry.
pub struct Entry<T: ?Sized> {
    /// The name users type.
    pub name: &'static str,
    /// What it is, its paper, its options with defaults and units.
    pub about: &'static str,
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
}

/// The entry called `name`; otherwise an error that lists the known names, nearest first.
pub fn find<'a, E: Named>(kind: &str, entries: &'a [E], name: &str) -> Result<&'a E> {
    entries.iter().find(|e| e.name() == name).ok_or_else(|| unknown(kind, name, entries))
}

fn unknown<E: Named>(kind: &str, name: &str, entries: &[E]) -> anyhow::Error {
    let mut known: Vec<_> = entries.iter().map(Named::name).collect();
    known.sort_by_cached_key(|known| strsim::damerau_levenshtein(known, name));
    anyhow!("unknown {kind} `{name}`; known, nearest first: {}", known.join(", "))
}

/// Builds what `table` asks for: `name` picks the entry, the other keys are its options.
pub fn build<T: ?Sized>(kind: &str, entries: &[Entry<T>], mut table: Table) -> Result<Box<T>> {
    let name = match table.remove("name") {
        Some(Value::String(name)) => name,
        Some(other) => bail!("{kind}: `name` is {other}, not a string"),
        None => bail!("{kind}: missing `name`"),
    };
    let entry = find(kind, entries, &name)?;
    check_counts(&table)
        .and_then(|()| (entry.build)(table))
        .with_context(|| format!("{kind} `{name}`"))
}

/// No number of steps, points, samples or pixels that somebody means is larger.
const MOST: u64 = 1_000_000;

/// Errors: a whole number, but for a seed, that no computer would be done with.
fn check_counts(options: &Table) -> Result<()> {
    for (key, value) in options.iter().filter(|(key, _)| *key != "seed") {
        let too_large = value.as_integer().filter(|n| n.unsigned_abs() > MOST);
        too_large.map_or(Ok(()), |n| Err(anyhow!("`{key}` is {n}; {MOST} is the most")))?;
    }
    Ok(())
}

/// The options of `C` from a table; unknown keys are errors where `C` denies them.
pub fn options<C: DeserializeOwned>(table: Table) -> Result<C> {
    // The second line of an error says which option it is about.
    let told = |e: toml::de::Error| anyhow!("{}", e.to_string().trim().replace('\n', " "));
    table.try_into().map_err(told)
}

/// `NAME` or `NAME:key=value,key=value` as a table with `name` in it.
pub fn parse(text: &str) -> Result<Table> {
    let (name, rest) = text.split_once(':').unwrap_or((text, ""));
    let mut table = Table::new();
    for pair in parts(rest).into_iter().filter(|p| !p.is_empty()) {
        let (key, value) = pair
            .split_once('=')
            .ok_or_else(|| anyhow!("`{pair}` in `{text}`: expected `key=value`"))?;
        ensure!(key != "name", "`{text}`: the name stands before the colon");
        let before = table.insert(key.trim().into(), value_of(value.trim()));
        ensure!(before.is_none(), "`{text}` says `{}` twice", key.trim());
    }
    table.insert("name".into(), Value::String(name.trim().into()));
    Ok(table)
}

/// What stands between commas that are not inside brackets or quotes.
fn parts(text: &str) -> Vec<&str> {
    let (mut parts, mut from, mut depth, mut quoted) = (vec![], 0, 0, false);
    for (i, c) in text.char_indices() {
        match c {
            '"' => quoted = !quoted,
            '[' if !quoted => depth += 1,
            ']' if !quoted => depth -= 1,
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

/// A number typed as `0.0314`, `8/255` or `8`. Errors: not a finite number, a zero denominator.
pub fn parse_fraction(text: &str) -> Result<f64> {
    let told = || anyhow!("`{text}` is not a number such as `8/255` or `0.0314`");
    let finite = |value: f64| value.is_finite().then_some(value).ok_or_else(told);
    let number = |t: &str| t.trim().parse().map_err(|_| told()).and_then(finite);
    let Some((above, below)) = text.split_once('/') else { return number(text) };
    let below = number(below)?;
    ensure!(below != 0., "`{text}` divides by zero; write it like `8/255`");
    finite(number(above)? / below)
}

/// For serde fields: a number, or a string such as `"8/255"`.
pub fn fraction<'de, D: Deserializer<'de>>(from: D) -> Result<f64, D::Error> {
    match Value::deserialize(from)? {
        Value::Float(value) if value.is_finite() => Ok(value),
        Value::Integer(value) => Ok(value as f64),
        Value::String(text) => parse_fraction(&text).map_err(serde::de::Error::custom),
        other => Err(serde::de::Error::custom(format!("`{other}` is not a number"))),
    }
}

/// Splits a list such as `gxi,smoothgrad:sigma=0.1,samples=5,ig` into its members: a part without
/// a colon that holds a `=` belongs to the member before it.
pub fn split(list: &str) -> Vec<String> {
    let mut members: Vec<String> = vec![];
    for part in parts(list) {
        let option = part.contains('=') && !part.contains(':');
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
