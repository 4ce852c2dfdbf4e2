//! What is trained on is not tested on; what is passed over is said by every command; what is drawn for an image
//! depends on its place in the data.

use crate::place::{CONFIG, Place, SHAPES, mean, rows as rows_of, says};
use serde_json::Value;
use tensorfile::TensorFile;

const SET: &str = "shapes:seed=0,train=64,test=16";

/// A place with the training images of [`SET`] as one file, and a configuration that trains on `data`.
fn place(name: &str, data: &str) -> Place {
    let place = Place::new(name);
    place.ok("data make shapes:seed=0,train=64,test=16 --split train --out whole.safetensors");
    place.write("run.toml", CONFIG.replace("resnet20", "mlp").replace(SET, data));
    place
}

fn log(place: &Place) -> Value {
    serde_json::from_str(place.text("run/log.jsonl").trim()).expect("one line")
}

#[test]
fn no_test_images_no_test_accuracy() {
    let place = place("no-test", "whole.safetensors");
    let run = place.ok("train --config run.toml --out run");
    says(&run.stdout, &["trained without test images after 1 epoch: run/last.safetensors"]);
    says(&run.stderr, &["no test images: `whole.safetensors` is trained on whole; `data.test"]);
    assert!(!run.stderr.contains("  test"), "{}", run.stderr);
    let line = log(&place);
    assert!(line.get("test_accuracy").is_none() && line["train_accuracy"].is_f64(), "{line}");
    let header = place.tensors("run/last.safetensors").metadata;
    assert!(!header.contains_key("test_accuracy"), "{header:?}");
    let events = place.read("run/events.out.tfevents.gradproof");
    let holds = |tag: &str| events.windows(tag.len()).any(|window| window == tag.as_bytes());
    assert!(holds("accuracy/train") && !holds("accuracy/test"));
    let json = place.ok("train --config run.toml --out other --json --quiet").json();
    assert!(rows_of(&json, &[("quantity", "test-accuracy")]).is_empty(), "{json}");
    place.ok("report run --out page");
    let page = place.text("page/index.html");
    assert!(page.contains("on the training images") && !page.contains("on the test images"));
    // The state has no number either: going on finds the same.
    place.ok("train --config run.toml --out run --resume --set epochs=1");
    assert_eq!(log(&place), line);
}

#[test]
fn an_adversary_has_nobody_to_attack_without_test_images() {
    let place = place("no-robust", "whole.safetensors");
    let objective = "--set objective.name=adversarial --set objective.attack.eps=0.03 \
                     --set objective.attack.steps=1";
    place.ok(&format!("train --config run.toml --out run {objective}"));
    assert!(log(&place)["robust_accuracy"].is_null());
}

#[test]
fn a_holdout_is_tested_on() {
    let place = place("holdout", "whole.safetensors");
    let run = place.ok("train --config run.toml --out run --set data.holdout=0.25");
    says(&run.stderr, &["held out for testing: ", "`--holdout 0.25 --holdout-seed 0`"]);
    let accuracy = log(&place)["test_accuracy"].as_f64().expect("a number");
    let eval = "eval --weights run/last.safetensors --data whole.safetensors --json";
    let count = |rest: &str| place.ok(&format!("{eval} {rest}")).json();
    let test = count("--holdout 0.25");
    assert_eq!(mean(&test, &[("quantity", "accuracy")]), accuracy);
    let [n, rest] = ["test", "train"]
        .map(|split| count(&format!("--holdout 0.25 --split {split}"))["images"].as_u64());
    assert_eq!(n.expect("a number") + rest.expect("a number"), 64);
    for (line, part) in [
        ("--set data.holdout=0.25 --set data.test=whole.safetensors", "leave one of the two out"),
        ("--set data.holdout=1.5", "is no fraction between 0 and 1"),
        ("--set data.holdout_seed=3", "needs `data.holdout`"),
        ("--set data.holdout=0.25 --set data.train=shapes", "has a part for testing of its own"),
    ] {
        says(&place.refused(&format!("train --config run.toml --out new {line}")), &[part]);
    }
}

