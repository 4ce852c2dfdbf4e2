//! Tables: what is read of them, how it is scaled and split, and every way they can be broken.

use anyhow::Result;
use data::{Dataset, Features, Options, Split, load};
use std::{fs, path::Path};
use tch::{Kind, Tensor};
use tempfile::tempdir;

const ARFF: &str = "\
% a comment
@relation 'firms, one year'
@attribute Attr1 numeric
@ATTRIBUTE 'net profit' REAL
@attribute branch {mine, 'shop floor'}
@attribute class {0,1}

@data
1.5, -2, mine, 0
% another
?, 4, 'shop floor', 1
2.5, 1e1, mine, 0
";

fn of(kind: &str, text: &str, settings: &str, options: &Options) -> Result<Dataset> {
    let dir = tempdir().unwrap();
    let path = dir.path().join(format!("t.{kind}"));
    fs::write(&path, text).unwrap();
    load(&format!("{kind}:{}{settings}", path.display()), options)
}

/// `n` rows: 10 i, a word, i² or nothing in every seventh row, and whether i is odd.
fn csv(n: usize) -> String {
    let line = |i: usize| {
        let square = if i % 7 == 3 { String::new() } else { (i * i).to_string() };
        format!("{},w{},{square},{}\n", 10 * i, i % 3, if i % 2 == 1 { "TRUE" } else { "FALSE" })
    };
    format!("tens,word,squares,odd\n{}", (0..n).map(line).collect::<String>())
}

fn names(set: &Dataset) -> (Vec<String>, Vec<String>) {
    let Features { names, dropped, .. } = set.features.clone().unwrap();
    (names, dropped)
}

fn f64s(t: &Tensor) -> Vec<f64> {
    Vec::try_from(t.to_kind(Kind::Double).flatten(0, -1)).unwrap()
}

#[test]
fn columns_are_scaled_by_the_rows_for_training_and_missing_values_are_their_mean() {
    let [train, test] =
        [Split::Train, Split::Test].map(|s| of("csv", &csv(40), "", &s.into()).unwrap());
    assert_eq!((train.len(), test.len(), train.image_shape()), (32, 8, [2, 1, 1]));
    assert_eq!(train.classes, ["FALSE", "TRUE"]);
    assert_eq!(names(&train), (vec!["tens".into(), "squares".into()], vec!["word".into()]));
    for column in 0..2 {
        let values = train.images.held().select(1, column).to_kind(Kind::Double);
        let present: Vec<f64> = f64s(&values).into_iter().filter(|v| *v != 0.).collect();
        let n = present.len() as f64;
        let mean = present.iter().sum::<f64>() / n;
        let variance = present.iter().map(|v| v * v).sum::<f64>() / n;
        assert!(mean.abs() < 1e-6 && (variance - 1.).abs() < 1e-6, "{mean} {variance}");
        assert_eq!(present.len() < 32, column == 1, "missing values are the mean, which is 0");
    }
    // Undone, the scaling gives every row once, each with its own label.
    let tens = |set: &Dataset| f64s(&set.images.held().select(1, 0));
    let all: Vec<f64> = tens(&train).into_iter().chain(tens(&test)).collect();
    let (min, max) = all.iter().fold((f64::MAX, f64::MIN), |(a, b), v| (a.min(*v), b.max(*v)));
    let mut rows: Vec<i64> =
        all.iter().map(|v| (39. * (v - min) / (max - min)).round() as i64).collect();
    let labels = Tensor::cat(&[&train.labels, &test.labels], 0);
    for (row, label) in rows.iter().zip(Vec::<i64>::try_from(labels).unwrap()) {
        assert_eq!(row % 2, label);
    }
    rows.sort_unstable();
    assert_eq!(rows, (0..40).collect::<Vec<_>>());
}

#[test]
fn the_split_depends_on_its_seed_alone() {
    let first = |settings: &str| of("csv", &csv(40), settings, &Split::Test.into()).unwrap();
    assert_eq!(first("").images.held(), first(",split=0").images.held());
    assert!(f64s(first("").images.held()) != f64s(first(",split=1").images.held()));
    assert!(first(",split=1").name.ends_with("t.csv,split=1"), "{}", first(",split=1").name);
}

