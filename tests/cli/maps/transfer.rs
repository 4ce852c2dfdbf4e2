//! `transfer`: its diagonal is `attack`; its files; going on where a killed run stopped; what it
//! refuses.

use crate::place::{CONFIG, Place, SHAPES, mean, row, rows, says};
use serde_json::Value;

const SUBJECT: &str = "--weights model.safetensors --data shapes:seed=0,train=64,test=16 --limit 8";
const HOW: &str = "--attack topk --iters 2 --eps 4/255,8/255 --judge-samples 2";

/// Keys of what the images made against one method do to the maps of another.
fn cell<'a>(from: &'a str, to: &'a str, quantity: &'a str) -> [(&'a str, &'a str); 3] {
    [("from_method", from), ("method", to), ("quantity", quantity)]
}

/// What is the same whenever and wherever it was found.
fn numbers(result: &Value) -> Value {
    let mut numbers = result.clone();
    numbers.as_object_mut().expect("an object").remove("origin");
    numbers
}

/// That the numbers of `attack` are those of `transfer` for the same maps.
fn assert_same(said: &Value, attack: &Value, method: &str) {
    for theirs in rows(attack, &[("method", method)]) {
        let quantity = theirs["quantity"].as_str().expect("a name");
        let mut keys = match quantity {
            "l2-change" => continue,
            // Of clean maps, which `transfer` does not compare with one another.
            others if others.ends_with("-of-others") => continue,
            // Of the attack, whoever judges it.
            "measure" | "converged" => vec![("from_method", method), ("quantity", quantity)],
            _ => cell(method, method, quantity).to_vec(),
        };
        for key in ["eps", "iterations"] {
            keys.extend(theirs[key].as_str().map(|value| (key, value)));
        }
        for statistic in ["mean", "stderr", "mean_of_successes", "n", "undefined"] {
            assert_eq!(row(said, &keys)[statistic], theirs[statistic], "{method}: {theirs}");
        }
    }
}

#[test]
fn the_diagonal_is_what_attack_finds() {
    let place = Place::with_model("transfer");
    let methods = ["gxi", "smoothgrad:samples=2"];
    let list = methods.join(",");
    let out = "--out t/transfer.json --figure t/heat.png --json";
    let line = format!("transfer {SUBJECT} --from {list} --to {list},random {HOW} {out}");
    let said = place.ok(&line).json();
    for method in methods {
        let attack = place.ok(&format!("attack {SUBJECT} --method {method} {HOW} --json")).json();
        assert_same(&said, &attack, method);
        let accuracy = [("quantity", "accuracy")];
        assert_eq!(mean(&said, &accuracy), mean(&attack, &accuracy));
        // One model: what keeps the prediction for one method keeps it for every other.
        for to in ["gxi", "smoothgrad:samples=2", "random"] {
            let kept = [&cell(method, to, "kept")[..], &[("eps", "8/255")]].concat();
            assert_eq!(mean(&said, &kept), 1.);
        }
        // Maps that know nothing of the image are drawn anew: k of 1024 pixels agree by chance.
        let control = mean(&said, &cell(method, "random", "k-in-auc"));
        assert!(control < 0.2, "{control}");
    }
    let [gxi, smooth] = methods;
    let off = mean(&said, &cell(gxi, smooth, "k-in-auc"));
    assert!(off < 1. && off != mean(&said, &cell(smooth, smooth, "k-in-auc")));

    let kept: Value = serde_json::from_str(&place.text("t/transfer.json")).expect("JSON");
    assert_eq!(kept, said);
    let csv = place.text("t/transfer.csv");
    assert!(csv.starts_with(
        "attack,eps,eps_value,from_method,from_model,iterations,method,model,quantity,mean"
    ));
    // A cell: at each of 2 radii 6 numbers of maps, success, images without a map, the floors of 4 and
    // whether they are below; 6 areas. A source:
    // at each radius whether it converged, and its measure after 0, 1 and 2 iterations.
    assert_eq!(csv.lines().count(), 1 + 2 * 3 * (2 * (8 + 2 * 4) + 6) + 2 * 2 * 4 + 1);
    image::load_from_memory(&place.read("t/heat.png")).expect("a picture");
    let files = place.at("t").read_dir().expect("a folder").count();
    assert_eq!(files, 3, "parts stayed");

    place.ok("report t --out page");
    let page = place.text("page/index.html");
    says(&page, &["<h2>Transfer</h2>", "smoothgrad:samples=2", "judged"]);
    assert!(place.text("page/results.json").contains("\"from_method\""));
    let mut torn = numbers(&kept);
    torn["origin"] = kept["origin"].clone();
    torn["rows"]
        .as_array_mut()
        .expect("rows")
        .retain(|row| row["from_method"] != "smoothgrad:samples=2" || row["method"] != "random");
    place.write("torn/t.json", torn.to_string());
    says(&place.refused("report torn --out new"), &["torn/t.json", "row 1 and column 2"]);
}

