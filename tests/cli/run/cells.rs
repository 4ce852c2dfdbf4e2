//! `run`: cells and pages, going on where a killed run stopped, what a malformed file is told.

use crate::place::{Place, says};
use serde_json::{Value, json};
use std::{collections::BTreeMap, fs, path::PathBuf};

/// Five cells of a second together.
pub const FILE: &str = r#"title = "Is it right & <how often>?"
reproduces = ["Nobody 2000, Table 1"]
question = "Accuracy on a few images."

[vars]
limit = 16
data = "shapes:seed=0,train=64,test=16"

[scale.smoke.vars]
limit = 2

[step.look]
command = "eval --weights model.safetensors --data ${data} --limit ${limit} --offset ${first}"
[step.look.grid]
first = ["0", ["one", "1"], "2", "3"]

[step.measure]
command = "measure complexity --weights model.safetensors --data ${data} --limit 12 --method ${method}"
[step.measure.within]
method = ["gxi", "random"]

[[table]]
title = "Accuracy"
step = "look"
rows = ["first"]
values = [{ name = "accuracy", quantity = "accuracy" }, { name = "images", quantity = "accuracy", statistic = "n" }]
[table.published]
"one" = [0.25, 7]

[[figure]]
title = "Entropy"
kind = "boxes"
step = "measure"
x = "method"
y = { quantity = "entropy" }

[[claim]]
text = "Shares are shares."
where = { step = "look", quantity = "accuracy" }
above = -0.5
tested = ["smoke"]

[[claim]]
text = "Two images are more than two."
where = { step = "look", quantity = "accuracy", statistic = "n" }
less = { first = ["0", "one"] }
tested = ["smoke"]

[[claim]]
text = "Only larger runs tell."
where = { step = "look", quantity = "accuracy" }
rising = "first"

[[claim]]
text = "A map names fewer pixels than noise."
where = { step = "measure", quantity = "entropy" }
less = { method = ["gxi", "random"] }
tested = ["smoke"]
"#;

pub fn place(name: &str) -> Place {
    let place = Place::with_model(name);
    place.write("e.toml", FILE);
    place
}

/// What does not depend on time: relative path -> bytes.
pub fn lasting(place: &Place, run: &str) -> BTreeMap<PathBuf, Vec<u8>> {
    let all = place
        .contents()
        .into_iter()
        .filter_map(|(path, bytes)| Some((path.strip_prefix(run).ok()?.to_path_buf(), bytes)));
    all.filter(|(path, _)| !path.starts_with("times") && !path.ends_with("index.html")).collect()
}

#[test]
fn an_experiment_leaves_cells_and_a_page() {
    let place = place("run");
    let said = place.ok("run e.toml --json").json();
    assert_eq!((&said["cells"], &said["done"]), (&json!(5), &json!(5)));
    let verdicts: Vec<&str> = said["claims"]
        .as_array()
        .expect("claims")
        .iter()
        .filter_map(|c| c["verdict"].as_str())
        .collect();
    assert_eq!(verdicts, ["not decided", "fails", "not tested", "holds"]);
    let told = |i: usize| said["claims"][i]["told"].as_str().expect("words");
    assert_eq!(told(0), "not decided (2 images, of 8 at least); the limit is ours");
    assert_eq!(told(1), "fails: 2.000 less than 2.000");
    says(told(3), &["holds: ", "difference", "chance by order alone 0.500"]);
    let interval = &said["claims"][3]["interval"];
    assert!(interval[0].as_f64() > Some(0.), "{interval}");
    let cell: Value =
        serde_json::from_str(&place.text("runs/e-smoke/cells/look/one.json")).expect("JSON");
    assert_eq!((&cell["result"]["images"], &cell["result"]["origin"]), (&json!(2), &Value::Null));
    says(cell["command"].as_str().expect("a command"), &["--limit 2", "--offset 1"]);
    let times: Value =
        serde_json::from_str(&place.text("runs/e-smoke/times/look/one.json")).expect("JSON");
    assert!(times["seconds"].as_f64() > Some(0.) && times["origin"]["commit"].is_string());

    let page = place.text("runs/e-smoke/index.html");
    says(
        &page,
        &["Is it right &amp; &lt;how often&gt;?", "After Nobody 2000, Table 1", "(0.25)", "<svg"],
    );
    says(
        &page,
        &["gxi", "random", "fails", "--offset ${first}"].map(|w| w.trim_end_matches("${first}")),
    );
    says(
        &place.text("runs/e-smoke/results.md"),
        &["| one |", "2.000 (7)", "figure-1.png", "**holds**"],
    );
    says(&place.text("runs/e-smoke/results.csv"), &["\"Accuracy\",\"one\",\"\",\"images\",2,7"]);
    assert!(place.at("runs/e-smoke/figure-1.png").exists());

    says(&place.refused("run e.toml --quiet"), &["`runs/e-smoke` is there already", "--resume"]);
    says(
        &place.refused("run e.toml --quiet --resume --set limit=3"),
        &["begun with other settings"],
    );
    place.ok("report runs");
    says(
        &place.text("runs/index.html"),
        &["e-smoke/index.html", "1 hold, 1 fail, 1 not decided, 1 not tested"],
    );
    let before = lasting(&place, "runs/e-smoke");
    let list = place.ok("run e.toml --list").stdout;
    says(&list, &["Nobody 2000, Table 1", "done", "1 hold, 1 fail, 1 not decided, 1 not tested"]);
    says(&place.ok("run e.toml --resume").stderr, &["0 of 5 cells to make"]);
    assert_eq!(lasting(&place, "runs/e-smoke"), before);
}