#[test]
fn columns_can_be_chosen_and_so_can_the_label() {
    let options: Options = Split::Train.into();
    let complete = of("csv", &csv(40), ",columns=complete", &options).unwrap();
    assert_eq!(names(&complete), (vec!["tens".into()], vec!["word".into(), "squares".into()]));
    let named = of("csv", &csv(40), ",split=2,columns=squares+tens", &options).unwrap();
    assert_eq!(names(&named).0, ["squares", "tens"]);
    let options = Options { label_column: Some("word".into()), ..options };
    let words = of("csv", &csv(40), "", &options).unwrap();
    assert_eq!(words.classes, ["w0", "w1", "w2"]);
    assert_eq!(names(&words).1, ["odd"]);
}

#[test]
fn columns_may_be_named_like_numbers_and_files_may_have_commas() {
    let of = |options: &str| {
        let dir = tempdir().unwrap();
        let path = dir.path().join("a,split=b.csv");
        fs::write(&path, "400,1.50,true,y\n1,2,3,u\n4,5,6,v\n").unwrap();
        load(&format!("{}{options}", path.display()), &Split::Train.into())
    };
    for (name, found) in [("400", "400"), ("1.50", "1.50"), ("true", "true"), ("\"400\"", "400")] {
        let set = of(&format!(",rows=all,columns={name}")).unwrap();
        assert_eq!(names(&set).0, [found], "`{name}`");
    }
    assert_eq!(of("").unwrap().name, "csv:a,split=b.csv,split=0");
    let told = format!("{:#}", of(",split=0,rows=all").unwrap_err());
    assert!(told.contains("`rows=all` and `split=` do not fit each other"), "{told}");
    let told = format!("{:#}", load("csv:nowhere.csv,split=1", &Split::Train.into()).unwrap_err());
    assert_eq!(told, "no such file or folder: `nowhere.csv`");
}

#[test]
fn signs_between_cells_and_numbers_as_labels() {
    let text = "\u{feff}\"a;b\";c;class\n1,5;2;10\r\n\r\n1.5;2;9\n2;3;10\n4;5;9\n";
    let set = of("csv", text, "", &Split::Train.into()).unwrap();
    assert_eq!(names(&set), (vec!["c".into()], vec!["a;b".into()]), "1,5 is no number");
    assert_eq!(set.classes, ["9", "10"], "sorted by value");
    let tabs = of("csv", "a\tb\n1\tx\n2\ty\n", "", &Split::Train.into()).unwrap();
    assert_eq!((tabs.len(), tabs.classes.len()), (1, 2));
    assert_eq!(f64s(tabs.images.held()), [0.], "one value alone becomes 0");
}

#[test]
fn arff_declares_its_columns() {
    let set = of("arff", ARFF, "", &Split::Train.into()).unwrap();
    assert_eq!(names(&set), (vec!["Attr1".into(), "net profit".into()], vec!["branch".into()]));
    assert_eq!(set.classes, ["0", "1"]);
    let branch = Options { label_column: Some("branch".into()), ..Split::Train.into() };
    let set = of("arff", ARFF, "", &branch).unwrap();
    assert_eq!(set.classes, ["mine", "shop floor"]);
}

#[test]
fn a_table_is_saved_and_read_again() {
    let dir = tempdir().unwrap();
    let path = dir.path().join("t.safetensors");
    let set = of("csv", &csv(40), "", &Split::Test.into()).unwrap();
    set.save_tensors(&path).unwrap();
    let again = load(&path.display().to_string(), &Split::Train.into()).unwrap();
    assert_eq!(
        (again.images.held(), again.labels, again.name),
        (set.images.held(), set.labels, set.name)
    );
    assert_eq!(names_of(&path), ["tens", "squares"]);
}

fn names_of(path: &Path) -> Vec<String> {
    load(&path.display().to_string(), &Split::Test.into()).unwrap().features.unwrap().names
}

