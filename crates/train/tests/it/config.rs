//! Settings of a run: defaults, `--set`, what is refused; and the objectives they name.

use models::{
    Classifier, Precision, noise,
    zoo::{self, Normalisation, Shape},
};
use tch::{Device, Kind, Tensor};
use toml::Table;
use train::{
    Config,
    objective::{Adversary, OBJECTIVES, Step, ValueAndGrad, objective},
};

const LEAST: &str = "epochs = 3
[data]
train = 'shapes'
[model]
arch = 'resnet20'
[optimizer]
name = 'sgd'
learning_rate = 0.1
";

fn parse(text: &str, set: &[&str]) -> anyhow::Result<Config> {
    Config::parse(text, &set.iter().map(|s| (*s).to_owned()).collect::<Vec<_>>())
}

fn told(text: &str, set: &[&str]) -> String {
    let message = format!("{:#}", parse(text, set).expect_err("it is refused"));
    assert!(!message.contains('\n'), "more than one line: {message}");
    message
}

#[test]
fn what_is_left_out_has_its_default() {
    let config = parse(LEAST, &[]).unwrap();
    assert_eq!((config.seed, config.batch_size, config.channels_last), (0, 128, true));
    assert_eq!((config.precision, config.clip, config.ema), (Precision::F32, None, None));
    assert_eq!(config.objective["name"].as_str(), Some("natural"));
    assert_eq!(config.schedule["name"].as_str(), Some("constant"));
    let again = parse(&config.to_toml(), &[]).unwrap();
    assert_eq!(again.to_toml(), config.to_toml(), "the resolved settings are settings");
}

#[test]
fn pytorchs_names_are_ours_in_the_resolved_settings() {
    let text = LEAST.replace("learning_rate", "lr").replace("'sgd'", "'SGD'");
    let text = format!("{text}[schedule]\nname = 'StepLR'\nstep_size = 3.0\n");
    let config = parse(&text, &["optimizer.lr=0.25", "objective.name=CrossEntropyLoss"]).unwrap();
    assert_eq!(config.optimizer["name"].as_str(), Some("sgd"));
    assert_eq!(config.optimizer["learning_rate"].as_float(), Some(0.25));
    assert!(!config.to_toml().contains("lr =") && !config.to_toml().contains("step_size"));
    assert_eq!(config.schedule["every"].as_float(), Some(3.));
    assert_eq!(config.objective["name"].as_str(), Some("natural"));
    let twice = LEAST.replace("learning_rate = 0.1", "learning_rate = 0.1\nlr = 0.2");
    assert!(told(&twice, &[]).contains("`learning_rate` and `lr` are names of one option"));
}

#[test]
fn set_reaches_every_setting() {
    let set = [
        "epochs=7",
        "precision=bf16",
        "optimizer.learning_rate = 0.5",
        "optimizer.nesterov=true",
        "schedule.name=cosine",
        "schedule.warmup=1.5",
        "objective.label_smoothing=0.1",
        "data.augment.crop=4",
        "data.augment.flip=true",
        "data.train=shapes:train=20,test=10",
        "ema=0.99",
        "clip=1",
    ];
    let config = parse(LEAST, &set).unwrap();
    assert_eq!((config.epochs, config.precision), (7, Precision::Bf16));
    assert_eq!(config.optimizer["learning_rate"].as_float(), Some(0.5));
    assert_eq!(config.optimizer["nesterov"].as_bool(), Some(true));
    assert_eq!(config.schedule["warmup"].as_float(), Some(1.5));
    assert_eq!(config.data.augment.map(|a| (a.crop, a.flip)), Some((4, true)));
    assert_eq!(config.data.train, "shapes:train=20,test=10");
    assert_eq!((config.ema, config.clip), (Some(0.99), Some(1.)));
    // the last one wins
    assert_eq!(parse(LEAST, &["seed=1", "seed=2"]).unwrap().seed, 2);
}

