//! Weka's attribute–relation files: a head that declares the columns, then comma-separated rows.
//! Sparse rows (`{3 1.5}`) are refused.

use super::{Column, Kinds, Table};
use anyhow::{Context, Result, bail, ensure};

/// Reads a whole file.
pub(super) fn parse(bytes: &[u8]) -> Result<Table> {
    let text = std::str::from_utf8(bytes).context("it is not UTF-8 text")?;
    let mut columns: Vec<Column> = vec![];
    let (mut head, mut rows) = (true, vec![]);
    for (i, line) in text.lines().enumerate() {
        let (line, told) = (line.trim(), || format!("line {}", i + 1));
        let word = line.split_whitespace().next().unwrap_or_default().to_lowercase();
        match word.as_str() {
            "@attribute" if head => {
                columns.push(attribute(line["@attribute".len()..].trim()).with_context(told)?)
            }
            "@data" if head => head = false,
            "" | "@relation" => {}
            comment if comment.starts_with('%') => {}
            _ if head => bail!("{}: `{word}` is none of @relation, @attribute, @data", told()),
            sparse if sparse.starts_with('{') => bail!("{}: sparse rows are not read", told()),
            _ => rows.push((i as u64 + 1, cells(line, columns.len()).with_context(told)?)),
        }
    }
    ensure!(!head, "there is no line `@data`");
    let count = columns.len();
    ensure!(count >= 2, "it declares {count} columns; a label and a number are needed");
    Ok(Table { columns, rows })
}

/// `NAME TYPE`, where the name may be quoted.
fn attribute(text: &str) -> Result<Column> {
    let quote = text.chars().next().filter(|c| matches!(c, '\'' | '"'));
    let (name, kind) = match quote {
        Some(quote) => text[1..].split_once(quote),
        None => text.split_once(|c: char| c.is_whitespace()),
    }
    .with_context(|| format!("`@attribute {text}` has no type"))?;
    let kind = kind.trim();
    let kind = match kind.to_lowercase().as_str() {
        "numeric" | "real" | "integer" => Kinds::Any,
        "string" => Kinds::Text,
        date if date.starts_with("date") => Kinds::Text,
        _ => {
            let told =
                || format!("`{kind}` is none of numeric, real, integer, string, date, {{a, b}}");
            let words = kind.strip_prefix('{').and_then(|rest| rest.strip_suffix('}'));
            let unquoted = |word: &str| word.trim().trim_matches(['\'', '"']).to_owned();
            Kinds::Words(words.with_context(told)?.split(',').map(unquoted).collect())
        }
    };
    Ok(Column { name: name.to_owned(), kind })
}

/// The cells of a row, perhaps between quotes.
fn cells(line: &str, wanted: usize) -> Result<Vec<String>> {
    let mut found = vec![String::new()];
    let mut quote = None;
    for c in line.chars() {
        match c {
            ',' if quote.is_none() => found.push(String::new()),
            '\'' | '"' if quote.is_none_or(|open| open == c) => {
                quote = if quote.is_some() { None } else { Some(c) };
            }
            c => found.last_mut().expect("one at least").push(c),
        }
    }
    ensure!(quote.is_none(), "a quote is not closed");
    let count = found.len();
    ensure!(count == wanted, "it has {count} cells, there are {wanted} columns");
    Ok(found.into_iter().map(|cell| cell.trim().to_owned()).collect())
}
