//! Comma-separated values with a line of names: RFC 4180, also with semicolons or tabs.

use super::{Column, Kinds, Table, number};
use anyhow::{Context, Result, ensure};

/// Reads a whole file.
pub(super) fn parse(bytes: &[u8]) -> Result<Table> {
    let mut reader = ::csv::ReaderBuilder::new()
        .delimiter(delimiter(bytes))
        .trim(::csv::Trim::All)
        .from_reader(bytes);
    let names = reader.headers().context("line 1")?.clone();
    for (i, name) in names.iter().enumerate() {
        ensure!(!name.is_empty(), "line 1: the column {} has no name", i + 1);
        let twice = names.iter().take(i).any(|other| other == name);
        ensure!(!twice, "line 1: two columns are named `{name}`");
    }
    ensure!(names.len() >= 2, "line 1 names one column alone; a label and a number are needed");
    let values = names.iter().all(|name| number(name).is_some());
    ensure!(!values, "line 1 holds numbers; it must name the columns");
    let columns = names.iter().map(|name| Column { name: name.into(), kind: Kinds::Any }).collect();
    Ok(Table { columns, rows: rows(reader)? })
}

/// What is left of a reader: cells, and the line each row begins at.
fn rows(reader: ::csv::Reader<&[u8]>) -> Result<Vec<(u64, Vec<String>)>> {
    let row = |record: ::csv::Result<::csv::StringRecord>| {
        let record = record.map_err(|e| anyhow::anyhow!("{}", told(&e)))?;
        let line = record.position().map_or(0, ::csv::Position::line);
        Ok((line, record.iter().map(str::to_owned).collect()))
    };
    reader.into_records().map(row).collect()
}

/// One line, with the line's number.
fn told(error: &::csv::Error) -> String {
    let line = error.position().map_or(0, ::csv::Position::line);
    match error.kind() {
        ::csv::ErrorKind::UnequalLengths { expected_len, len, .. } => {
            format!("line {line} has {len} cells, there are {expected_len} columns")
        }
        ::csv::ErrorKind::Utf8 { .. } => format!("line {line} is not UTF-8 text"),
        _ => error.to_string(),
    }
}

/// The sign that the first line has most of.
fn delimiter(bytes: &[u8]) -> u8 {
    let line = bytes.split(|&byte| byte == b'\n').next().unwrap_or_default();
    let count = |sign: &u8| line.iter().filter(|byte| *byte == sign).count();
    // The last of several maxima: a comma.
    [b'\t', b';', b','].into_iter().max_by_key(count).unwrap_or(b',')
}
