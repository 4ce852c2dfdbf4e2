//! Tables as people write them: marks for missing values, decimal commas, comments, row numbers,
//! odd words, and every legal form of the ARFF description.

use anyhow::Result;
use data::{Dataset, Split, load};
use std::{fs, path::Path};
use tch::Kind;
use tempfile::tempdir;

/// A file beside these tests.
fn case(spec: &str) -> Result<Dataset> {
    let kind = if spec.contains(".arff") { "arff" } else { "csv" };
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/tables").join(spec);
    load(&format!("{kind}:{}", path.display()), &Split::Test.into())
}

fn of(kind: &str, text: impl AsRef<[u8]>) -> Result<Dataset> {
    let dir = tempdir().unwrap();
    let path = dir.path().join(format!("t.{kind}"));
    fs::write(&path, text).unwrap();
    load(&format!("{kind}:{},rows=all", path.display()), &Split::Test.into())
}

/// Rows in the units of the file, and labels.
fn rows(set: &Dataset) -> (Vec<Vec<f64>>, Vec<i64>) {
    let features = set.features.clone().unwrap();
    let images = set.images.held().to_kind(Kind::Double).view([set.len() as i64, -1]);
    let row = |i: usize| -> Vec<f64> {
        let scaled = Vec::<f64>::try_from(images.get(i as i64)).unwrap();
        let scale = features.mean.iter().zip(&features.std);
        let raw = scaled.iter().zip(scale).map(|(v, (mean, std))| v * std + mean);
        raw.map(|v| (v * 1e4).round() / 1e4).collect()
    };
    ((0..set.len()).map(row).collect(), Vec::try_from(&set.labels).unwrap())
}

fn noted(set: &Dataset, parts: &[&str]) {
    let notes = set.notes.join("\n");
    for part in parts {
        assert!(notes.contains(part), "`{part}` is not in: {notes}");
    }
}

fn refused(found: Result<Dataset>, parts: &[&str]) {
    let said = format!("{:#}", found.expect_err("refused"));
    for part in parts {
        assert!(said.contains(part) && !said.contains('\n'), "`{part}` is not in: {said}");
    }
}

#[test]
fn the_same_table_in_other_spellings() {
    let plain = rows(&case("columns-plain.csv,rows=all").unwrap());
    assert_eq!(plain.0[0], [0.9417, 2.2068, -3.0680]);
    for (file, notes) in [
        ("semicolon-decimal.csv", &["decimal commas, such as `0,9417` in line 2"][..]),
        ("index.csv", &["the column 1, without a name, numbers the rows"]),
        ("floatlabel.csv", &["the label `0.0` is taken for the class `0`"]),
    ] {
        let set = case(&format!("{file},rows=all")).unwrap();
        assert_eq!(rows(&set), plain, "{file}");
        assert_eq!(set.classes, ["0", "1"], "{file}");
        noted(&set, notes);
    }
    for (file, classes) in [
        ("bom.arff", ["no", "yes"]),
        ("commainquote.arff", ["no, never", "yes"]),
        ("escaped.arff", ["it's no", "yes"]),
    ] {
        let set = case(&format!("{file},rows=all")).unwrap();
        assert_eq!(set.classes, classes);
        let two: Vec<Vec<f64>> = plain.0.iter().map(|row| row[..2].to_vec()).collect();
        assert_eq!(rows(&set), (two[..set.len()].to_vec(), plain.1[..set.len()].to_vec()));
    }
}

