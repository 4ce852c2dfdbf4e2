//! What is said once, counted in words that fit, and with its reason; what would fail late is refused
//! before the work.

use crate::place::{CONFIG, Place, SHAPES, mean as mean_of, row, rows, says};
use serde_json::Value;
use tch::Tensor;

/// A place with the model and eight shapes without a mask, as `data.safetensors`.
fn maskless(name: &str) -> Place {
    let place = Place::with_model(name);
    place.ok("data make shapes:seed=0,train=1,test=8 --out data.safetensors --quiet");
    let file = place.tensors("data.safetensors");
    let _ = file.tensors["masks"].shallow_clone().fill_(0);
    file.write(&place.at("data.safetensors")).expect("a file");
    place
}

#[test]
fn what_is_undefined_has_its_reason() {
    let place = maskless("words-reasons");
    let file = place.tensors("data.safetensors");
    let _ = file.tensors["images"].narrow(0, 0, 2).fill_(0);
    file.write(&place.at("black.safetensors")).expect("a file");
    let line = "measure localisation,lipschitz:samples=2 --weights model.safetensors --method gxi \
                --out m/m.json --data";
    let said = place.ok(&format!("{line} data.safetensors"));
    assert_eq!(said.stdout.matches("8 undefined: empty masks").count(), 3, "{}", said.stdout);
    assert!(!(said.stdout + &said.stderr).contains("no map"));
    let said = place.ok(&format!("{line} black.safetensors"));
    assert_eq!(said.stdout.matches("8 undefined: 6 empty masks, 2 no map").count(), 3);
    says(&said.stdout, &[", 2 undefined: no map"]);
    assert_eq!(said.stderr.matches("no map").count(), 1, "{}", said.stderr);
    let kept: Value = serde_json::from_str(&place.text("m/m.json")).expect("JSON");
    let mass = rows(&kept, &[("quantity", "mass")])[0];
    assert_eq!(mass["reasons"], serde_json::json!({"empty masks": 6, "no map": 2}));
    place.ok("report m --out page");
    says(&place.text("page/index.html"), &["8 undefined: 6 empty masks, 2 no map"]);
}

#[test]
fn a_share_of_all_images_has_an_interval() {
    let place = Place::with_model("words-shares");
    // A logit that is always the largest: every image of its class is right.
    let mut file = place.tensors("model.safetensors");
    file.tensors.insert(
        "linear.bias".into(),
        Tensor::from_slice(&[1e4f32, 0., 0., 0., 0., 0., 0., 0., 0., 0.]),
    );
    file.write(&place.at("sure.safetensors")).expect("a file");
    let line = format!("eval --weights sure.safetensors --data {SHAPES} --class 0 --split train");
    let said = place.ok(&line);
    assert!(!said.stdout.contains('±'), "{}", said.stdout);
    says(&said.stdout, &["accuracy 100.00 % (", "95 % interval ", " to 100.00 %)"]);
    let found = place.ok(&format!("{line} --json")).json();
    let n = found["images"].as_f64().expect("a count");
    let found = rows(&found, &[("quantity", "accuracy")])[0].clone();
    assert_eq!((&found["stderr"], found["high"].as_f64()), (&Value::Null, Some(1.)));
    let low = found["low"].as_f64().expect("a number");
    assert!((low - n / (n + 3.841_458_8)).abs() < 1e-6, "{low} of {n}");
    let one = place.ok(&format!("{line} --limit 1")).stdout;
    says(&one, &["accuracy 100.00 % (1 of 1 image);"]);
    let pointing =
        format!("measure localisation --weights model.safetensors --data {SHAPES} --method gxi");
    let found = place.ok(&format!("{pointing} --limit 2 --json")).json();
    let pointing = row(&found, &[("quantity", "pointing")]);
    assert!(pointing["high"].as_f64() > pointing["low"].as_f64(), "{pointing}");
}

/// Before images without a map were told from others, they were robust.
#[test]
fn old_results_are_marked() {
    let place = Place::with_model("words-old");
    let line = "attack --weights model.safetensors --data shapes:test=2 --method gxi --attack topk \
                --iters 1 --eps 4/255 --out new/a.safetensors";
    place.ok(line);
    place.ok(&line
        .replace("attack --", "transfer --")
        .replace("--method", "--from")
        .replace("a.safetensors", "t.json"));
    place.ok("measure complexity --weights model.safetensors --data shapes:test=2 --method gxi --out new/m.json");
    place.ok("report new --out page-new");
    let page = place.text("page-new/index.html");
    assert!(!page.contains("older version") && !page.contains("not checked"));
    for name in ["a.json", "t.json", "m.json"] {
        let mut result: Value =
            serde_json::from_str(&place.text(&format!("new/{name}"))).expect("JSON");
        forget(&mut result);
        place.write(&format!("old/{name}"), result.to_string());
    }
    place.ok("report old --out page-old");
    let page = place.text("page-old/index.html");
    assert_eq!(page.matches("Not checked: an older version").count(), 3);
    says(&page, &["2 images, not checked for maps, means at ε"]);
}