#[test]
fn a_killed_run_goes_on() {
    let place = place("run-killed");
    let states = |out: &str| -> String {
        let list = place.ok(&format!("run e.toml --list --out {out}")).stdout;
        list.lines().last().expect("a line").split_whitespace().collect::<Vec<_>>().join(" ")
    };
    assert_eq!(states("whole"), "Nobody 2000, Table 1 e - no scale -");
    place.ok("run e.toml --out whole");
    assert_eq!(
        states("whole"),
        "Nobody 2000, Table 1 e done no scale - 1 hold, 1 fail, 1 not decided, 1 not tested"
    );
    let file = "killed/e-smoke/cells/look/0.json";
    if place.killed_at("run e.toml --out killed --quiet", file) {
        says(&states("killed"), &[" of 5 no scale -"]);
        let times = place.read("killed/e-smoke/times/look/0.json");
        place.ok("run e.toml --out killed --resume");
        assert_eq!(place.read("killed/e-smoke/times/look/0.json"), times, "made twice");
    }
    place.ok("run e.toml --out killed --resume");
    assert_eq!(lasting(&place, "killed/e-smoke"), lasting(&place, "whole/e-smoke"));
}

#[test]
fn needed_experiments_run_first() {
    let place = place("run-needs");
    place.write("f.toml", FILE.replace("[vars]", "needs = [\"e\"]\n[vars]"));
    says(
        &place.refused("run f.toml --shard 1/2 --quiet"),
        &["`f.toml`, line 5", "`e`", "0 of 5 cells"],
    );
    let said = place.ok("run f.toml --json").json();
    assert_eq!(said["run"], "runs/f-smoke");
    assert!(place.at("runs/e-smoke/index.html").exists());
    assert_eq!(place.ok("run f.toml --out new --needed --json").json()["needed"], json!(["e"]));
    assert!(place.at("new/e-smoke/index.html").exists() && !place.at("new/f-smoke").exists());
    says(&place.ok("run f.toml --out new --shard 1/2").stdout, &["page of 3 of 5 cells"]);
}

#[test]
fn a_plan_makes_nothing() {
    let place = place("run-plan");
    let said = place.ok("run e.toml --plan --json").json();
    let steps = said["steps"].as_array().expect("steps");
    assert_eq!(steps.iter().map(|step| &step["left"]).collect::<Vec<_>>(), [&json!(4), &json!(1)]);
    // An evaluation of two images sees two images.
    assert_eq!(steps[0]["passes"], 8.);
    assert!(steps.iter().all(|step| step["seconds"].as_f64() > Some(0.)));
    assert!(!place.at("runs").exists());
}