#[test]
fn missing_values_by_any_name() {
    let plain = rows(&case("columns-plain.csv,rows=all").unwrap()).0;
    for file in ["dash.csv", "tok-None.csv", "tok-n_a.csv"] {
        let set = case(&format!("{file},rows=all")).unwrap();
        assert_eq!(set.features.as_ref().unwrap().names, ["a", "b", "c"], "{file}");
        let other = rows(&set).0.iter().zip(&plain).filter(|(a, b)| a != b).count();
        assert_eq!(other, 1, "{file}: one cell is the mean");
    }
    let marks =
        ["", "?", "NA", "n/a", "<NA>", "None", "-", "NULL", "nAn", "#N/A", ".", "-inf", "1e999"];
    for mark in marks {
        let set = of("csv", format!("a,b,y\n1,0,u\n{mark},0,v\n4,0,v\n")).unwrap();
        assert_eq!(rows(&set).0.concat(), [1., 0., 2.5, 0., 4., 0.], "`{mark}`");
        let infinite = set.notes.iter().any(|note| note.contains("infinite numbers in the column"));
        assert_eq!(infinite, ["-inf", "1e999"].contains(&mark), "`{mark}`: {:?}", set.notes);
    }
    // Words may be classes; among numbers they are none.
    assert_eq!(of("csv", "a,y\n1,none\n2,-\n3,-\n").unwrap().classes, ["-", "none"]);
    refused(of("csv", "a,y\n1,0\n2,1\n3,None\n"), &["line 4: no value in the label column `y`"]);
}

#[test]
fn a_column_of_numbers_is_never_lost_without_a_word() {
    let set = of("csv", "a,b,w,y\n1,1,x,u\n2,2o,y,v\n3,3,z,v\n").unwrap();
    assert_eq!(set.features.as_ref().unwrap().dropped, ["b", "w"]);
    noted(&set, &["`b` is left out: line 3 has `2o` (2 of 3 cells are numbers)"]);
    assert_eq!(set.notes.len(), 1, "words are no numbers: {:?}", set.notes);
    noted(&of("csv", "a,b,y\n1,5%,u\n2,7%,v\n3,9%,v\n").unwrap(), &["line 2 has `5%` (0 of 3"]);
    refused(of("csv", "b,y\n1,u\n2x,v\n3,v\n"), &["no column besides", "line 3 has `2x`"]);
    refused(of("csv", "a,y\n1e200,u\n-1e200,v\n"), &["the column `a` are too large"]);
    let lacking = of("csv", "a,b,y\n1,-,u\n2,n/a,v\n3,3,v\n4,2,u\n").unwrap();
    noted(&lacking, &["missing values count as the mean of their column: b (2 of 4)"]);
}

#[test]
fn a_first_line_that_is_a_row() {
    let line = "line 1 is a row: `28` stands above numbers, `smith` in other rows";
    refused(case("noheader-words.csv"), &[line, "put a line of names first"]);
    refused(of("csv", "?,1,x\n2,3,y\n4,5,x\n"), &["line 1 is a row"]);
    refused(of("csv", "5,0,0\n1,0,0\n"), &["line 1 holds numbers"]);
    let waves = of("csv", "400,410,class\n1,2,x\n3,4,y\n").unwrap();
    noted(&waves, &["the names of its columns of numbers are numbers: 400, 410"]);
}

#[test]
fn a_measurement_is_no_class() {
    refused(case("reg.csv"), &["`y` has 60 values in 60 rows", "a measurement", "--label-column"]);
    let ids: String = (0..30).map(|i| format!("{i}.5,id{i}\n")).collect();
    refused(of("csv", format!("a,id\n{ids}")), &["30 values in 30 rows, too many for classes"]);
    assert_eq!(of("csv", "a,y\n1,0.5\n2,1.5\n3,0.5\n4,1.5\n").unwrap().classes, ["0.5", "1.5"]);
}