#[test]
fn broken_tables_are_refused_with_the_line() {
    let options: Options = Split::Train.into();
    let label = |name: &str| Options { label_column: Some(name.into()), ..Split::Train.into() };
    for (kind, text, settings, options, told) in [
        ("csv", "a,b\n1,x\n2\n", "", &options, "line 3 has 1 cell, where there are 2 columns"),
        ("csv", "a,a\n1,x\n", "", &options, "two columns are named `a`"),
        ("csv", "a,\n1,x\n", "", &options, "the column 2 has no name"),
        ("csv", "1,2\n3,4\n", "", &options, "it must name the columns"),
        ("csv", "a,b\n1,x\n", "", &options, "it has 1 row;"),
        ("csv", "a,b\n1,x\n2,\n", "", &options, "line 3: no value in the label column `b`"),
        ("csv", "a,b\n1,x\n2,x\n", "", &options, "has one value alone"),
        ("csv", "a,b\nx,0\ny,1\n", "", &options, "no column besides the label holds numbers"),
        ("csv", "a,b\n1,0\n2,1\n", ",columns=c", &options, "no column `c`; columns: a, b"),
        ("csv", "a,b\n1,0\n2,1\n", ",columns=b", &options, "is the label"),
        ("csv", "a,b\nx,0\n2,1\n", ",columns=a", &options, "holds no numbers: line 2 has `x`"),
        ("csv", "a,b\n1,0\n2,1\n", ",split=x", &options, "string \"x\", expected u64 in `split`"),
        ("csv", "a,b\n1,0\n2,1\n", ",column=a", &options, "unknown field `column`, expected"),
        ("csv", "a,b\n1,0\n2,1\n", ",split=1,seed=2", &options, "unknown field `seed`, expected"),
        ("csv", "a,b\n1,0\n2,1\n", "", &label("c"), "`--label-column c`: no column `c`"),
        ("arff", "@relation r\n@attribute a numeric\n", "", &options, "no line `@data`"),
        ("arff", "@attribute a\n@data\n", "", &options, "line 1: `@attribute a` has no type"),
        ("arff", "@attribute a words\n", "", &options, "`words` is none of numeric"),
        ("arff", "@relation r\nx,1\n@data\n", "", &options, "line 2: `x,1` is none of"),
        ("arff", &ARFF.replace("1.5, -2, mine, 0", "{9 1}"), "", &options, "columns are 0 to 3"),
        ("arff", &ARFF.replace("mine, 0", "'mine, 0"), "", &options, "line 9: a quote is not"),
        ("arff", &ARFF.replace("mine, 0", "mine, 2"), "", &options, "line 9: `2` is not a value"),
        (
            "arff",
            &ARFF.replace(", -2", ""),
            "",
            &options,
            "line 9: it has 3 cells, where there are 4",
        ),
    ] {
        let message = format!("{:#}", of(kind, text, settings, options).unwrap_err());
        assert!(message.contains(told) && !message.contains('\n'), "`{told}` is not in: {message}");
    }
    let many: String = (0..1500).map(|i| format!("1,{i}.5\n")).collect();
    let message = format!("{:#}", of("csv", &format!("a,b\n{many}"), "", &options).unwrap_err());
    assert!(message.contains("1500 values, more than 1000"), "{message}");
    let message = format!("{:#}", load("shapes", &label("a")).unwrap_err());
    assert!(message.contains("is for csv, arff and parquet, not shapes"), "{message}");
}

#[test]
fn simulated_points_are_two_gaussians() {
    let load = |spec: &str, split: Split| load(spec, &split.into()).unwrap();
    let set = load("simulated:points=50000", Split::Train);
    assert_eq!((set.len(), set.image_shape()), (40_000, [2, 1, 1]));
    let points = set.images.held().squeeze().to_kind(Kind::Double);
    for class in 0..2i64 {
        let index = set.labels.eq(class).nonzero().squeeze();
        let part = points.index_select(0, &index);
        assert!((part.size()[0] - 20_000).abs() < 500);
        let centre = part.mean_dim([0i64].as_slice(), false, Kind::Double);
        let off = (&centre - (2. * class as f64 - 1.)).abs().max().double_value(&[]);
        let apart = &part - &centre;
        let covariance = apart.tr().matmul(&apart) / part.size()[0] as f64;
        let eye = Tensor::eye(2, (Kind::Double, tch::Device::Cpu));
        let bent = (covariance - eye).abs().max().double_value(&[]);
        assert!(off < 0.03 && bent < 0.04, "{off} {bent}");
    }
    // The best rule, the sign of the sum, is right as often as theory has it.
    let right = |set: &Dataset| {
        let sum = set.images.held().sum_dim_intlist([1i64, 2, 3].as_slice(), false, Kind::Double);
        sum.gt(0.)
            .to_kind(Kind::Int64)
            .eq_tensor(&set.labels)
            .to_kind(Kind::Double)
            .mean(Kind::Double)
            .double_value(&[])
    };
    assert!((right(&set) - 0.9214).abs() < 0.005, "{}", right(&set));
    assert!((right(&load("simulated:points=50000,mean=1.82", Split::Train)) - 0.995).abs() < 0.002);
    let (a, b) = (load("simulated", Split::Test), load("simulated:seed=1", Split::Test));
    assert_eq!((a.len(), f64s(a.images.held()) == f64s(b.images.held())), (200, false));
}
