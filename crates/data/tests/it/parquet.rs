//! Parquet files as Hugging Face's `datasets` writes them (tests/reference/parquet.py), and what is wrong with
//! others.

use anyhow::Result;
use data::{Dataset, Options, Split, load};
use std::{fs, path::PathBuf};
use tempfile::tempdir;

fn at(name: &str) -> String {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/parquet").join(name);
    path.display().to_string()
}

fn read(spec: &str, split: Split) -> Result<Dataset> {
    load(spec, &split.into())
}

fn refused(spec: &str, options: &Options) -> String {
    let message = format!("{:#}", load(spec, options).unwrap_err());
    assert!(!message.contains('\n'), "{message}");
    message
}

/// Row i of the generator: its first plane is 10 i, the others are places.
fn is_row(set: &Dataset, place: i64, row: i64) {
    let pixels = set.images.held();
    let at = |channel: i64, y: i64, x: i64| pixels.int64_value(&[place, channel, y, x]);
    assert_eq!([at(0, 2, 5), at(1, 2, 5), at(2, 2, 5)], [10 * row, 5, 2], "row {row}");
}

#[test]
fn parts_pictures_and_names_are_those_of_the_files() {
    for spec in [at("named"), format!("parquet:{}", at("named")), at("named/data")] {
        let train = read(&spec, Split::Train).unwrap();
        assert_eq!(train.image_shape(), [3, 8, 8], "{spec}");
        assert_eq!(train.classes, ["cat", "dog", "ship"]);
        assert_eq!(Vec::<i64>::try_from(&train.labels).unwrap(), [0, 1, 2, 0, 1]);
        (0..5).for_each(|row| is_row(&train, row, row));
        assert!(train.named && train.labelled && !train.whole);
        let test = read(&spec, Split::Test).unwrap();
        assert_eq!(Vec::<i64>::try_from(&test.labels).unwrap(), [1, 2]);
        is_row(&test, 1, 8);
    }
    // A file alone is all there is.
    let alone = read(&at("named/data/test-00000-of-00001.parquet"), Split::Train).unwrap();
    assert!(alone.whole && alone.len() == 2);
}

#[test]
fn a_column_of_several_is_named() {
    let spec = at("two.parquet");
    let told = refused(&spec, &Split::Test.into());
    assert!(told.contains("fine_label, coarse_label; name one with `--label-column`"), "{told}");
    let asked = |column: &str| Options { label_column: Some(column.into()), ..Split::Test.into() };
    let set = load(&spec, &asked("coarse_label")).unwrap();
    assert_eq!(set.classes, ["animal", "thing"]);
    assert_eq!(Vec::<i64>::try_from(&set.labels).unwrap(), [0, 1]);
    assert!(set.notes.iter().any(|note| note == "2 columns passed over: fine_label, id"));
    // Numbers without names.
    let ids = load(&spec, &asked("id")).unwrap();
    assert!(!ids.named && ids.classes.len() == 7);
    let told = refused(&spec, &asked("colour"));
    assert!(told.contains("no column `colour` of classes; it has img, fine_label"), "{told}");
}

#[test]
fn words_are_classes_and_unknown_labels_are_none() {
    let words = read(&at("words.parquet"), Split::Test).unwrap();
    assert_eq!(words.classes, ["a", "b", "c"]);
    assert_eq!(Vec::<i64>::try_from(&words.labels).unwrap(), [1, 0, 1, 2, 0]);
    (0..5).for_each(|row| is_row(&words, row, row));
    let untold = read(&at("untold.parquet"), Split::Test).unwrap();
    assert!(!untold.labelled && untold.len() == 2);
}

#[test]
fn what_is_wrong_is_named() {
    let test = Options::from(Split::Test);
    for (name, part) in [
        ("no-picture.parquet", "no column holds pictures; it has label"),
        ("elsewhere.parquet", "row 1: its picture is not in the file but at `there/2.png`"),
        ("undecodable.parquet", "undecodable.parquet, row 0` as an image"),
    ] {
        let told = refused(&at(name), &test);
        assert!(told.contains(part), "{name}: {told}");
    }
    let little = Options { memory: 100, ..Split::Train.into() };
    let told = refused(&at("named"), &little);
    assert!(told.contains("take more than 0 MB of memory (`--memory`)"), "{told}");
    let dir = tempdir().unwrap();
    let place = |name: &str| dir.path().join(name).display().to_string();
    // Files of several sets, and of no part that is asked for.
    for set in ["one", "other"] {
        fs::create_dir_all(place(set)).unwrap();
        fs::copy(at("words.parquet"), place(&format!("{set}/train-0.parquet"))).unwrap();
    }
    let told = refused(&format!("parquet:{}", place("")), &Split::Train.into());
    assert!(told.contains("holds several sets: "), "{told}");
    let told = refused(&place("one"), &test);
    assert!(told.contains("has no part for testing"), "{told}");
    // Cut off and overwritten.
    let bytes = fs::read(at("words.parquet")).unwrap();
    for (name, bytes) in [
        ("cut.parquet", &bytes[..bytes.len() / 2]),
        ("short.parquet", &b"PAR1"[..]),
        ("zeros.parquet", &[bytes[..4].to_vec(), vec![0; 400], bytes[404..].to_vec()].concat()),
    ] {
        fs::write(place(name), bytes).unwrap();
        let told = refused(&place(name), &test);
        assert!(told.contains(&format!("{name}`")), "{told}");
    }
}
