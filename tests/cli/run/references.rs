//! How experiments refer to numbers: by keys, never by place; what matches nothing, or two rows, is
//! refused with its line, before anything runs where that is known.

use super::cells::{FILE, place};
use crate::place::{CONFIG, Place, says, training};
use serde_json::Value;
use std::{fmt::Write, fs};

/// A table of one number; the other numbers of the file are left as they are.
fn asking(query: &str) -> String {
    let table = format!("[[table]]\ntitle = \"t\"\nrows = []\n{query}\n\n[[figure]]");
    FILE.replacen("[[figure]]", &table, 1)
}

#[test]
fn what_no_command_will_find_is_refused_before_anything_runs() {
    let place = place("references-refused");
    for (query, words) in [
        (
            "step = \"measure\"\nvalues = [{ name = \"x\", quantity = \"entropi\" }]",
            &["value `x`", "cell `measure all`", "no row has quantity `entropi`", "entropy"][..],
        ),
        (
            "step = \"measure\"\nvalues = [{ name = \"x\", quantity = \"entropy\" }]",
            &["has 2 rows, which differ in method; say which"],
        ),
        (
            "step = \"measure\"\nvalues = [{ name = \"x\", quantity = \"entropy\", method = \"ig\" }]",
            &["axis `method` has no choice `ig`; it has gxi, random"],
        ),
        (
            "step = \"look\"\nwhere = { first = \"0\" }\nvalues = [{ name = \"x\", quantity = \"accuracy\", epz = 1 }]",
            &["no row has the key `epz`; keys: model, quantity"],
        ),
        (
            "step = \"look\"\nwhere = { first = \"0\" }\nvalues = [{ name = \"x\", quantity = \"accuracy\", model = \"m\" }]",
            &["no row has model `m`; there are model"],
        ),
        (
            "step = \"look\"\nvalues = [{ name = \"x\", quantity = \"accuracy\" }]",
            &["which `first`?"],
        ),
        (
            "step = \"look\"\nwhere = { first = \"0\" }\nvalues = [{ name = \"x\" }]",
            &["which `quantity`?"],
        ),
        (
            "step = \"look\"\nwhere = { first = \"0\" }\nvalues = [{ name = \"x\", quantity = \"accuracy\", statistic = \"p90\" }]",
            &["`accuracy` has no p90; it has mean, stderr"],
        ),
        (
            "step = \"look\"\nwhere = { first = \"0\" }\nvalues = [{ name = \"x\", quantity = \"accuracy\", statistic = \"avg\" }]",
            &["no statistic is called `avg`; there are mean"],
        ),
        (
            "step = \"look\"\nwhere = { first = \"0\" }\nvalues = [{ name = \"x\", quantity = \"accuracy\", first = \"2\" }]",
            &["`first` is said twice"],
        ),
        (
            "step = \"look\"\nwhere = { first = \"0\" }\nvalues = [{ name = \"x\", quantity = \"${${first}}\" }]",
            &["`${…}` inside `${…}`", "`${${first}}`"],
        ),
    ] {
        place.write("bad.toml", asking(query));
        let told = place.refused("run bad.toml --quiet");
        says(&told, &["`bad.toml`, line 30"]);
        says(&told, words);
    }
    assert!(!place.at("runs").exists());
}

/// What a training finds follows from its objective: natural training attacks nothing and observes
/// nothing.
#[test]
fn what_a_training_does_not_find_is_refused_before_it_runs() {
    let place = place("references-train");
    place.write("run.toml", CONFIG);
    let file = "title = \"t\"\nquestion = \"q\"\n[step.train]\ncommand = \"train --config run.toml --out \
                ${cell}\"\n[[table]]\ntitle = \"t\"\nstep = \"train\"\nrows = []\nvalues = [{ name = \"x\", \
                quantity = \"Q\" }]\n";
    for quantity in ["robust-accuracy", "xi"] {
        place.write("bad.toml", file.replacen('Q', quantity, 1));
        let told = place.refused("run bad.toml --scale paper --quiet");
        says(&told, &["`bad.toml`, line 5", &format!("no row has quantity `{quantity}`")]);
    }
    assert!(!place.at("runs").exists());
}

#[test]
fn what_only_the_numbers_show_is_refused_with_its_line() {
    let place = place("references-late");
    let robust = "${first} --pgd 1 --eps 1/255\"";
    let query = "step = \"look\"\nwhere = { first = \"0\" }\n\
                 values = [{ name = \"x\", quantity = \"robust-accuracy\", attack = \"fgsm\" }]";
    place.write("late.toml", asking(query).replacen("${first}\"", robust, 1));
    let run = place.go("run late.toml --quiet");
    assert_eq!(run.code, Some(2), "{}", run.stderr);
    says(
        &run.stderr,
        &["`late.toml`, line 30", "cell `look 0`", "no row has attack `fgsm`", "pgd:steps=1"],
    );
}

