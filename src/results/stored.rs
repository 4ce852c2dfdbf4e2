//! Small committed results, and what is printed of them.

use super::Record;
use std::{fs, path::Path};
use testkit::snapshot::assert_file;

/// Asserts that `print` makes `tests/snapshots/printed/NAME.txt` of `tests/data/results/rows/NAME.json`.
pub fn assert_printed(name: &str, print: impl Fn(&Record) -> String) {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    let stored = fs::read(tests.join(format!("data/results/rows/{name}.json"))).unwrap();
    let record = serde_json::from_slice(&stored).unwrap();
    assert_file(&tests.join(format!("snapshots/printed/{name}.txt")), &(print(&record) + "\n"));
}
