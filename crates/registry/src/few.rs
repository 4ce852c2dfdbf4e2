//! Members of a registry, with few samples: for tests that call each of them often.

use crate::Entry;
use toml::{Table, Value};

/// Every member of `entries` by its name. Those that average or iterate do so with three points,
/// samples, steps, which is enough to be wrong; `more` are words of options for those that have
/// them. Panics if a member cannot be built.
pub fn few<T: ?Sized>(
    entries: &'static [Entry<T>],
    more: &[(&str, &str)],
) -> Vec<(&'static str, Box<T>)> {
    let numbers = ["points", "samples", "steps"].map(|name| (name, Value::Integer(3)));
    let words = more.iter().map(|&(name, word)| (name, Value::String(word.into())));
    let options: Vec<(&str, Value)> = numbers.into_iter().chain(words).collect();
    let built = |m: &Entry<T>| {
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
    entries.iter().map(|m| (m.name, built(m).expect(m.name))).collect()
}
