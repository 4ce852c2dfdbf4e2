//! docs/coverage.md: what of the papers is here, held against the files it names.

use crate::docs::root;
use std::{collections::BTreeMap, fs};

const STATES: [&str; 3] = ["present", "partly", "missing"];

/// The cells of the table lines of a text.
fn cells(text: &str) -> impl Iterator<Item = Vec<&str>> {
    let lines = text.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| kind"));
    lines.map(|line| line.trim_matches('|').split(" | ").map(str::trim).collect())
}

/// How many things a row is: `(3 items)`, else one.
fn items(what: &str) -> usize {
    let count = |text: &str| text.split(" items)").next()?.rsplit('(').next()?.parse().ok();
    if what.ends_with(" items)") { count(what).unwrap() } else { 1 }
}

#[test]
fn every_row_says_where_and_the_sums_are_those_of_the_rows() {
    let text = fs::read_to_string(root().join("docs/coverage.md")).unwrap();
    let mut parts = text.split("\n## ");
    let sums: BTreeMap<&str, Vec<usize>> = cells(parts.next().unwrap())
        .filter(|cells| cells[0] != "paper")
        .map(|cells| {
            let numbers = cells[1..].iter().map(|n| n.trim_matches('*').parse().unwrap());
            (cells[0].trim_matches('*'), numbers.collect())
        })
        .collect();
    let mut all = [0; 4];
    for part in parts {
        let (name, table) = part.split_once('\n').unwrap();
        let mut found = [0; 4];
        for row in cells(table).filter(|row| row[2] != "state") {
            let [_, what, state, place] = row[..] else { panic!("{row:?}: not four cells") };
            let at = STATES.iter().position(|known| *known == state);
            let at = at.unwrap_or_else(|| panic!("{what}: `{state}` is no state"));
            assert!(!place.is_empty(), "{what}: where, or why not?");
            assert!(at == 2 || place.contains('`'), "{what}: no file is named");
            found[at] += items(what);
            found[3] += items(what);
        }
        if let Some(sums) = sums.get(name) {
            assert_eq!(sums[..], found, "{name}: the sums are not those of its rows");
            all.iter_mut().zip(found).for_each(|(sum, count)| *sum += count);
        }
    }
    assert_eq!(sums["all"][..], all);
    assert_eq!(sums.len(), 6, "five papers and all of them");
}

/// An experiment is said to have a page where it has one, and not to be run where it has none.
#[test]
fn what_was_not_run_says_so() {
    let text = fs::read_to_string(root().join("docs/coverage.md")).unwrap();
    let index = fs::read_to_string(root().join("docs/results/README.md")).unwrap();
    for line in text.lines().filter(|line| line.contains("not run")) {
        let names = line.split('`').filter_map(|span| span.strip_prefix("experiments/"));
        for name in names.filter_map(|name| name.strip_suffix(".toml")) {
            let paged = index.lines().find(|line| line.starts_with(&format!("| {name} |")));
            let paged = paged.is_some_and(|line| line.contains("[page]"));
            assert!(!paged, "{name} has a page, and docs/coverage.md says that it was not run");
        }
    }
}