#[test]
fn signs_comments_and_alphabets() {
    let right = (vec![vec![1., 2.], vec![3., 4.5]], vec![0, 1]);
    for (text, note) in [
        ("a|b|y\n1|2|u\n3|4.5|v\n", ""),
        ("sep=;\na;b;y\n1;2;u\n3;4.5;v\n", ""),
        (
            "# made by hand, in a hurry, twice, ok\na,b,y\n1,2,u\n# a thought\n3,4.5,v\n",
            "1 comment",
        ),
        ("#a,b,y\n1,2,u\n3,4.5,v\n", "begins with `#` and is taken for the names"),
        ("a,b,y,\n1,2,u,\n3,4.5,v,\n,,,\n", "the column 4, without a name, is empty"),
        ("\"\",a,b,y\nr1,1,2,u\nr2,3,4.5,v\n", "numbers the rows"),
        ("\u{feff}a,b,y\r\n1,2,u\r\n3,4.5,v\r\n", ""),
        ("a,b,y\r1,2,u\r3,4.5,v\r", ""),
    ] {
        let set = of("csv", text).unwrap();
        assert_eq!(rows(&set), right, "{text}");
        assert_eq!(set.features.as_ref().unwrap().names, ["a", "b"], "{text}");
        noted(&set, &[note]);
        assert_eq!(set.notes.is_empty(), note.is_empty(), "{text}: {:?}", set.notes);
    }
    let latin = of("csv", b"gr\xf6\xdfe,b,y\n1,2,u\n3,4.5,v\n").unwrap();
    assert_eq!(latin.features.as_ref().unwrap().names, ["größe", "b"]);
    noted(&latin, &["not UTF-8 text (line 1): it is read as Latin-1"]);
    let wide: Vec<u8> =
        "\u{feff}a,b,y\n1,2,u\n3,4.5,v\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
    assert_eq!(rows(&of("csv", wide).unwrap()), right);
    refused(of("csv", "a;y\n1,500;u\n2,300;v\n"), &["`1,500` may be 1.500 or 1500"]);
    refused(of("csv", "a,b,y\n1,2,u\n#3,4\n5,6\n"), &["line 4 has 2 cells"]);
    refused(of("csv", b"a,\0b\n1,2\n"), &["bytes of value 0"]);
}

#[test]
fn every_legal_arff() {
    let text = "\
        % made by hand\n\
        @RELATION 'two words'\n\
        @attribute 'it\\'s a'\tNUMERIC\n\
        @Attribute \"b, c\" real % a comment\n\
        @attribute word{x,'y z', \"q}\"}\n\
        @attribute note string\n\
        @attribute class {'no, never', yes}\n\
        @DATA\n\
        1, 2, x, 'a, b', yes\n\
        3\t4.5 'y z' - 'no, never'\n\
        ?, 2, 'q}', 'it\\'s', yes, {5}\n\
        {1 7, 4 yes}\n\
        {0 2, 2 'y z', 3 'a b'}, {0.5}\n\
        \n";
    let set = of("arff", text).unwrap();
    assert_eq!(set.features.as_ref().unwrap().names, ["it's a", "b, c"]);
    assert_eq!(set.classes, ["no, never", "yes"]);
    let (values, labels) = rows(&set);
    assert_eq!(values, [[1., 2.], [3., 4.5], [1.5, 2.], [0., 7.], [2., 0.]]);
    assert_eq!(labels, [1, 0, 1, 1, 0], "what a sparse row leaves out is the first word");
    noted(&set, &["the weights of 2 rows are not used"]);
    let head = "@attribute a numeric\n@attribute y {u,v}\n@data\n1,u\n";
    for (row, told) in [
        ("{0 1, 0 2}", "the column 0 stands there twice"),
        ("{0 1", "a brace is not closed"),
        ("{x 1}", "`x 1` is not a column's number"),
        ("1,u,{5},2", "it has 4 cells"),
        ("1,'u", "a quote is not closed"),
    ] {
        refused(of("arff", format!("{head}{row}\n")), &["line 5", told]);
    }
    refused(of("arff", format!("@attribute a real\n{head}")), &["two columns are named `a`"]);
}

/// Few bytes may not ask for much memory.
#[test]
fn a_sparse_table_has_room_in_memory() {
    let columns: String = (0..2000).map(|i| format!("@attribute c{i} numeric\n")).collect();
    let text = format!("{columns}@data\n{}", "{}\n".repeat(2200));
    refused(of("arff", text), &["have more than 4194304 cells, most of them left out"]);
}
