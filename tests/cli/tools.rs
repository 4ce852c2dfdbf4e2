//! `data make|info`, `weights info|convert`, `models`, `list` and `doctor`.

use crate::place::{Place, SHAPES, mean, model, says};
use serde_json::Value;
use std::fs;
use tch::Kind;
use tensorfile::TensorFile;

#[test]
fn a_made_set_is_the_set() {
    let place = Place::new("data-make");
    let made = place.ok(&format!("data make {SHAPES} --out made/set.safetensors --json")).json();
    assert_eq!(made["images"], 16);
    let data = made["data"].as_str().expect("what to use it as");
    assert_eq!(data, "tensors:made/set.safetensors");
    let file = place.tensors("made/set.safetensors");
    assert_eq!(file.tensors["images"].size(), [16, 3, 32, 32]);
    assert_eq!(file.tensors["masks"].size(), [16, 32, 32]);

    let info = |data: &str| place.ok(&format!("data info {data} --json")).json();
    let (of_file, of_seed) = (info(data), info(SHAPES));
    for key in ["images", "shape", "classes", "channels", "masks"] {
        assert_eq!(of_file[key], of_seed[key], "{key}");
    }
    assert_eq!(of_file["images"], 16);
    assert_eq!(of_file["shape"], serde_json::json!([3, 32, 32]));
    let classes = of_file["classes"].as_array().expect("a list");
    assert_eq!(classes.len(), 10);
    let counted: u64 = classes.iter().filter_map(|class| class[1].as_u64()).sum();
    assert_eq!(counted, 16);

    // The same model says the same of both.
    let weights = model();
    std::fs::copy(weights, place.at("model.safetensors")).expect("a copy");
    let accuracy = |data: &str| {
        let line = format!("eval --weights model.safetensors --data {data} --json");
        mean(&place.ok(&line).json(), &[("quantity", "accuracy")])
    };
    assert_eq!(accuracy(data), accuracy(SHAPES));
    let again = place.ok(&format!("data make {SHAPES} --out again.safetensors"));
    says(&again.stdout, &["16 images", "tensors:again.safetensors"]);
    assert!(place.read("again.safetensors") == place.read("made/set.safetensors"));
}

#[test]
fn converted_weights() {
    let place = Place::with_model("convert");
    let names = "a,b,c,d,e,f,g,h,i,j";
    let line = "weights convert model.safetensors --out half.safetensors --store f16 --classes";
    place.ok(&format!("{line} {names}"));
    says(&place.refused(&format!("{line} a,b")), &["2 names", "10"]);

    let info = place.ok("weights info half.safetensors --json").json();
    let metadata = &info["metadata"];
    assert_eq!(metadata["arch"], "resnet20");
    assert_eq!(metadata["classes"], names);
    assert_eq!(metadata["seed"], "0", "what was known is kept");
    assert_eq!(info["tensors"]["conv1.weight"], serde_json::json!([16, 3, 3, 3]));
    says(&place.ok("weights info half.safetensors").stdout, &["conv1.weight [16, 3, 3, 3] Half"]);

    let (whole, half) =
        (TensorFile::read(&model()).expect("weights"), place.tensors("half.safetensors"));
    for (name, t) in &whole.tensors {
        let stored = &half.tensors[name];
        assert_eq!(stored.kind(), Kind::Half, "{name}");
        assert!(*stored == t.to_kind(Kind::Half), "{name}");
    }
    place.ok("weights convert model.safetensors --out same.safetensors");
    let same = place.tensors("same.safetensors");
    for (name, t) in &whole.tensors {
        assert!(*t == same.tensors[name], "{name}");
    }
    let said = place.refused(&format!("eval --weights half.safetensors --data {SHAPES}"));
    says(&said, &["`disc`", "no class of the model", "--class-map"]);
    place.ok(&format!("eval --weights same.safetensors --data {SHAPES}"));
}

#[test]
fn lists() {
    let place = Place::new("lists");
    let models = place.ok("models --json").json();
    let count = |name: &str| {
        let all = models.as_array().expect("a list").iter();
        all.filter(|m| m["name"] == name).map(|m| m["parameters"].clone()).next()
    };
    assert_eq!(count("resnet20"), Some(269_722.into()));
    assert_eq!(count("resnet18"), Some(11_173_962.into()));
    let list = place.ok("list --json").json();
    for (family, member) in [
        ("attribution methods", "gxi"),
        ("attacks on maps", "topk"),
        ("training objectives", "natural"),
        ("optimisers", "sgd"),
        ("schedules", "cosine"),
        ("kinds of data", "shapes"),
    ] {
        assert!(list[family][member]["about"].is_string(), "{family}: {list}");
    }
}