#[test]
fn the_training_images_are_no_test() {
    let place = place("same-test", "whole.safetensors");
    place.ok("data make whole.safetensors --folder pictures");
    for (train, test) in [
        ("whole.safetensors", "whole.safetensors"),
        ("whole.safetensors", "tensors:./whole.safetensors"),
        ("pictures", "folder:pictures/../pictures"),
    ] {
        let data = format!("--set data.train={train} --set data.test={test}");
        let said = place.refused(&format!("train --config run.toml --out new {data}"));
        says(&said, &["`data.test` is `data.train`", "data.holdout = 0.2"]);
    }
    // Copies are no other images.
    place.write("copy.safetensors", place.read("whole.safetensors"));
    let run = place.ok("train --config run.toml --out run --set data.test=copy.safetensors");
    says(&run.stderr, &["64 of 64 test images are training images too"]);
    assert!(log(&place)["test_accuracy"].is_f64(), "other files are the user's word");
}

#[test]
fn every_command_says_what_is_passed_over() {
    let place = Place::with_model("passed");
    place.ok("data make shapes:train=64,test=16 --split train --folder set");
    place.write("set/disc/notes.txt", "x");
    place.write("set/disc/more.txt", "x");
    place.write("set/stray.heic", "x");
    place.write("run.toml", CONFIG.replace("resnet20", "mlp").replace(SET, "set"));
    let subject = "--weights model.safetensors --data set --limit 2";
    for line in [
        "data info set".to_owned(),
        "data make set --out made.safetensors".to_owned(),
        "train --config run.toml --out run".to_owned(),
        format!("eval {subject}"),
        format!("explain {subject} --method gxi --out maps.safetensors"),
        format!("attack {subject} --method gxi --attack topk --iters 1"),
        format!("measure complexity {subject} --method gxi"),
        format!("transfer {subject} --from gxi --attack topk --iters 1"),
    ] {
        let said = place.ok(&line).stderr;
        says(&said, &["3 files passed over: 2 .txt, 1 .heic"]);
        assert_eq!(said.matches("passed over").count(), 1, "`{line}`: {said}");
    }
}

#[test]
fn what_is_drawn_does_not_depend_on_the_class_asked_for() {
    let place = Place::with_model("draws-class");
    let subject = format!("--weights model.safetensors --data {SHAPES}");
    let maps = |options: &str, out: &str| {
        let method = "--method smoothgrad:samples=3";
        place.ok(&format!("explain {subject} {method} {options} --out {out}.safetensors"));
        let mut file: TensorFile = place.tensors(&format!("{out}.safetensors"));
        file.take("maps").expect("maps")
    };
    let labels = place.ok(&format!("data make {SHAPES} --out set.safetensors"));
    assert_eq!(labels.code, Some(0));
    let labels = place.tensors("set.safetensors").take("labels").expect("labels");
    let class = labels.int64_value(&[15]);
    let rows = labels.eq(class).nonzero().squeeze_dim(1);
    let whole = maps("", "whole").index_select(0, &rows);
    let own = maps(&format!("--class {class}"), "own");
    let far = (&own - &whole).abs().max().double_value(&[]) / whole.abs().max().double_value(&[]);
    assert!(far < 1e-3, "{far} off where one class is asked for");
    place.ok(&format!("measure complexity {subject} --class {class} --method gxi --out m.json"));
    let lines = place.text("m.jsonl");
    let images: Vec<i64> = lines
        .lines()
        .map(|line| {
            serde_json::from_str::<Value>(line).expect("JSON")["image"].as_i64().expect("a number")
        })
        .collect();
    assert_eq!(images, Vec::<i64>::try_from(&rows).expect("numbers"));
}
