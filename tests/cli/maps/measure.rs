//! `measure`: its files and tables, going on where a killed run stopped, presets, what it refuses;
//! maps that find the object against those that do not.

use crate::place::{CONFIG, Place, SHAPES, mean, rows, says};
use serde_json::Value;
use std::collections::BTreeMap;

const SUBJECT: &str = "--weights model.safetensors --data shapes:seed=0,train=64,test=16 --limit 8";
const CHEAP: &str = "lipschitz:samples=2,faithfulness:cells=3,infidelity:samples=8,sensitivity:samples=2,\
                     deletion:steps=4,insertion:steps=4,preservation:steps=4,relevance:steps=4,retrieval,\
                     localisation,complexity,similarity,randomisation,gap:samples=4";

/// The rows of a model, by its place, and a method, by quantity.
fn values<'a>(result: &'a Value, model: usize, method: &str) -> BTreeMap<&'a str, &'a Value> {
    let model = result["models"][model]["name"].as_str().expect("a name");
    let own = rows(result, &[("model", model), ("method", method)]).into_iter();
    own.map(|row| (row["quantity"].as_str().expect("a name"), row)).collect()
}

fn numbers(result: &Value) -> Value {
    let mut numbers = result.clone();
    numbers.as_object_mut().expect("an object").remove("origin");
    numbers
}

#[test]
fn every_metric_leaves_its_files() {
    let place = Place::with_model("measure");
    let methods = "gxi,smoothgrad:samples=2,random";
    let said =
        place.ok(&format!("measure {CHEAP} {SUBJECT} --method {methods} --out m/m.json --json"));
    let said = said.json();
    let columns = values(&said, 0, "gxi").len() - 1;
    for value in said["rows"].as_array().expect("rows") {
        let [low, mean, high] = ["low", "mean", "high"].map(|k| value[k].as_f64());
        let exact = value["quantity"] == "no-map" || value["infinite"] == 8;
        // Of values of which one makes nearly all of the spread there is no interval.
        assert_eq!(low.is_some(), high.is_some(), "{value}");
        assert!(exact || low.is_none() || (low <= mean && mean <= high), "{value}");
    }
    // The area of one metric under two names; those of one name are told apart.
    let gxi = values(&said, 0, "gxi");
    assert_eq!(gxi["deletion:steps=4 deletion"]["mean"], gxi["relevance:steps=4 deletion"]["mean"]);
    // What is drawn for an image does not depend on the method, nor the model's own number.
    let random = values(&said, 0, "random")["model-lipschitz"];
    assert_eq!(gxi["model-lipschitz"]["mean"], random["mean"]);
    let kept: Value = serde_json::from_str(&place.text("m/m.json")).expect("JSON");
    assert_eq!(kept, said);

    let lines = place.text("m/m.jsonl");
    assert_eq!(lines.lines().count(), 8);
    let mut sum = 0.;
    for (i, line) in lines.lines().enumerate() {
        let line: Value = serde_json::from_str(line).expect("a JSON line");
        assert_eq!(line["image"], i);
        sum += line["methods"]["gxi"]["mass"].as_f64().expect("a number");
    }
    let mean = gxi["mass"]["mean"].as_f64().expect("a mean");
    assert!((sum / 8. - mean).abs() < 1e-12, "{sum} and {mean}");
    assert_eq!(place.text("m/m.csv").lines().count(), 1 + 3 * (columns + 1));
    assert_eq!(place.at("m").read_dir().expect("a folder").count(), 3, "parts stayed");

    place.ok("report m --out page");
    says(
        &place.text("page/index.html"),
        &["<h2>Measured</h2>", "smoothgrad:samples=2", "pointing"],
    );
    let mut torn = kept.clone();
    let torn_rows = torn["rows"].as_array_mut().expect("rows");
    torn_rows.retain(|row| row["quantity"] != "mass" || row["method"] != "gxi");
    place.write("torn/m.json", torn.to_string());
    says(&place.refused("report torn --out new"), &["torn/m.json", "gxi", "`mass`"]);
}