/// Takes out what older versions did not write.
fn forget(value: &mut Value) {
    match value {
        Value::Object(map) => {
            ["n", "undefined", "no_map", "reasons"].iter().for_each(|key| drop(map.remove(*key)));
            map.values_mut().for_each(forget);
        }
        Value::Array(list) => list.iter_mut().for_each(forget),
        _ => {}
    }
}

#[test]
fn a_control_is_not_robust_by_construction() {
    let place = Place::with_model("words-control");
    let line = format!(
        "measure similarity,lipschitz:samples=2 --weights model.safetensors --data {SHAPES} --limit 4 \
         --method random --json"
    );
    let found = place.ok(&line).json();
    let mean = |key: &str| mean_of(&found, &[("quantity", key)]);
    // 20 of 1024 pixels at random, and noise against noise.
    assert!(mean("k-in") < 0.2 && mean("lipschitz") > 10., "{found}");
}

#[test]
fn notes_of_one_table_are_said_once() {
    let place = Place::new("words-notes");
    let rows = |i: i32| format!("{},w{i},{i}%,{}\n", i % 7, ["u", "v"][i as usize % 2]);
    place.write("t.csv", "a,word,odd,y\n".to_owned() + &(0..40).map(rows).collect::<String>());
    let config =
        CONFIG.replace("shapes:seed=0,train=64,test=16", "csv:t.csv").replace("resnet20", "mlp");
    let config = config
        .replace("augment = { crop = 2, flip = true }\n", "")
        .replace("normalise = \"0.5/0.25\"\n", "");
    place.write("c.toml", config);
    let said = place.ok("train --config c.toml --out run");
    assert_eq!(said.stderr.matches("left out").count(), 1, "{}", said.stderr);
    assert!(!said.stderr.contains("network was not trained on"), "{}", said.stderr);
    let said = place.ok("eval --weights run/last.safetensors --data csv:t.csv");
    assert_eq!(said.stderr.matches("left out").count(), 1, "{}", said.stderr);
    says(&said.stderr, &["not trained on are left out: odd"]);
    for (name, what) in [("page.html", "a web page"), ("c.json", "JSON text")] {
        place.write(name, if what == "JSON text" { "{\"epochs\": 1}" } else { "<html></html>" });
        says(&place.refused(&format!("train --config {name} --out new")), &[name, what]);
        says(&place.refused(&format!("run {name} --out new")), &[name, what]);
    }
}

#[test]
fn what_cannot_be_written_is_refused_before_the_work() {
    let place = Place::with_model("words-late");
    place.write("file", "x");
    place.write("dir.png/x", "x");
    place.write("dir.safetensors/x", "x");
    place.write("m.parts", "x");
    place.write("grey/a/1.txt", "x");
    let subject = format!("--weights model.safetensors --data {SHAPES} --limit 2 --quiet");
    let how = "--attack topk --iters 1 --eps 4/255";
    for line in [
        format!("eval {subject} --pgd 1 --out file/a.safetensors"),
        format!("eval {subject} --pgd 1 --out dir.safetensors"),
        format!("eval {subject} --figure new/f.png"),
        format!("explain {subject} --method gxi --figure dir.png"),
        format!("explain {subject} --method gxi --out file/m.safetensors"),
        format!("attack {subject} --method gxi {how} --out file/a.safetensors"),
        format!("attack {subject} --method gxi {how} --figure dir.png"),
        format!("attack {subject} --method gxi {how} --out m.safetensors --resume"),
        format!("transfer {subject} --from gxi {how} --figure file/f.png"),
        format!("transfer {subject} --from gxi {how} --out file/t.json"),
        format!("measure complexity {subject} --method gxi --out file/m.json"),
        format!("measure complexity {subject} --method gxi --out m.json --resume"),
        "plane --function ridges --method gxi --at 1/1 --figure dir.png".into(),
        format!("data make {SHAPES} --out file/s.safetensors"),
        format!("data make {SHAPES} --folder file/s"),
        "data make simulated --folder new".into(),
        "plane --function ridges --method gxi --at 1e30/1 --figure new/p.png".into(),
        "weights convert model.safetensors --out file/w.safetensors".into(),
        "data fetch cifar10 --to file/x".into(),
    ] {
        place.refused(&line);
    }
    place.ok(&format!("attack {subject} --method gxi {how} --out r/a.safetensors"));
    for line in ["report r --out file/page", "report r --out file"] {
        place.refused(line);
    }
    let said = place.refused(&format!(
        "measure localisation,complexity --weights model.safetensors --method gxi --data {}",
        "tensors:r/a.safetensors,images=adversarial"
    ));
    says(&said, &["where the object is", "leave the metric out"]);
}