#[test]
fn what_cannot_be_meant_is_refused() {
    for (set, expected) in [
        ("epoch=3", "unknown field `epoch`"),
        ("data.path=x", "unknown field `path`"),
        ("data.augment.rotate=1", "unknown field `rotate`"),
        ("model.name=resnet20", "unknown field `name`"),
        ("epochs=0", "`epochs` is 0"),
        ("epochs=-1", "invalid value"),
        ("epochs=ten", "expected u32"),
        ("batch_size=0", "`batch_size` is 0"),
        ("precision=f16", "unknown variant `f16`, expected one of `f32`, `tf32`, `bf16`"),
        ("clip=0", "`clip` must be positive"),
        ("clip=nan", "`clip` must be positive"),
        ("ema=1.0", "`ema` must be in [0, 1)"),
        ("ema=-0.1", "`ema` must be in [0, 1)"),
        ("data.augment={crop=-1,flip=true}", "`crop = -1`"),
        ("epochs", "expected `key=value`"),
        ("epochs.much=3", "`epochs` is not a table"),
        ("optimizer=sgd", "expected a map"),
        ("model.frozen_norm=true", "`model.frozen_norm` needs `model.weights`"),
    ] {
        let message = told(LEAST, &[set]);
        assert!(message.contains(expected), "`--set {set}`: {message}");
    }
    for (text, expected) in [
        ("", "missing field `epochs`"),
        ("epochs = 3\nepochs = 4", "line 2: duplicate key"),
        ("epochs = 3\n[data\n", "line 2: "),
        ("\u{0}", "line 1: "),
    ] {
        let message = told(text, &[]);
        assert!(message.contains(expected), "{text}: {message}");
    }
}

fn small() -> (Classifier, Tensor, Tensor) {
    let shape = Shape { image: [3, 8, 8], classes: 4 };
    let none = Normalisation::parse("none", 3).unwrap();
    let model = Classifier::new(zoo::arch("resnet20").unwrap(), shape, none, 5, Device::Cpu);
    let x = noise::uniform(&[1], &[6, 3, 8, 8], Device::Cpu).squeeze_dim(0);
    (model, x, Tensor::from_slice(&[0i64, 1, 2, 3, 0, 2]))
}

/// One signed step.
struct Uphill;

impl Adversary for Uphill {
    fn perturb(&self, climb: &ValueAndGrad, x: &Tensor, keys: &[u64], scale: f64) -> Tensor {
        assert_eq!(keys.len() as i64, x.size()[0]);
        x + climb(x).1.sign() * (0.02 * scale)
    }
}

#[test]
fn every_objective_has_finite_parts_with_a_graph() {
    let (model, x, y) = small();
    for entry in OBJECTIVES {
        let attack = Table::from_iter([("attack".to_owned(), Table::new().into())]);
        let mut objective =
            (entry.build)(Table::new()).or_else(|_| (entry.build)(attack)).expect(entry.name);
        let numbers: Vec<i64> = (0..6).collect();
        let keys: Vec<u64> = (0..6).collect();
        let step = Step {
            numbers: &numbers,
            images: 6,
            keys: &keys,
            adversary: objective.attack().map(|_| &Uphill as &dyn Adversary),
            ..Step::new(&model, &x, &y)
        };
        let loss = objective.loss(&step);
        assert_eq!(loss.logits.size(), [6, 4], "{}", entry.name);
        let mut names: Vec<_> = loss.parts.iter().map(|(name, _)| *name).collect();
        names.dedup();
        assert!(!names.is_empty() && names.len() == loss.parts.len(), "{}", entry.name);
        for (part, value) in &loss.parts {
            assert!(value.dim() == 0 && value.requires_grad(), "{} {part}", entry.name);
            assert!(value.double_value(&[]).is_finite(), "{} {part}", entry.name);
        }
    }
}

#[test]
fn cross_entropy_and_smoothing_follow_their_formulas() {
    let (model, x, y) = small();
    for smoothing in [0., 0.2] {
        let asked = format!("name = 'natural'\nlabel_smoothing = {smoothing:?}");
        let mut natural = objective(&toml::from_str(&asked).unwrap()).unwrap();
        let step = Step::new(&model, &x, &y);
        let loss = natural.loss(&step);
        let logits = loss.logits.detach().to_kind(Kind::Double);
        let mut expected = 0.;
        for i in 0..6 {
            let row = Vec::<f64>::try_from(logits.get(i)).unwrap();
            let log_sum = row.iter().map(|z| z.exp()).sum::<f64>().ln();
            let own = log_sum - row[y.int64_value(&[i]) as usize];
            let mean = row.iter().map(|z| log_sum - z).sum::<f64>() / 4.;
            expected += ((1. - smoothing) * own + smoothing * mean) / 6.;
        }
        let found = loss.parts[0].1.double_value(&[]);
        assert!((found - expected).abs() < 1e-6, "smoothing {smoothing}: {found}, not {expected}");
    }
    for bad in ["1.0", "-0.1", "nan"] {
        let asked = format!("name = 'natural'\nlabel_smoothing = {bad}");
        let error = objective(&toml::from_str(&asked).unwrap()).err().unwrap();
        assert!(
            format!("{error:#}").contains("objective `natural`: `label_smoothing`"),
            "{error:#}"
        );
    }
}

