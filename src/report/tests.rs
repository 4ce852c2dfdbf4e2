//! The report end to end, on made-up results.

use super::*;
use crate::results::{
    AtEps, Better, ModelCard, Number, Origin, QUANTITY, Quantity, Sample, Table, keys,
};
use serde_json::{Map, Value};
use std::{collections::BTreeMap, fs};
use tch::{Device, Kind, Tensor};
use tensorfile::TensorFile;

/// An attack on maps that is made up.
pub(super) struct Run {
    pub model: ModelCard,
    pub data: String,
    pub method: String,
    pub attack: String,
    pub accuracy: f64,
    pub settings: BTreeMap<String, Value>,
    pub eps: Vec<AtEps>,
    pub auc: BTreeMap<String, Sample>,
    /// The file with the images of each radius, by its label.
    pub tensors: Map<String, Value>,
    pub origin: Origin,
}

impl Run {
    pub fn record(&self) -> Record {
        let mut rows = Table::default();
        let mut of = keys([("model", self.model.name.as_str())]);
        rows.push(&of, "accuracy", Number { n: Some(7), ..Number::exact(self.accuracy) });
        of.extend(keys([("method", self.method.as_str()), ("attack", &self.attack)]));
        AtEps::push(&mut rows, &of, &self.eps, &self.auc);
        let names = rows.distinct(QUANTITY).into_iter();
        let quantities = names.map(|name| Quantity::new(name, name, name, Better::Higher));
        Record {
            kind: "attack".into(),
            origin: Some(self.origin.clone()),
            models: vec![self.model.clone()],
            data: self.data.clone(),
            images: Some(7),
            settings: self.settings.clone(),
            quantities: quantities.collect(),
            rows,
            rest: Map::from_iter([("tensors".into(), Value::Object(self.tensors.clone()))]),
        }
    }

    fn found(&self, path: &str) -> Found {
        Found { path: path.into(), record: self.record(), walls: vec![] }
    }
}

/// A run at 2, 4, 8 and 16 of 255 with every metric of the table.
pub(super) fn run(training: &str, method: &str) -> Run {
    let at = |k: u32| {
        let metric = |mean: f64| {
            let stderr = Some(0.01 * f64::from(k));
            let mean_of_successes = Some(mean);
            Number { stderr, mean_of_successes, n: Some(7), ..Number::exact(mean) }.into()
        };
        let strength = 1.0 - f64::from(k) / 20.0;
        let metrics = ["k-in", "cor", "cdl", "cosd"].map(|name| (name.into(), metric(strength)));
        AtEps {
            eps: f64::from(k) / 255.0,
            label: format!("{k}/255"),
            success: Number::exact(0.9).into(),
            no_map: 0,
            metrics: BTreeMap::from(metrics),
            change: None,
        }
    };
    Run {
        origin: Origin {
            command: "gradproof attack --seed 1".into(),
            version: "0.1.0".into(),
            commit: "abc".into(),
            device: "cpu".into(),
            precision: "f32".into(),
            seed: 1,
            seconds: 3.0,
        },
        model: ModelCard {
            name: format!("resnet20-{training}"),
            arch: "resnet20".into(),
            training: training.into(),
            dataset: "shapes".into(),
            classes: vec!["cat".into(), "<dog>".into()],
        },
        data: "shapes".into(),
        accuracy: 0.95,
        method: method.into(),
        attack: "topk".into(),
        settings: BTreeMap::from([("k".into(), 20.into())]),
        eps: [2, 4, 8, 16].map(at).into(),
        auc: [("k-in", 1.5), ("cor", 2.)]
            .map(|(name, area)| (name.into(), Number::exact(area).into()))
            .into(),
        tensors: Map::new(),
    }
}

fn put(dir: &Path, name: &str, run: &Run) {
    fs::create_dir_all(dir).unwrap();
    fs::write(dir.join(name), serde_json::to_string(&run.record()).unwrap()).unwrap();
}