#[test]
fn batches_chunks_and_offsets_change_nothing() {
    let place = Place::with_model("measure-chunks");
    let line = |rest: &str| {
        let metrics = "lipschitz:samples=3,deletion:steps=4,faithfulness:cells=3";
        let line =
            format!("measure {metrics} {SUBJECT} --method smoothgrad:samples=2 --json {rest}");
        place.ok(&line).json()
    };
    let whole = line("");
    let cut = line("--batch-size 3 --chunk 5");
    for (key, value) in values(&whole, 0, "smoothgrad:samples=2") {
        let [a, b] = [value, values(&cut, 0, "smoothgrad:samples=2")[key]]
            .map(|v| v["mean"].as_f64().expect("a mean"));
        assert!((a - b).abs() <= 1e-3 * a.abs().max(1e-3), "{key}: {a} and {b}");
    }
}

/// Three models, so that robustness can be ranked; killed after its first batch.
#[test]
fn a_killed_measure_goes_on() {
    let place = Place::with_model("measure-resume");
    place.write("run.toml", CONFIG);
    for seed in ["1", "2"] {
        place.ok(&format!("train --config run.toml --out other{seed} --set seed={seed}"));
    }
    let line = format!(
        "measure lipschitz:samples=4 --data {SHAPES} --limit 8 --batch-size 2 --method gxi,saliency \
         --weights model.safetensors,other1/last.safetensors,other2/last.safetensors"
    );
    let whole = place.ok(&format!("{line} --json")).json();
    mean(&whole, &[("quantity", "rank-correlation"), ("method", "gxi")]);
    if place.killed_at(&format!("{line} --out a/m.json --quiet"), "a/m.parts/000000000.safetensors")
    {
        let other = format!("{line} --out a/m.json --resume --seed 1 --quiet");
        says(&place.refused(&other), &["--resume", "begin anew"]);
    }
    let said = place.ok(&format!("{line} --out a/m.json --resume --json")).json();
    assert_eq!(numbers(&said), numbers(&whole));
}

#[test]
fn presets_fill_in_what_is_not_given() {
    let place = Place::with_model("measure-presets");
    let run = place.ok(&format!("measure {SUBJECT} --preset wang20 --method gxi --json"));
    let said = run.json();
    assert_eq!(said["settings"]["metrics"], serde_json::json!(["similarity"]));
    assert_eq!(said["settings"]["methods"], serde_json::json!(["gxi"]));
    assert_eq!(said["settings"]["attack"], "topk");
    assert!(values(&said, 0, "gxi")["k-in"]["mean"].as_f64().expect("a mean") < 1.);
    says(&run.stderr, &["measuring similarity of gxi", "attack topk within 8/255"]);
}

#[test]
fn maps_are_compared_with_those_of_a_network_that_learnt_random_labels() {
    let place = Place::with_model("measure-random-labels");
    place.write("c.toml", CONFIG);
    let trained = place.ok("train --config c.toml --out unlearnt --set data.random_labels=true");
    says(&trained.stderr, &["with random labels"]);
    place.ok("train --config c.toml --out learnt");
    assert_ne!(place.read("learnt/last.safetensors"), place.read("unlearnt/last.safetensors"));
    let left = |other: &str| {
        let line = format!("measure random-labels {SUBJECT} --method gxi --json");
        let said = place.ok(&format!("{line} --random-labels {other}")).json();
        values(&said, 0, "gxi")["random-labels"]["mean"].as_f64().expect("a mean")
    };
    assert!((left("model.safetensors") - 1.).abs() < 1e-12);
    assert!(left("unlearnt/last.safetensors") < 0.99);
}