#[test]
fn a_malformed_file_is_refused_with_its_line() {
    let place = place("run-refused");
    for (from, to, words) in [
        ("limit = 16", "limit = 16\nlimit = 3", &["line 7", "duplicate"][..]),
        ("[step.look]", "[step.look]\ncmd = 1", &["line 13", "unknown field", "cmd"]),
        ("${first}", "${last}", &["line 13", "nothing is called `last`", "first"]),
        ("--offset", "--ofset", &["line 13", "--ofset"]),
        ("${first}\"", "${first} --data x y\"", &["line 13"]),
        ("\"eval --weights", "\"report runs --weights", &["line 13"]),
        ("\"gxi\", ", "\"gxy\", ", &["line 18", "unknown method", "`gxy`", "gxi"]),
        ("complexity", "simplicity", &["unknown metric `simplicity`"]),
        ("rows = [\"first\"]", "rows = [\"last\"]", &["line 22", "no axis `last`", "first"]),
        ("\"one\" = [0.25, 7]", "\"two\" = [0.25, 7]", &["line 22", "no choice `two`", "one"]),
        ("\"one\" = [0.25, 7]", "\"one\" = [0.25]", &["line 22", "1 numbers for 2 values"]),
        ("x = \"method\"", "x = \"way\"", &["line 30", "no axis `way`", "method"]),
        ("step = \"measure\"\nx", "step = \"look2\"\nx", &["line 30", "no step is called `look2`"]),
        ("[\"0\", \"one\"] }", "[\"9\", \"one\"] }", &["line 43", "no choice `9`"]),
        ("rising = \"first\"", "rising = \"last\"", &["line 49", "no axis `last`", "first"]),
        ("rising = ", "peaks = \"first\"\nrising = ", &["line 49", "this has 2"]),
        ("[\"one\", \"1\"]", "\"2\"", &["line 13", "two cells", "`2`"]),
        ("[\"one\", \"1\"]", "[\"one\"]", &["line 15", "not a choice"]),
    ] {
        let text = FILE.replacen(from, to, 1);
        assert_ne!(text, FILE, "{from}");
        place.write("bad.toml", text);
        let told = place.refused("run bad.toml --quiet");
        says(&told, &["`bad.toml`"]);
        says(&told, words);
    }
    says(&place.refused("run e.toml --scale huge"), &["no scale `huge`", "smoke, paper"]);
    says(&place.refused("run e.toml --set size=3"), &["no variable is called `size`", "limit"]);
    says(&place.refused("run none.toml"), &["none.toml"]);
    says(&place.misused("run e.toml --shard 3/2"), &["I/N"]);
    assert!(!place.at("runs").exists());
}

/// What the five papers show, an experiment for each.
const PAPERS: [(&str, &str); 9] = [
    ("Tan & Tian 2023, Table", "1"),
    ("Tan & Tian 2023, Figure", "1 2 3 4 5 6"),
    ("Agarwal et al. 2021, Figure", "1 2 3 4 5 6 7 8 9"),
    ("Wang et al. 2020, Table", "1 2 4 5 6"),
    ("Wang et al. 2020, Figure", "1 2 3 4 5 6"),
    ("Lim et al. 2021, Table", "1 S1 S2 S3"),
    ("Lim et al. 2021, Figure", "1 3 4 5 6 S1 S2 S3 S4 S5"),
    ("Yeh et al. 2019, Table", "4"),
    ("Yeh et al. 2019, Figure", "5 6 7 8 9 10"),
];

#[test]
fn every_shipped_experiment_is_whole_at_all_scales_and_has_a_recipe() {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let mut files: Vec<String> = fs::read_dir(root.join("experiments"))
        .expect("a folder")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension().is_some_and(|e| e == "toml"))
        .map(|path| path.display().to_string())
        .collect();
    files.sort();
    let recipes = fs::read_to_string(root.join("justfile")).expect("a justfile");
    for name in
        files.iter().filter_map(|file| PathBuf::from(file).file_stem().map(|s| s.to_owned()))
    {
        let name = name.to_string_lossy();
        let recipe = format!("\n{name} *args: (experiment \"{name}\" args)");
        assert!(recipes.contains(&recipe) || name == "models", "`{name}` has no recipe");
    }
    // Commands name files from the root of the repository.
    let list = std::process::Command::new(env!("CARGO_BIN_EXE_gradproof"))
        .current_dir(&root)
        .args(["run", "--list", "--json", "--out", "no-such-runs"])
        .args(&files)
        .output()
        .expect("it starts");
    assert!(list.status.success(), "{}", String::from_utf8_lossy(&list.stderr));
    let list: Value = serde_json::from_slice(&list.stdout).expect("JSON");
    let found: Vec<&str> = list["papers"]
        .as_array()
        .expect("a list")
        .iter()
        .filter_map(|row| row["reproduces"].as_str())
        .collect();
    for (paper, numbers) in PAPERS {
        for number in numbers.split(' ') {
            assert!(found.contains(&format!("{paper} {number}").as_str()), "{paper} {number}");
        }
    }
}
