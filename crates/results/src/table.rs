//! Rows as a table: filtered, looked up, written as CSV.

use crate::{Keys, Number, QUANTITY, Row, Sample};
use anyhow::{Context, Result, anyhow, bail};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// Rows in the order in which they were found.
///
/// ```
/// use results::{Number, Table, keys};
///
/// let mut table = Table::default();
/// for (method, value) in [("gxi", 0.8), ("ig", 0.9)] {
///     table.push(&keys([("model", "resnet20"), ("method", method)]), "k-in", Number::exact(value));
/// }
/// let row = table.only(&keys([("method", "ig"), ("quantity", "k-in")]))?;
/// assert_eq!(row.number.mean, Some(0.9));
/// let error = table.only(&keys([("method", "igg")])).unwrap_err();
/// assert_eq!(error.to_string(), "no row has method `igg`; there are ig, gxi");
/// # Ok::<(), anyhow::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Table {
    /// The rows.
    pub rows: Vec<Row>,
}

impl Table {
    /// Adds the number of `quantity`, of what `keys` say, with its values where there are any.
    pub fn push(&mut self, keys: &Keys, quantity: &str, of: impl Into<Sample>) {
        self.rows.push(Row::new(keys, quantity, of));
    }

    /// The rows where every key of `wanted` has its value, in order.
    pub fn filter<'a, 'k>(
        &'a self,
        wanted: &'k Keys,
    ) -> impl Iterator<Item = &'a Row> + use<'a, 'k> {
        self.rows.iter().filter(move |row| {
            row.matches(wanted.iter().map(|(key, value)| (key.as_str(), value.as_str())))
        })
    }

    /// The one row where every key of `wanted` has its value. Errors: none has, with the values that
    /// there are; several have, with the keys that tell them apart.
    pub fn only(&self, wanted: &Keys) -> Result<&Row> {
        let found: Vec<&Row> = self.filter(wanted).collect();
        match found[..] {
            [row] => Ok(row),
            [] => Err(self.missing(wanted)),
            _ => {
                let names = varying(&found);
                bail!(
                    "{} has {} rows, which differ in {}; say which",
                    spelled(wanted),
                    found.len(),
                    if names.is_empty() { "nothing".into() } else { names.join(", ") }
                )
            }
        }
    }

    /// No row has `wanted`: which key is at fault, and what it may be.
    fn missing(&self, wanted: &Keys) -> anyhow::Error {
        for (key, value) in wanted {
            let known = self.distinct(key);
            if known.is_empty() {
                let keys: BTreeSet<&str> =
                    self.rows.iter().flat_map(|r| r.keys.keys()).map(String::as_str).collect();
                let keys = keys.into_iter().collect::<Vec<_>>().join(", ");
                return anyhow!("no row has the key `{key}`; keys: {keys}");
            }
            if !known.contains(&value.as_str()) {
                let mut known = known;
                known.sort_by_key(|known| strsim::damerau_levenshtein(known, value));
                return anyhow!("no row has {key} `{value}`; there are {}", known.join(", "));
            }
        }
        anyhow!("no row has {} together", spelled(wanted))
    }

    /// The values of `key`, in the order of their first rows.
    pub fn distinct(&self, key: &str) -> Vec<&str> {
        let mut values: Vec<&str> = vec![];
        for row in &self.rows {
            if let Some(value) = row.keys.get(key)
                && !values.contains(&value.as_str())
            {
                values.push(value);
            }
        }
        values
    }

    /// Tidy CSV: a line for each row, a column for each key and each statistic; empty where a row has
    /// none.
    pub fn csv(&self) -> Result<String> {
        let mut names: Vec<&str> = vec![];
        for key in self.rows.iter().flat_map(|row| row.keys.keys()) {
            if key != QUANTITY && !names.contains(&key.as_str()) {
                names.push(key);
            }
        }
        names.push(QUANTITY);
        let mut csv =
            csv::WriterBuilder::new().terminator(csv::Terminator::CRLF).from_writer(vec![]);
        csv.write_record(names.iter().copied().chain(Number::STATISTICS))?;
        for row in &self.rows {
            let statistic = |name: &&str| row.number.statistic(name);
            let numbers = Number::STATISTICS.iter().map(statistic);
            let numbers = numbers.map(|n| n.map(|n| n.to_string()).unwrap_or_default());
            csv.write_record(names.iter().map(|key| row.key(key).to_owned()).chain(numbers))?;
        }
        let bytes = csv.into_inner().map_err(|error| anyhow!("{error}"))?;
        String::from_utf8(bytes).context("CSV is UTF-8")
    }
}

fn varying<'a>(rows: &[&'a Row]) -> Vec<&'a str> {
    let names: BTreeSet<&str> =
        rows.iter().flat_map(|row| row.keys.keys()).map(String::as_str).collect();
    let differs = |key: &&str| rows.iter().any(|row| row.keys.get(*key) != rows[0].keys.get(*key));
    names.into_iter().filter(|key| *key != QUANTITY).filter(differs).collect()
}

fn spelled(keys: &Keys) -> String {
    let pairs: Vec<String> = keys.iter().map(|(key, value)| format!("{key} `{value}`")).collect();
    if pairs.is_empty() { "no key".into() } else { pairs.join(", ") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys;

    fn table() -> Table {
        let mut table = Table::default();
        for (method, k_in) in [("gxi", 0.5), ("ig", 0.75)] {
            for eps in ["2/255", "8/255"] {
                let of = keys([("method", method), ("eps", eps)]);
                table.push(&of, "k-in", Number::exact(k_in));
            }
        }
        table.push(&keys([("method", "gxi")]), "accuracy", Number::exact(0.875));
        table
    }

    #[test]
    fn one_row_is_found_or_the_error_says_why_not() {
        let table = table();
        let of = keys([("method", "ig"), ("eps", "8/255"), ("quantity", "k-in")]);
        assert_eq!(table.only(&of).unwrap().number.mean, Some(0.75));
        let told = |of| table.only(&of).unwrap_err().to_string();
        assert_eq!(
            told(keys([("method", "ig"), ("quantity", "k-in")])),
            "method `ig`, quantity `k-in` has 2 rows, which differ in eps; say which"
        );
        assert_eq!(
            told(keys([("method", "ig"), ("quantity", "kin")])),
            "no row has quantity `kin`; there are k-in, accuracy"
        );
        assert_eq!(
            told(keys([("model", "a")])),
            "no row has the key `model`; keys: eps, method, quantity"
        );
        assert_eq!(
            told(keys([("method", "ig"), ("quantity", "accuracy")])),
            "no row has method `ig`, quantity `accuracy` together"
        );
    }

    #[test]
    fn csv_is_tidy() {
        let csv = table().csv().unwrap();
        let mut lines = csv.lines();
        assert!(lines.next().unwrap().starts_with("eps,method,quantity,mean,stderr,low,high,"));
        assert!(lines.next().unwrap().starts_with("2/255,gxi,k-in,0.5,,,"));
        assert!(lines.last().unwrap().starts_with(",gxi,accuracy,0.875,,"));
    }

    #[test]
    fn json_is_flat_and_read_again() {
        let table = table();
        let json = serde_json::to_value(&table).unwrap();
        assert_eq!(json[0]["method"], "gxi");
        assert_eq!(json[0]["mean"], 0.5);
        assert_eq!(serde_json::from_value::<Table>(json).unwrap(), table);
    }
}
