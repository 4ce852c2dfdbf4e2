//! Pages and tables of small committed results are those of `tests/snapshots`; results in an old form
//! give the same page.

use crate::docs::root;
use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
};
use testkit::snapshot::assert_file;

/// The forms of results that are read, the newest first.
const FORMS: [&str; 3] = ["rows", "both", "typed"];

/// The page and the CSV of what lies in `folder`, seen from there.
fn report(folder: &Path) -> (String, String) {
    let out = tempfile::tempdir().unwrap();
    let mut program = Command::new(env!("CARGO_BIN_EXE_gradproof"));
    program.args(["report", ".", "--quiet", "--out"]).arg(out.path());
    let output = program.current_dir(folder).stdin(Stdio::null()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let read = |name: &str| fs::read_to_string(out.path().join(name)).unwrap();
    (read("index.html"), read("results.csv").replace('\r', ""))
}

/// `text` with what stands between `open` and `close` left out; the ends stay.
fn without(text: &str, open: &str, close: &str) -> String {
    let mut parts = text.split(open);
    let mut left = parts.next().unwrap().to_owned();
    for part in parts {
        let (_, after) = part.split_once(close).unwrap_or_else(|| panic!("no `{close}`"));
        left += &format!("{open}…{close}{after}");
    }
    left
}

/// A page that can be read: a tag begins a line; pictures, charts, the style sheet and scripts left out.
fn readable(page: &str) -> String {
    let page = without(&without(page, "<style>", "</style>"), "<script", "</script>");
    let page = without(&without(&page, "<svg", "</svg>"), "base64,", "\"");
    let page = page.replace('<', "\n<").replace("\n</", "</").replace('>', ">\n");
    let lines = page.lines().map(str::trim).filter(|line| !line.is_empty());
    lines.fold(String::new(), |text, line| text + line + "\n")
}

#[test]
fn pages_and_tables_are_the_snapshots() {
    let (page, csv) = report(&root().join("tests/data/results").join(FORMS[0]));
    assert_file(&root().join("tests/snapshots/report/index.html"), &readable(&page));
    assert_file(&root().join("tests/snapshots/report/results.csv"), &csv);
}

#[test]
fn results_in_an_old_form_give_the_same_page() {
    let pages = FORMS.map(|form| report(&root().join("tests/data/results").join(form)));
    for (found, form) in pages[1..].iter().zip(&FORMS[1..]) {
        assert!(found.0 == pages[0].0, "the page of {form} differs");
        assert!(found.1 == pages[0].1, "the CSV of {form} differs");
    }
}

/// A kind of result that no code knows is a table on the page and rows of the CSV.
#[test]
fn a_kind_that_nobody_knows_is_tabulated() {
    let folder = tempfile::tempdir().unwrap();
    let weighed = serde_json::json!({
        "kind": "weigh",
        "quantities": [
            {"name": "mass", "title": "mass", "about": "mass <in kg>", "better": "lower"},
            {"name": "count", "title": "count", "about": "how many", "better": "neither"},
        ],
        "rows": [
            {"shop": "north", "fruit": "pear", "quantity": "mass", "mean": 0.125, "low": 0.1, "high": 0.15},
            {"shop": "north", "fruit": "pear", "quantity": "count", "mean": 7},
            {"shop": "north", "fruit": "fig & date", "quantity": "mass", "mean": null, "undefined": 2,
             "reasons": {"no scales": 2}},
        ],
    });
    fs::write(folder.path().join("w.json"), weighed.to_string()).unwrap();
    let (page, csv) = report(folder.path());
    let page = readable(&page);
    let cells = |cells: &[&str]| cells.iter().map(|cell| format!("<td>\n{cell}</td>\n")).collect();
    let cells: [String; 2] =
        [cells(&["0.125 [0.100, 0.150]", "7.00"]), cells(&["2 undefined: no scales", "–"])];
    let lines = ["pear", "fig &amp; date"].into_iter().zip(cells);
    for line in lines.map(|(name, cells)| format!("<th scope=\"row\">\n{name}</th>\n{cells}</tr>"))
    {
        assert!(page.contains(&line), "no `{line}` in {page}");
    }
    for word in
        ["mass ↓</th>", "mass &lt;in kg&gt;</dd>", "weigh: ./w.json</h3>", "shop north.</p>"]
    {
        assert!(page.contains(word), "no `{word}` in {page}");
    }
    let head = "file,fruit,kind,shop,quantity,mean,stderr,low,high,";
    assert!(csv.starts_with(head), "{csv}");
    assert!(csv.contains("./w.json,pear,weigh,north,mass,0.125,,0.1,0.15,"), "{csv}");
    assert!(csv.contains("./w.json,fig & date,weigh,north,mass,,,"), "{csv}");
    assert_eq!(csv.lines().count(), 4);
}