/// A log of a training that was resumed in epoch 2 and killed in epoch 3.
fn put_log(dir: &Path) {
    let line = |epoch: u32, accuracy: f64| {
        format!(
            "{{\"epoch\":{epoch},\"loss\":{{\"total\":1.0}},\"train_accuracy\":{accuracy},\
             \"test_accuracy\":null,\"learning_rate\":0.1,\"seconds\":2,\"images_per_second\":9}}\n"
        )
    };
    fs::create_dir_all(dir).unwrap();
    let log = line(1, 0.1) + &line(2, 0.2) + &line(2, 0.3) + "{\"epoch\":3,\"lo";
    fs::write(dir.join("log.jsonl"), log).unwrap();
}

fn tensors(images: i64) -> TensorFile {
    let float = (Kind::Float, Device::Cpu);
    let whole = (Kind::Int64, Device::Cpu);
    let maps = Tensor::ones([images, 3, 4, 4], float);
    let named = [
        ("images", Tensor::full([images, 3, 4, 4], 0.5, float)),
        ("adversarial", Tensor::full([images, 3, 4, 4], 0.52, float)),
        ("maps", maps.copy()),
        ("attacked_maps", maps.zeros_like()),
        ("labels", Tensor::zeros([images], whole)),
        ("targets", Tensor::ones([images], whole)),
        ("success", Tensor::ones([images], (Kind::Uint8, Device::Cpu))),
        ("k-in", Tensor::full([images], 0.15, float)),
    ];
    let tensors = named.map(|(name, tensor)| (name.to_owned(), tensor)).into();
    TensorFile { tensors, metadata: BTreeMap::new() }
}

fn message(dirs: &[PathBuf]) -> String {
    format!("{:#}", collect(dirs).unwrap_err())
}