/// Two models, the second of another seed; killed as soon as its first batch is kept.
#[test]
fn a_killed_transfer_goes_on() {
    let place = Place::with_model("transfer-resume");
    place.write("run.toml", CONFIG);
    place.ok("train --config run.toml --out other --set seed=1");
    let line = format!(
        "transfer --weights model.safetensors,other/last.safetensors --data {SHAPES} --limit 8 \
         --batch-size 4 --from gxi {HOW}"
    );
    let whole = place.ok(&format!("{line} --json")).json();
    assert_eq!(whole["models"][1]["name"], "other");
    let back = [("from_model", "other"), ("model", "model"), ("quantity", "k-in")];
    assert_eq!(rows(&whole, &back).len(), 2, "a row for each radius");

    let out = "--out k/transfer.json --json --resume";
    let part = "k/transfer.parts/000000000.safetensors";
    if place.killed_at(&format!("{line} {out} --quiet"), part) {
        let refused = place.refused(&format!("{line} --seed 1 {out} --quiet"));
        says(&refused, &["000000000.safetensors", "--resume"]);
    }
    let resumed = place.ok(&format!("{line} {out}")).json();
    assert_eq!(numbers(&resumed), numbers(&whole));
    assert!(!place.at("k/transfer.parts").exists(), "parts stayed");
}

#[test]
fn wrong_words_are_refused() {
    let place = Place::with_model("transfer-words");
    let topk = "--attack topk --out new/t.json";
    for (options, parts) in [
        (format!("{SUBJECT} --from gxi,gxi {topk}"), vec!["--from", "`gxi` twice"]),
        (format!("{SUBJECT} --from gxi --to ig,gxi,ig {topk}"), vec!["--to", "`ig` twice"]),
        (format!("{SUBJECT} --from gxi, {topk}"), vec!["--from", "nothing"]),
        (format!("{SUBJECT} --from gix {topk}"), vec!["`gix`", "nearest first: gxi"]),
        (format!("{SUBJECT} --from gxi --to salency {topk}"), vec!["nearest first: saliency"]),
        (format!("{SUBJECT} --from deconvnet {topk}"), vec!["deconvnet", "square"]),
        (format!("{SUBJECT} --from gxi --attack topq"), vec!["`topq`", "nearest first: topk"]),
        (format!("{SUBJECT} --from gxi {topk} --iters 0"), vec!["--iters 0"]),
        (format!("{SUBJECT} --from gxi --attack topk --out new/t.txt"), vec![".json"]),
        (format!("{SUBJECT} --from gxi --attack topk --resume"), vec!["--out"]),
        (
            format!(
                "--weights model.safetensors,model.safetensors --data {SHAPES} --from gxi {topk}"
            ),
            vec!["--weights", "twice"],
        ),
        (
            format!("--weights model.safetensors,no.safetensors --data {SHAPES} --from gxi {topk}"),
            vec!["no.safetensors"],
        ),
    ] {
        says(&place.refused(&format!("transfer {options}")), &parts);
    }
}
