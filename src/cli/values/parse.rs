//! Words of the command line as values; errors are what clap tells after naming the option.

use attack::Beta;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use models::Smoothing;
use registry::{Named, parse_fraction};
use serde::{
    Deserialize, Serialize,
    de::{DeserializeOwned, IntoDeserializer, value},
};
use std::{num::NonZeroUsize, path::PathBuf};

/// Other names would promise another format, and `attack` puts a `.json` of the same name beside it.
pub(in crate::cli) fn tensor_file(text: &str) -> Result<PathBuf, String> {
    ending(text, "safetensors")
}

/// One of the words of an enum, which `--help` lists.
pub(in crate::cli) fn one_of<T: DeserializeOwned + Clone + Send + Sync + 'static>()
-> impl TypedValueParser<Value = T> {
    let meant =
        |word: String| T::deserialize(IntoDeserializer::<value::Error>::into_deserializer(word));
    PossibleValuesParser::new(registry::words::<T>().iter().copied()).try_map(meant)
}

/// The names of a family as `--help` lists them: `adam, apgd, sign or square`.
pub(in crate::cli) fn members<E: Named>(family: &[E]) -> String {
    let mut names: Vec<&str> = family.iter().map(Named::name).collect();
    let last = names.pop().unwrap_or_default();
    if names.is_empty() { last.to_owned() } else { format!("{} or {last}", names.join(", ")) }
}

/// How `weights convert` stores numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Store {
    F32,
    F16,
}

/// `transfer` puts a `.csv` of the same name beside it.
pub(in crate::cli) fn json_file(text: &str) -> Result<PathBuf, String> {
    ending(text, "json")
}

/// A figure's form is that of its ending.
pub(in crate::cli) fn picture_file(text: &str) -> Result<PathBuf, String> {
    let known = ["png", "svg", "pdf"].into_iter().find_map(|end| ending(text, end).ok());
    known.ok_or_else(|| "write a file name that ends in `.png`, `.svg` or `.pdf`".into())
}

pub(in crate::cli) fn weights_file(text: &str) -> Result<PathBuf, String> {
    ending(text, "onnx").or_else(|_| tensor_file(text))
}

fn ending(text: &str, extension: &str) -> Result<PathBuf, String> {
    let path = PathBuf::from(text);
    match path.extension().is_some_and(|e| e == extension) {
        true => Ok(path),
        false => Err(format!("write a file name that ends in `.{extension}`")),
    }
}

pub(in crate::cli) fn fraction(text: &str) -> Result<f64, String> {
    parse_fraction(text).map_err(|e| e.to_string())
}

pub(in crate::cli) fn beta(text: &str) -> Result<Beta, String> {
    Beta::parse(text).map_err(|e| format!("{e:#}"))
}

pub(in crate::cli) fn sharpness(text: &str) -> Result<f64, String> {
    let beta = fraction(text)?;
    if beta > 0. { Ok(beta) } else { Err("write a number above 0, such as 20".into()) }
}

pub(in crate::cli) fn smoothing(text: &str) -> Result<Smoothing, String> {
    Smoothing::parse(text).map_err(|e| format!("{e:#}"))
}

/// `DATA=MODEL`, two names of a class.
pub(in crate::cli) fn renamed(text: &str) -> Result<(String, String), String> {
    let pair = text.split_once('=').map(|(from, to)| (from.trim(), to.trim()));
    let pair = pair.filter(|(from, to)| !from.is_empty() && !to.is_empty());
    let pair = pair.map(|(from, to)| (from.to_owned(), to.to_owned()));
    pair.ok_or_else(|| "write the data's name and the model's, such as `car=automobile`".into())
}

/// An amount of memory, in bytes.
pub(in crate::cli) fn memory(text: &str) -> Result<u64, String> {
    let parsed = text.parse::<bytesize::ByteSize>().ok().map(|size| size.as_u64());
    parsed.filter(|&bytes| bytes > 0).ok_or_else(|| "write an amount such as 500MB or 8GB".into())
}

/// `X/Y`, a point of the plane.
pub(in crate::cli) fn place(text: &str) -> Result<(f64, f64), String> {
    let number = |text: &str| text.trim().parse().ok().filter(|v: &f64| v.is_finite());
    let place = text.split_once('/').and_then(|(x, y)| Some((number(x)?, number(y)?)));
    place.ok_or_else(|| "write a point as X/Y, such as 20/11.9".into())
}

pub(in crate::cli) fn count(text: &str) -> Result<NonZeroUsize, String> {
    text.parse().map_err(|_| "write a whole number from 1 on".into())
}

/// Which part of how many, from 1.
pub(in crate::cli) fn shard(text: &str) -> Result<(usize, usize), String> {
    let parts = text.split_once('/').and_then(|(i, n)| Some((i.parse().ok()?, n.parse().ok()?)));
    match parts {
        Some((i, n)) if 1 <= i && i <= n => Ok((i, n)),
        _ => Err("write I/N with I from 1 to N, such as 1/4".into()),
    }
}

/// `NAME=PATH` as the name of a model in tables and its file; `PATH` alone has no name.
pub fn named(text: &str) -> (Option<&str>, &str) {
    match text.split_once('=') {
        Some((name, path)) if !name.is_empty() && !name.contains('/') => (Some(name), path),
        _ => (None, text),
    }
}
