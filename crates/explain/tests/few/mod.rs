//! Every method of the registry, small enough for tests that call each of them very often.

use explain::{Attribution, METHODS};
use registry::Entry;
use toml::{Table, Value};

/// Every method; those that average or iterate with three points, samples, steps: enough to be
/// wrong. `more` are options for those that have them.
pub(crate) fn few(more: &[(&str, &str)]) -> Vec<(&'static str, Box<dyn Attribution>)> {
    let numbers = ["points", "samples", "steps"].map(|name| (name, Value::Integer(3)));
    let words = more.iter().map(|&(name, word)| (name, Value::String(word.into())));
    let options: Vec<(&str, Value)> = numbers.into_iter().chain(words).collect();
    let built = |m: &Entry<dyn Attribution>| {
        let mut table = Table::new();
        for (name, value) in &options {
            let mut asked = table.clone();
            asked.insert((*name).to_owned(), value.clone());
            if (m.build)(asked.clone()).is_ok() {
                table = asked;
            }
        }
        (m.build)(table)
    };
    METHODS.iter().map(|m| (m.name, built(m).unwrap())).collect()
}
