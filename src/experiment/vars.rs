//! What `${NAME}` stands for. Everything is filled once, in the order of the file: a variable may use
//! those above it.

use super::file::{File, Source, spelled};
use anyhow::{Result, anyhow, bail, ensure};
use std::collections::BTreeMap;
use toml::{Spanned, Value};

/// Longer texts are a mistake in variables that stand in one another.
const LONGEST: usize = 1 << 16;

/// Values by name.
pub type Vars = BTreeMap<String, String>;

/// What every command knows: where results go is filled in last, so that no result depends on it.
fn builtin(scale: &str) -> Vars {
    let all = [("run", "${run}"), ("runs", "${runs}"), ("scale", scale)];
    all.map(|(name, value)| (name.to_owned(), value.to_owned())).into()
}

/// `vars` and what every command knows.
pub fn with_builtin(vars: &Vars, scale: &str) -> Vars {
    vars.clone().into_iter().chain(builtin(scale)).collect()
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
            let taken = builtin(scale).contains_key(name) || name == "cell";
            ensure!(!taken, "a variable cannot be called `{name}`");
            let text = match given.get(name.as_str()) {
                Some(text) => (*text).to_owned(),
                None => spelled(written.get_ref())?,
            };
            filled(&text, &with_builtin(&vars, scale))
        };
        let value = value().map_err(|error| source.wrong(start(written), error))?;
        vars.insert(name.clone(), value);
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

/// `template` with what its `${NAME}`s stand for. Errors: a name that nothing is called, `${…}` in
/// `${…}`.
pub fn filled(template: &str, vars: &Vars) -> Result<String> {
    let mut text = String::new();
    let mut rest = template;
    while let Some((before, after)) = rest.split_once("${") {
        let Some((name, behind)) = after.split_once('}') else {
            bail!("`${{` without `}}` in `{template}`");
        };
        ensure!(
            !name.contains("${"),
            "`${{…}}` inside `${{…}}` in `{template}`; one is filled once"
        );
        let Some(value) = vars.get(name) else {
            let known: Vec<&str> = vars.keys().map(String::as_str).collect();
            return Err(anyhow!(
                "nothing is called `{name}` in `{template}`; known: {}",
                known.join(", ")
            ));
        };
        text += before;
        text += value;
        ensure!(text.len() <= LONGEST, "`{template}` becomes longer than {LONGEST} bytes");
        rest = behind;
    }
    Ok(text + rest)
}