#[test]
fn a_network_is_listed_with_its_taps() {
    let place = Place::with_model("list-network");
    place.write("mine.onnx", testkit::onnx::classifier(0, 32, 10).bytes());
    let own = place.ok("list --weights model.safetensors --json").json();
    assert_eq!((&own["name"], &own["parameters"]), (&"resnet20".into(), &269_722.into()));
    assert!(own["operators"].is_null());
    let last = own["taps"].as_array().and_then(|taps| taps.last()).expect("a tap");
    assert_eq!(
        *last,
        serde_json::json!({ "name": "layer3", "shape": [64, 8, 8], "default": true })
    );
    let text = place.ok("list --weights model.safetensors").stdout;
    says(&text, &["resnet20, images 3x32x32, 10 classes", "layer3  [64, 8, 8]  taken without"]);
    let graph = place.ok("list --weights mine.onnx --json").json();
    assert_eq!(
        (&graph["name"], &graph["image"]),
        (&"onnx".into(), &serde_json::json!([3, 32, 32]))
    );
    assert_eq!(graph["operators"]["Conv"], 1);
    let default = |tap: &&serde_json::Value| tap["default"] == true;
    let taps = graph["taps"].as_array().expect("taps");
    let taken = taps.iter().find(default).expect("a default")["name"].as_str().expect("a name");
    let line = format!("--weights mine.onnx --data {SHAPES} --limit 2 --out maps.safetensors");
    place.ok(&format!("explain {line} --method gradcam:layer={taken}"));
    let named = place.tensors("maps.safetensors").tensors["maps"].copy();
    place.ok(&format!("explain {line} --method gradcam"));
    assert!(named.equal(&place.tensors("maps.safetensors").tensors["maps"]));
    says(&place.refused("list --weights no.onnx"), &["no.onnx"]);
    says(&place.refused("list gxi --weights mine.onnx"), &["--weights"]);
    says(&place.refused("list --arch cnn"), &["--weights"]);
}

#[test]
fn a_doctor_looks_around() {
    let place = Place::new("doctor");
    let doctor = place.ok("doctor --json").json();
    assert_eq!(doctor["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(doctor["libtorch"], "2.11.0");
    let path = doctor["libtorch_path"].as_str().expect("a path");
    assert!(std::path::Path::new(path).is_file(), "{path}");
    for key in ["cuda_usable", "cudnn", "bf16"] {
        assert!(doctor[key].is_boolean(), "{key}: {doctor}");
    }
    assert!(doctor["gpus"].is_array());
    assert_eq!(doctor["threads"], 1, "OMP_NUM_THREADS=1");
    assert!(doctor["cores"].as_u64() >= Some(1));
    assert!(doctor["load"].is_f64());
    let text = place.ok("doctor").stdout;
    says(&text, &["libtorch", "CUDA", "cuDNN", "threads", "OMP_NUM_THREADS=1"]);
}

#[test]
fn a_doctor_tests_itself() {
    let place = Place::new("self-test");
    let line =
        "doctor --self-test --device cpu --only platform,agreement,streaming --out found.json";
    let text = place.ok(line).stdout;
    says(&text, &["maps of gxi", "metric lipschitz", "attack topk by apgd", "resnet50: logits"]);
    assert!(!text.contains("FAILS"), "{text}");
    let found: Value = serde_json::from_slice(&fs::read(place.at("found.json")).unwrap()).unwrap();
    assert_eq!(found["failed"], 0);
    let lines = found["lines"].as_array().expect("lines");
    let told = |what: &str| lines.iter().any(|line| line["what"] == what);
    for method in explain::METHODS {
        assert!(told(&format!("maps of {}", method.name)), "{}", method.name);
    }
    for metric in explain::metric::METRICS {
        assert!(told(&format!("metric {}", metric.name)), "{}", metric.name);
    }
    for adversary in attack::ADVERSARIES {
        let what = format!("attack {}: in its ball", adversary.name);
        assert!(told(&what), "{what}");
    }
    let training = place.ok("doctor --self-test --device cpu --only training --json").json();
    assert_eq!(training["failed"], 0, "{training}");
    let text = training.to_string();
    for objective in train::objective::OBJECTIVES {
        assert!(text.contains(&format!("weights after {} ", objective.name)), "{}", objective.name);
    }
    let told = place.refused("doctor --self-test --only platfrom");
    says(&told, &["unknown part `platfrom`", "platform"]);
    says(&place.refused("doctor --only platform"), &["--self-test"]);
}
