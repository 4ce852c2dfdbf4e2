//! What listings and `explain` print is that of `tests/snapshots/printed`. The tables of other commands
//! are held to snapshots beside the functions that write them, on results that are committed.

use crate::docs::{gradproof, root};
use std::fs;
use tempfile::tempdir;
use testkit::snapshot::assert_file;

fn assert_printed(name: &str, text: &str) {
    assert_file(&root().join(format!("tests/snapshots/printed/{name}.txt")), text);
}

#[test]
fn listings_are_the_snapshots() {
    assert_printed("list", &gradproof(&["list"]));
    assert_printed("models", &gradproof(&["models"]));
}

#[test]
fn the_list_of_tables_and_figures_is_the_snapshot() {
    let files = fs::read_dir(root().join("experiments")).unwrap();
    let files = files.map(|entry| entry.unwrap().path().display().to_string());
    let files: Vec<_> = files.filter(|path| path.ends_with(".toml")).collect();
    let runs = tempdir().unwrap();
    let list = ["run", "--list", "--out", runs.path().to_str().unwrap()];
    let files = files.iter().map(String::as_str);
    assert_printed("run-list", &gradproof(&list.into_iter().chain(files).collect::<Vec<_>>()));
}

/// Digits of measured numbers, which depend on the kind of CPU, as `#`.
fn masked(text: &str) -> String {
    let digits = |word: &str| word.replace(|c: char| c.is_ascii_digit(), "#");
    let mask = |word: &str| match word.trim_end_matches(',').parse::<f64>() {
        Ok(number) if number.fract() != 0. => digits(word),
        _ => word.to_owned(),
    };
    text.split(' ').map(mask).collect::<Vec<_>>().join(" ")
}

#[test]
fn what_explain_prints_is_the_snapshot() {
    let folder = tempdir().unwrap();
    let at = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    fs::copy(root().join("fuzz/corpus/cifar-binary/two.bin"), at("test_batch.bin")).unwrap();
    let text = gradproof(&[
        "explain",
        "--quiet",
        "--weights",
        root().join("weights/resnet20-cifar10-natural.safetensors").to_str().unwrap(),
        "--data",
        &format!("cifar10:{}", at("test_batch.bin")),
        "--method",
        "ig:points=4,smoothgrad:samples=2",
        "--out",
        &at("maps.safetensors"),
        "--figure",
        &at("maps.png"),
    ]);
    assert_printed("explain", &masked(&text).replace(&at(""), ""));
}