fn written(folder: &std::path::Path, files: &[(&str, &str)]) {
    for (name, text) in files {
        std::fs::write(folder.join(name), text).unwrap();
    }
}

#[test]
fn files_extend_others_and_have_scales() {
    let folder = tempfile::tempdir().unwrap();
    let small = "extends = ['base.toml', 'ssr.toml']\nseed = 4\n[scale.smoke]\nbatch_size = 2\n";
    let base = format!("{LEAST}[scale.smoke]\nepochs = 1\ndata = {{ train = 'shapes:train=8' }}\n");
    let step = "[schedule]\nname = 'step'\nevery = 5\n";
    let other = "extends = ['base.toml']\n[optimizer]\nname = 'adamw'\n";
    let files =
        [("small.toml", small), ("base.toml", &base), ("ssr.toml", step), ("o.toml", other)];
    written(folder.path(), &files);
    let read = |name: &str, scale| Config::read(&folder.path().join(name), scale, &[]);
    let config = read("small.toml", None).unwrap();
    assert_eq!((config.seed, config.epochs, config.batch_size), (4, 3, 128));
    assert_eq!(config.schedule["every"].as_integer(), Some(5));
    let smoke = read("small.toml", Some("smoke")).unwrap();
    assert_eq!((smoke.seed, smoke.epochs, smoke.batch_size), (4, 1, 2));
    assert_eq!(smoke.data.train, "shapes:train=8");
    // Another optimiser does not inherit the options of the one it replaces.
    let optimizer = read("o.toml", None).unwrap().optimizer;
    assert_eq!(optimizer.get("learning_rate"), None);
}

#[test]
fn bad_extensions_and_scales_say_what_would_do() {
    let folder = tempfile::tempdir().unwrap();
    let circle = ("circle.toml", "extends = ['circle.toml']");
    let lost = ("lost.toml", "extends = ['nowhere.toml']");
    let word = ("word.toml", "extends = 'base.toml'");
    let scaled = format!("{LEAST}[scale.smoke]\nepochs = 1\n");
    written(folder.path(), &[circle, lost, word, ("scaled.toml", &scaled)]);
    for (name, scale, expected) in [
        ("circle.toml", None, "goes in a circle"),
        ("lost.toml", None, "nowhere.toml`"),
        ("word.toml", None, "`extends` is a list of files beside this one"),
        ("scaled.toml", Some("tiny"), "no scale `tiny`; known: smoke"),
    ] {
        let error = Config::read(&folder.path().join(name), scale, &[]).expect_err(name);
        let message = format!("{error:#}");
        assert!(message.contains(expected) && !message.contains('\n'), "{name}: {message}");
    }
}

#[test]
fn shared_statistics_are_refused_where_they_do_not_reach() {
    let parse = |more: &str| Config::parse(&format!("sync_norm = true\n{more}\n{LEAST}"), &[]);
    assert!(parse("").unwrap().to_toml().contains("sync_norm = true"));
    assert!(!Config::parse(LEAST, &[]).unwrap().to_toml().contains("sync_norm"), "as before");
    for (more, expected) in [
        ("objective = { name = 'ssr', norm = 'batch' }", "`objective.norm = \"batch\"`"),
        ("objective = { name = 'trades', attack_mode = 'train' }", "`objective.attack_mode"),
        ("objective = { name = 'ssr', norm = 'train' }", "`objective.norm = \"batch\"`"),
    ] {
        let message = format!("{:#}", parse(more).expect_err(more));
        assert!(message.contains("`sync_norm`") && message.contains(expected), "{message}");
    }
}