#[test]
fn wrong_words_are_refused() {
    let place = Place::with_model("measure-refused");
    let refused =
        |line: &str, words: &[&str]| says(&place.refused(&format!("measure {line}")), words);
    refused(
        &format!("lipshitz {SUBJECT} --method gxi"),
        &["unknown metric `lipshitz`", "lipschitz"],
    );
    refused(&format!("gap,gap {SUBJECT} --method gxi"), &["`gap` twice"]);
    refused(&format!("{SUBJECT} --method gxi"), &["METRICS"]);
    refused(&format!("gap {SUBJECT}"), &["--method"]);
    refused(&format!("--preset tan24 {SUBJECT}"), &["unknown preset `tan24`", "tan23"]);
    refused(&format!("gap {SUBJECT} --method gxi --attack pgd"), &["wants an attack"]);
    refused(
        &format!("retrieval {SUBJECT} --method gxi --attack top"),
        &["unknown attack `top`", "topk", "pgd"],
    );
    refused(
        &format!("retrieval {SUBJECT} --method gxi --attack manipulate"),
        &["aims at another map"],
    );
    refused(&format!("random-labels {SUBJECT} --method gxi"), &["--random-labels FILE", "train"]);
    refused(
        &format!("gap {SUBJECT} --method gxi --random-labels model.safetensors"),
        &["`--random-labels`", "not asked for"],
    );
    refused(&format!("retrieval {SUBJECT} --method gxi --eps 8"), &["`--eps 8`", "8/255"]);
    refused(&format!("similarity {SUBJECT} --method deconvnet --attack topk"), &["deconvnet"]);
    refused(&format!("similarity:k=5000 {SUBJECT} --method gxi"), &["`k` is 5000", "similarity"]);
    place.ok("data make shapes:seed=0,train=1,test=4 --out s.safetensors");
    let mut file = place.tensors("s.safetensors");
    let _ = file.tensors.remove("masks").expect("masks");
    file.write(&place.at("plain.safetensors")).expect("a file");
    let plain = "--weights model.safetensors --data plain.safetensors";
    refused(
        &format!("localisation {plain} --method gxi"),
        &["localisation", "where the object is"],
    );
    assert!(!place.at("m.json").exists());
}

/// Trained for 20 seconds, maps find the shape. Weights that have hardly been trained do not point at it with
/// Grad-CAM. Their gradients find it a little even so: convolutions are edge detectors from the start
/// (Adebayo et al. 2018), which is why noise is not the only control.
#[test]
fn maps_of_a_trained_network_find_the_object() {
    let place = Place::with_model("measure-object");
    let config = concat!(env!("CARGO_MANIFEST_DIR"), "/experiments/train/quickstart-natural.toml");
    let data = "shapes:train=2000,test=64";
    let sets = format!("--set data.train={data} --set data.test={data}");
    place.ok(&format!("train --config {config} --out run --set epochs=2 {sets}"));
    let measured = |weights: &str| {
        let methods = "saliency,smoothgrad:sigma=0.1,gradcam,random";
        let line = format!("measure localisation --weights {weights} --data {data}");
        place.ok(&format!("{line} --json --method {methods}")).json()
    };
    let (trained, untrained) = (measured("run/last.safetensors"), measured("model.safetensors"));
    let end = |result: &Value, method: &str, column: &str, end: &str| {
        values(result, 0, method)[column][end].as_f64().expect("a number")
    };
    for method in ["saliency", "smoothgrad:sigma=0.1", "gradcam"] {
        let (low, noise) =
            (end(&trained, method, "mass", "low"), end(&trained, "random", "mass", "high"));
        assert!(low > noise, "{method}: {low} and {noise}");
    }
    let noise = end(&untrained, "random", "pointing", "high");
    let low = end(&trained, "gradcam", "pointing", "low");
    assert!(low > noise, "trained: {low} and {noise}");
    let low = end(&untrained, "gradcam", "pointing", "low");
    assert!(low < noise, "untrained: {low} and {noise}");
}