#[test]
fn everything_is_found_once_and_written() {
    let (dir, out) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let mut shown = run("natural", "gxi");
    shown.tensors.insert("8/255".into(), "adv.safetensors".into());
    put(&dir.path().join("a"), "attack-gxi.json", &shown);
    put(&dir.path().join("b"), "other-name.json", &run("ssr", "gxi"));
    tensors(7).write(&dir.path().join("a/adv.safetensors")).unwrap();
    fs::write(dir.path().join("a/settings.json"), "{\"eps\": 3}").unwrap();
    put_log(&dir.path().join("train"));

    let twice = [dir.path().to_owned(), dir.path().join("a")];
    let inputs = collect(&twice).unwrap();
    assert_eq!(inputs.results.len(), 2);
    assert_eq!(inputs.results[0].walls[0].rows.len(), 7);
    assert_eq!(inputs.trainings[0].name, "train");
    assert_eq!(inputs.trainings[0].epochs.len(), 2);
    assert_eq!(inputs.trainings[0].epochs[1].train_accuracy, 0.3);

    let index = write(out.path(), &inputs).unwrap();
    let page = fs::read_to_string(&index).unwrap();
    let names: Vec<String> = fs::read_dir(out.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    for name in [
        "results.json",
        "results.csv",
        "curves-gxi-topk.png",
        "training-train.png",
        "wall-natural-gxi-topk.png",
    ] {
        assert!(names.contains(&name.to_owned()), "{name} is missing from {names:?}");
    }
    assert!(page.contains("data-class=\"&lt;dog&gt;\" data-success=\"yes\""), "a row an image");
    assert!(page.contains("data-file=\"") && page.contains("a/adv.safetensors\""));
    assert!(!page.contains("<dog>"));
    for outside in ["<script src", "src=\"http", "href=\"http", "url(", "@import"] {
        assert!(!page.contains(outside), "the page loads something: {outside}");
    }
    // The page's own folder can be reported again without counting anything twice.
    let error = message(&[out.path().to_owned()]);
    assert!(error.contains("nothing to report"), "{error}");
    // The same inputs give the same bytes.
    let again = tempfile::tempdir().unwrap();
    write(again.path(), &inputs).unwrap();
    for name in names {
        let bytes = fs::read(out.path().join(&name)).unwrap();
        assert!(bytes == fs::read(again.path().join(&name)).unwrap(), "{name} differs");
    }
}

#[test]
fn hostile_names_are_escaped_everywhere() {
    let evil = "<script>alert('1')</script> & \"x\",";
    let mut hostile = run("natural", "gxi");
    hostile.model.training = evil.into();
    hostile.model.arch = evil.into();
    hostile.model.name = evil.into();
    hostile.data = evil.into();
    hostile.method = evil.into();
    hostile.attack = evil.into();
    hostile.origin.command = evil.into();
    hostile.origin.device = evil.into();
    hostile.settings.insert(evil.into(), evil.into());
    hostile.eps[1].label = evil.into();
    let summary = hostile.eps[0].metrics["k-in"].clone();
    hostile.eps[0].metrics.insert(evil.into(), summary);
    let found = hostile.found(evil);
    let training = Training { name: evil.into(), epochs: vec![] };
    let inputs = Inputs { results: vec![found], trainings: vec![training], ..Inputs::default() };
    let dir = tempfile::tempdir().unwrap();
    let page = fs::read_to_string(write(dir.path(), &inputs).unwrap()).unwrap();
    assert!(!page.contains("<script>alert") && !page.contains("& \"x\""));
    assert!(page.contains("&lt;script&gt;alert('1')&lt;/script&gt; &amp; &quot;x&quot;,"));
    let csv = fs::read_to_string(dir.path().join("results.csv")).unwrap();
    assert!(csv.contains("\"<script>alert('1')</script> & \"\"x\"\",\""), "{csv}");
}

#[test]
fn a_line_for_each_number() {
    let found = |training| run(training, "gxi").found("r.json");
    let inputs = Inputs { results: vec![found("natural"), found("ssr")], ..Inputs::default() };
    let csv = tables::csv(&inputs).unwrap();
    let mut lines = csv.lines();
    let head: Vec<&str> = lines.next().unwrap().split(',').collect();
    for column in ["arch", "eps", "file", "kind", "method", "model", "quantity", "mean", "stderr"] {
        assert!(head.contains(&column), "{column}: {head:?}");
    }
    // Of each result: at 4 radii 4 similarities, success and images without a map; 2 areas; accuracy.
    assert_eq!(lines.count(), 2 * (4 * (4 + 2) + 2 + 1));
    let json: Vec<Record> = serde_json::from_str(&tables::json(&inputs).unwrap()).unwrap();
    assert_eq!(json.len(), 2);
}

#[test]
fn models_are_called_by_the_shortest_name_that_tells_them_apart() {
    let found = |training: &str, name: &str, file: &str| {
        let mut run = run(training, "gxi");
        run.model.name = name.into();
        run.found(file)
    };
    let results = vec![
        found("ssr", "last", "c/attack.json"),
        found("natural", "last", "a/attack.json"),
        found("adversarial", "l2", "b/attack.json"),
        found("adversarial", "linf", "d/attack.json"),
        found("ssr", "last", "c/attack-k80.json"),
    ];
    let inputs = Inputs { results, ..Inputs::default() };
    let groups = group::groups(&inputs);
    let labels: Vec<&str> = groups[0].entries.iter().map(|e| e.label.as_str()).collect();
    let expected =
        ["natural", "adversarial (l2)", "adversarial (linf)", "ssr, c/attack", "ssr, c/attack-k80"];
    assert_eq!(labels, expected);
}

#[test]
fn the_page_of_an_experiment_links_to_the_index_once_there_is_one() {
    let dir = tempfile::tempdir().unwrap();
    let run = dir.path().join("a-smoke");
    let page = |link: &str| format!("<p>{link}</p>");
    fs::create_dir_all(&run).unwrap();
    fs::write(run.join("run.json"), "{}").unwrap();
    let summary = r#"{"experiment":"a","title":"A","reproduces":[],"scale":"smoke","verdicts":[]}"#;
    fs::write(run.join("summary.json"), summary).unwrap();
    let hidden = document::hidden_link(experiment::INDEX);
    assert!(hidden.contains(" hidden") && hidden.contains("../index.html"), "{hidden}");
    fs::write(run.join("index.html"), page(&hidden)).unwrap();
    let dirs = [dir.path().to_owned()];
    let other = tempfile::tempdir().unwrap();
    write(other.path(), &collect(&dirs).unwrap()).unwrap();
    let read = || fs::read_to_string(run.join("index.html")).unwrap();
    assert_eq!(read(), page(&hidden), "the index lies elsewhere");
    for _ in 0..2 {
        write(dir.path(), &collect(&dirs).unwrap()).unwrap();
        assert_eq!(read(), page(&hidden.replace(" hidden", "")));
    }
    let index = fs::read_to_string(dir.path().join("index.html")).unwrap();
    assert!(index.contains("<title>1 experiment – gradproof report</title>"));
}

#[test]
fn bad_input_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let dirs = [dir.path().to_owned()];
    assert!(message(&[dir.path().join("none")]).starts_with("no such folder"));
    assert!(message(&dirs).contains("log.jsonl"));

    let broken = dir.path().join("attack.json");
    let whole = serde_json::to_string(&run("natural", "gxi").record()).unwrap();
    fs::write(&broken, &whole[..whole.len() / 2]).unwrap();
    assert!(message(&dirs).contains("attack.json` is not a whole JSON file"));
    fs::write(&broken, "{}").unwrap();
    assert!(message(&dirs).contains("attack.json` is not a result"));

    let mut wrong = run("natural", "gxi");
    wrong.accuracy = 95.0;
    put(dir.path(), "attack.json", &wrong);
    assert!(message(&dirs).contains("`accuracy` is 95"));
    wrong = run("natural", "gxi");
    wrong.eps.swap(0, 1);
    put(dir.path(), "attack.json", &wrong);
    assert!(message(&dirs).contains("ascending"));

    fs::remove_file(&broken).unwrap();
    fs::write(dir.path().join("log.jsonl"), "{\"epoch\":1}\n").unwrap();
    assert!(message(&dirs).contains("log.jsonl`, line 1"));
}

