//! What `${NAME}` stands for. Everything is filled once, in the order of the file: a variable may use
//! those above it.

use super::file::{File, Source, spelled};
use anyhow::{Result, bail, ensure};
use std::collections::{BTreeMap, BTreeSet};
use toml::{Spanned, Value};

/// A longer text is a mistake in variables that stand in one another.
const LONGEST: usize = 1 << 16;

/// So are longer variables, choices of all cells or commands, each in all.
const LONGEST_ALL: usize = 1 << 26;

/// Names that no variable may have.
const KNOWN: [&str; 4] = ["run", "runs", "scale", "cell"];

/// Values by name.
pub type Vars = BTreeMap<String, String>;

/// What every command knows, and the variables: where results go is filled in last, so that no result
/// depends on it.
pub fn known(scale: &str, vars: &Vars) -> Vars {
    let own = KNOWN.into_iter().zip(["${run}", "${runs}", scale]);
    let own = own.map(|(name, value)| (name.to_owned(), value.to_owned()));
    vars.clone().into_iter().chain(own).collect()
}

/// Errors: `what` together is longer than it may be.
pub fn check_length(what: &str, bytes: usize) -> Result<()> {
    ensure!(bytes <= LONGEST_ALL, "{what} have {bytes} bytes; {LONGEST_ALL} are the most");
    Ok(())
}

/// The variables of `file` at a scale, with other values for some, `NAME=VALUE`. Errors: a value that
/// uses what does not stand above it, with its line; a name that is taken or that nothing has.
pub fn vars(source: &Source, file: &File, scale: &str, set: &[String]) -> Result<Vars> {
    // By place in the file: a scale changes a value and keeps its place.
    let other = file.scale.get(scale).map(|scale| &scale.vars);
    let start = |value: &Spanned<Value>| value.span().start;
    let mut values: Vec<(&String, usize)> =
        file.vars.iter().map(|(name, value)| (name, start(value))).collect();
    let added = other.into_iter().flatten().filter(|(name, _)| !file.vars.contains_key(*name));
    values.extend(added.map(|(name, value)| (name, start(value))));
    values.sort_by_key(|(_, place)| *place);
    let given = given(set, &values.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>())?;
    let mut vars = Vars::new();
    for (name, _) in values {
        let written = other.and_then(|vars| vars.get(name)).or(file.vars.get(name));
        let Some(written) = written else { bail!("no variable is called `{name}`") };
        let value = || {
            ensure!(!KNOWN.contains(&name.as_str()), "a variable cannot be called `{name}`");
            let text = match given.get(name.as_str()) {
                Some(text) => (*text).to_owned(),
                None => spelled(written.get_ref())?,
            };
            filled(&text, &[&known(scale, &vars)])
        };
        let value = value().map_err(|error| source.wrong(start(written), error))?;
        vars.insert(name.clone(), value);
        check_length("the variables", vars.values().map(String::len).sum())?;
    }
    Ok(vars)
}

/// The values of `--set`, by name.
fn given<'a>(set: &'a [String], known: &[&str]) -> Result<BTreeMap<&'a str, &'a str>> {
    let pair = |text: &'a String| {
        let Some((name, value)) = text.split_once('=') else {
            bail!("`--set {text}` is not NAME=VALUE");
        };
        ensure!(
            known.contains(&name),
            "`--set {text}`: no variable is called `{name}`; there are {}",
            known.join(", ")
        );
        Ok((name, value))
    };
    set.iter().map(pair).collect()
}

/// `template` with what its `${NAME}`s stand for, in the first of `vars` that knows. Errors: a name that nothing is called, `${…}` in
/// `${…}`.
pub fn filled(template: &str, vars: &[&Vars]) -> Result<String> {
    let (mut text, mut rest) = (String::new(), template);
    while let Some((before, after)) = rest.split_once("${") {
        let Some((name, behind)) = after.split_once('}') else {
            bail!("`${{` without `}}` in `{template}`");
        };
        ensure!(
            !name.contains("${"),
            "`${{…}}` inside `${{…}}` in `{template}`; one is filled once"
        );
        let Some(value) = vars.iter().find_map(|vars| vars.get(name)) else {
            let known: BTreeSet<&str> =
                vars.iter().flat_map(|vars| vars.keys()).map(String::as_str).collect();
            let known = known.into_iter().collect::<Vec<_>>().join(", ");
            bail!("nothing is called `{name}` in `{template}`; known: {known}");
        };
        text.extend([before, value]);
        ensure!(text.len() <= LONGEST, "`{template}` becomes longer than {LONGEST} bytes");
        rest = behind;
    }
    Ok(text + rest)
}
