//! Tables for a network that knows its columns: found by name, scaled as in its training.

use anyhow::Result;
use data::{Dataset, Features, Options, Split, load};
use std::{fs, path::Path};
use tch::{Kind, Tensor};

fn case(spec: &str, split: Split, features: Option<Features>) -> Result<Dataset> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/tables").join(spec);
    load(&format!("csv:{}", path.display()), &Options { features, ..split.into() })
}

/// What weights trained on the plain table carry, through their header.
fn trained() -> Features {
    let set = case("columns-plain.csv", Split::Train, None).unwrap();
    let header = set.features.unwrap().to_header();
    Features::from_header(&header).unwrap().unwrap()
}

fn of(text: &str, settings: &str) -> Result<Dataset> {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("t.csv"), text).unwrap();
    let spec = format!("csv:{}/t.csv{settings}", dir.path().display());
    load(&spec, &Options { features: Some(trained()), ..Split::Test.into() })
}

/// The first 35 rows of the plain table, its columns in this order and with these names.
fn cut(columns: &[(usize, &str)]) -> String {
    let plain = include_str!("../../tables/columns-plain.csv");
    let line = |cells: Vec<String>| cells.join(",") + "\n";
    let names = line(columns.iter().map(|(_, name)| (*name).to_owned()).collect());
    let row = |row: &str| {
        let cells: Vec<&str> = row.split(',').collect();
        line(columns.iter().map(|(c, _)| cells.get(*c).unwrap_or(&"7").to_string()).collect())
    };
    names + &plain.lines().skip(1).take(35).map(row).collect::<String>()
}

fn refused(found: Result<Dataset>, parts: &[&str]) {
    let said = format!("{:#}", found.expect_err("refused"));
    parts.iter().for_each(|part| assert!(said.contains(part), "`{part}` is not in: {said}"));
}

fn noted(set: &Dataset, part: &str) {
    assert!(set.notes.iter().any(|note| note.contains(part)), "`{part}` not in {:?}", set.notes);
}

#[test]
fn a_cut_and_shuffled_table_has_the_same_rows() {
    let whole = case("columns-plain.csv,rows=all", Split::Test, Some(trained())).unwrap();
    noted(
        &whole,
        "every row is taken, 60 in all, those that the network was trained on among them",
    );
    let first = whole.slice(0, Some(35)).unwrap();
    let shuffled = [(2, "c"), (3, "y"), (9, "more"), (1, " B"), (0, "a")];
    for columns in [&[(0, "a"), (1, "b"), (2, "c"), (3, "y")][..], &shuffled] {
        let set = of(&cut(columns), "").unwrap();
        assert_eq!(set.images.held(), first.images.held(), "{columns:?}");
        assert_eq!((&set.labels, &set.classes), (&first.labels, &first.classes));
        assert!(set.whole, "it has no rows for training");
        noted(&set, "every row is taken, 35 in all: the network was trained on another table");
    }
    let set = of(&cut(&shuffled), "").unwrap();
    noted(&set, "columns that the network was not trained on are left out: more");
    noted(&set, "the column `B` is taken for `b`");
    assert_eq!(of(&cut(&shuffled), ",rows=split").unwrap().len(), 7);
    // One row, one class, nothing known: the mean of the training.
    let set = of("y,c,b,a\n1,?,,NA\n", "").unwrap();
    assert_eq!(set.images.held(), &Tensor::zeros([1, 3, 1, 1], (Kind::Float, tch::Device::Cpu)));
}

#[test]
fn the_table_of_the_training_is_known_in_any_order_of_columns() {
    let plain = case("columns-plain.csv", Split::Test, None).unwrap();
    for file in ["columns-plain.csv", "columns-rotated.csv", "semicolon-decimal.csv", "index.csv"] {
        let set = case(file, Split::Test, Some(trained())).unwrap();
        assert_eq!(
            (set.images.held(), &set.labels),
            (plain.images.held(), &plain.labels),
            "{file}"
        );
    }
    let other = case("columns-plain.csv,split=1", Split::Test, Some(trained()));
    refused(other, &["trained on the rows that `split=0` leaves", "`split=1`"]);
}

#[test]
fn what_does_not_fit_is_refused_with_both_lists() {
    let other = case("columns-othercols.csv", Split::Test, Some(trained()));
    refused(other, &["no column `a`", "takes 3: a, b, c", "there are 3: p, q, r"]);
    let label = of(&cut(&[(3, "z"), (0, "a"), (1, "b"), (2, "c")]), "");
    refused(label, &["no column `y`, which held the class", "--label-column"]);
    let set = of(&cut(&[(0, "a"), (1, "b"), (2, "c"), (3, "z")]), "").unwrap();
    noted(&set, "the class is taken from `z`, as no column is `y`");
    refused(of("a,b,c,y\n1,2x,3,0\n", ""), &["takes `b` as numbers: line 2 has `2x`"]);
    refused(
        of(&cut(&[(0, "a"), (1, "b"), (2, "c"), (3, "y")]), ",columns=a+b"),
        &["leaves out `c`"],
    );
    refused(
        of("a,b,c,y\n1,2,3,0\n", ",rows=some"),
        &["unknown variant `some`, expected `all` or `split` in `rows`"],
    );
}

#[test]
fn tensor_files_carry_the_scale() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("t.safetensors");
    let own = case("columns-deploy.csv,rows=all", Split::Test, None).unwrap();
    own.save_tensors(&path).unwrap();
    let options = Options { features: Some(trained()), ..Split::Test.into() };
    let again = load(&path.display().to_string(), &options).unwrap();
    let right = case("columns-deploy.csv,rows=all", Split::Test, Some(trained())).unwrap();
    let off = (again.images.held() - right.images.held()).abs().max().double_value(&[]);
    assert!(off < 1e-5, "{off}");
    let plain = case("columns-rotated.csv", Split::Test, None).unwrap();
    assert_eq!(plain.features.unwrap().names, ["c", "a", "b"]);
}

#[test]
fn headers_that_do_not_hang_together() {
    let mut header = trained().to_header();
    header.insert("feature_std".into(), "[1,2]".into());
    let said = format!("{:#}", Features::from_header(&header).unwrap_err());
    assert!(said.contains("`feature_std` has 2 numbers for 3 columns"), "{said}");
    header.insert("feature_std".into(), "[1,0,1]".into());
    assert!(Features::from_header(&header).is_err());
    header.remove("feature_std");
    assert!(Features::from_header(&header).is_err());
    header.insert("features".into(), "a, b".into());
    header.retain(|key, _| key == "features");
    let old = Features::from_header(&header).unwrap().unwrap();
    assert_eq!((old.names.len(), old.mean.len()), (2, 0));
    assert_eq!(Features::from_header(&[].into()).unwrap(), None);
}