#[test]
fn the_order_of_a_list_changes_no_verdict() {
    let place = place("references-order");
    let claim = "[[claim]]\ntext = \"A random map is less complex.\"\ntested = [\"smoke\"]\n\
                 where = { step = \"measure\", quantity = \"entropy\" }\n\
                 less = { method = [\"random\", \"gxi\"] }\n";
    let table = "[[table]]\ntitle = \"t\"\nstep = \"measure\"\nrows = [\"method\"]\n\
                 values = [{ name = \"entropy\", quantity = \"entropy\" }]\n\n[[figure]]";
    let file = FILE.replacen("[[figure]]", table, 1) + claim;
    let swapped = file.replacen("[\"gxi\", \"random\"]", "[\"random\", \"gxi\"]", 1);
    assert_ne!(file, swapped);
    place.write("a.toml", file);
    place.write("b.toml", swapped);
    let [a, b] = ["a", "b"].map(|name| place.ok(&format!("run {name}.toml --json")).json());
    assert_eq!(a["claims"], b["claims"]);
    let lines = |name: &str| -> Vec<String> {
        let csv = place.text(&format!("runs/{name}-smoke/results.csv"));
        let mut lines: Vec<String> = csv.lines().map(str::to_owned).collect();
        lines.sort();
        lines
    };
    assert_eq!(lines("a"), lines("b"));
    let cell = |name: &str| -> Value {
        serde_json::from_str(&place.text(&format!("runs/{name}-smoke/cells/measure/all.json")))
            .expect("JSON")
    };
    let method = |name: &str| cell(name)["result"]["rows"][0]["method"].clone();
    assert_ne!(method("a"), method("b"), "the rows are in another order");
}

#[test]
fn variables_are_filled_once_in_the_order_of_the_file() {
    let place = place("references-vars");
    let vars = |text: &str| FILE.replacen("limit = 16", text, 1);
    place.write("e.toml", vars("some = 1\nlimit = \"${some}6\""));
    place.ok("run e.toml --scale paper --plan");
    for (text, words) in [
        ("limit = \"${some}6\"\nsome = 1", &["line 6", "nothing is called `some`"][..]),
        ("limit = \"${limit}\"", &["line 6", "nothing is called `limit`"]),
        ("a = 1\nlimit = \"${${a}}\"", &["line 7", "`${…}` inside `${…}`"]),
        ("limit = \"${data\"", &["line 6", "`${` without `}`"]),
    ] {
        place.write("bad.toml", vars(text));
        let told = place.refused("run bad.toml --scale paper --quiet");
        says(&told, &["`bad.toml`"]);
        says(&told, words);
    }
}

/// Commands that find numbers of every kind.
const COMMANDS: [&str; 8] = [
    "attack ON --method gxi --attack topk --iters 1 --eps 4/255,8/255",
    "attack ON --method gxi --attack topk --iters 1 --eps 0,8/255",
    "transfer --weights a=model.safetensors,model.safetensors --data shapes:train=64,test=16 --limit 2 \
     --from gxi --to gxi,saliency --attack topk --iters 1 --eps 4/255,8/255",
    "measure complexity,lipschitz:samples=2,lipschitz:samples=3 --method gxi,random --data \
     shapes:train=64,test=16 --limit 2 --weights a=model.safetensors,b=./model.safetensors,\
     c=././model.safetensors",
    "eval ON --pgd 1 --eps 1/255,2/255 --curvature",
    "explain ON --method gxi,ig:points=2 --figure maps.png",
    "plane --function ridges --method saliency,gxi --at 1/-0.5,20/11.9",
    "train --config config.toml --set epochs=1 --out trained --resume",
];

/// Asks for every number of every row by its keys: all are known before the commands run.
#[test]
fn every_number_of_every_command_can_be_asked_for() {
    let place = Place::with_model("references-all");
    fs::copy(training().join("config.toml"), place.at("config.toml")).expect("a copy");
    let mut file = String::from("title = \"t\"\nquestion = \"q\"\n");
    let mut tables = String::new();
    for (i, command) in COMMANDS.iter().enumerate() {
        let on = "--weights model.safetensors --data shapes:train=64,test=16 --limit 2";
        let command = command.replace("ON", on);
        let found = place.ok(&format!("{command} --json")).json();
        let rows = found["rows"].as_array().expect("rows");
        assert!(!rows.is_empty(), "{command}");
        let _ = writeln!(file, "[step.s{i}]\ncommand = {command:?}");
        let _ =
            writeln!(tables, "[[table]]\ntitle = \"t\"\nstep = \"s{i}\"\nrows = []\nvalues = [");
        for row in rows {
            let all = || row.as_object().expect("a row").iter();
            let keys = all().filter(|(_, value)| value.is_string());
            let keys: String = keys.map(|(key, value)| format!(", {key} = {value}")).collect();
            for (statistic, _) in all().filter(|(_, value)| value.is_number()) {
                let name = format!("name = \"n\", statistic = \"{statistic}\"");
                let _ = writeln!(tables, "    {{ {name}{keys} }},");
            }
        }
        tables += "]\n";
    }
    place.write("all.toml", file + &tables);
    place.ok("run all.toml --scale paper");
}