#[test]
fn pictures_that_do_not_belong_together_are_an_error() {
    let dir = tempfile::tempdir().unwrap();
    let dirs = [dir.path().to_owned()];
    let file = dir.path().join("adv.safetensors");
    let mut shown = run("natural", "gxi");
    shown.tensors.insert("2/255".into(), "adv.safetensors".into());
    put(dir.path(), "attack.json", &shown);
    assert!(collect(&dirs).unwrap().results[0].walls.is_empty(), "tensors may be gone");

    fs::write(&file, "half").unwrap();
    assert!(message(&dirs).contains("adv.safetensors"));
    let wrong = [
        ("adversarial", Tensor::zeros([7, 3, 4, 5], (Kind::Float, Device::Cpu))),
        ("maps", Tensor::zeros([6, 3, 4, 4], (Kind::Float, Device::Cpu))),
        ("labels", Tensor::zeros([6], (Kind::Int64, Device::Cpu))),
        ("images", Tensor::zeros([7], (Kind::Float, Device::Cpu))),
    ];
    for (name, tensor) in wrong {
        let mut bad = tensors(7);
        bad.tensors.insert(name.into(), tensor);
        bad.write(&file).unwrap();
        assert!(message(&dirs).contains(&format!("`{name}`")), "{name}: {}", message(&dirs));
    }
    let mut bad = tensors(7);
    bad.tensors.remove("success");
    bad.write(&file).unwrap();
    assert!(message(&dirs).contains("no tensor `success`"));
}
