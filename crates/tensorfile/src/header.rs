//! Lists in the strings of a header. Names stand between commas, as in files of old, or in a JSON
//! array where that would not tell them apart.

use anyhow::{Context, Result};

/// Names as one string, which [`names`] reads.
pub fn join(names: &[String]) -> String {
    let unclear = |name: &String| name.contains(',') || name.trim() != name || name.is_empty();
    match names.iter().any(unclear) || names.first().is_some_and(|name| name.starts_with('[')) {
        true => json(names),
        false => names.join(","),
    }
}

/// The names in a string: a JSON array, or what stands between commas. Errors: a `[` that begins no
/// such array.
pub fn names(text: &str) -> Result<Vec<String>> {
    if text.trim_start().starts_with('[') {
        return serde_json::from_str(text).with_context(|| format!("`{text}` is no list of names"));
    }
    Ok(text.split(',').map(|name| name.trim().to_owned()).collect())
}

/// Names as a JSON array.
pub fn json(names: &[String]) -> String {
    serde_json::to_string(names).expect("strings")
}

/// Numbers as a JSON array; each is read again as it was.
pub fn join_numbers(numbers: &[f64]) -> String {
    serde_json::to_string(numbers).expect("numbers")
}

/// The numbers of a JSON array. Errors: anything else.
pub fn numbers(text: &str) -> Result<Vec<f64>> {
    serde_json::from_str(text).with_context(|| format!("`{text}` is no list of numbers"))
}
