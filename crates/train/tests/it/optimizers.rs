//! Optimisers against PyTorch over five steps (tests/reference/optimizers.py), their saved state,
//! gradient clipping, moving averages and schedules against their formulas.

use models::{
    Builder, Classifier, Init,
    params::flat::{Flat, Gradients},
    zoo::{self, Normalisation, Shape},
};
use std::{collections::BTreeMap, path::Path};
use tch::{Device, Kind, Tensor};
use tensorfile::TensorFile;
use toml::Table;
use train::{
    ema::Ema,
    optimizer::{Optimizer, optimizer},
    schedule::{SCHEDULES, schedule},
};

/// The cases of the generator.
const CASES: [(&str, &str); 6] = [
    ("sgd", "name = 'sgd'\nmomentum = 0"),
    ("momentum", "name = 'sgd'"),
    ("nesterov", "name = 'sgd'\nmomentum = 0.8\nnesterov = true\nweight_decay = 5e-2"),
    ("decay", "name = 'sgd'\nmomentum = 0.9\nweight_decay = 1e-2"),
    ("adamw", "name = 'adamw'"),
    ("adamw-options", "name = 'adamw'\nbetas = [0.8, 0.95]\neps = 1e-3\nweight_decay = 0.3"),
];

fn table(text: &str) -> Table {
    toml::from_str(text).unwrap()
}

fn built(options: &str) -> Box<dyn Optimizer> {
    optimizer(&table(&format!("{options}\nlearning_rate = 1"))).unwrap()
}

struct Golden(TensorFile);

impl Golden {
    fn read() -> Self {
        let path =
            Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/optimizers.safetensors");
        Golden(TensorFile::read(&path).unwrap())
    }

    fn get(&self, name: &str) -> Tensor {
        self.0.tensors[name].copy()
    }

    /// The two weights at their start, in f64 or f32.
    fn weights(&self, kind: Kind) -> Weights {
        let builder = Builder::blank(Device::Cpu);
        let start = |name: &str| (name.to_owned(), self.get(&format!("start.{name}")));
        let start = BTreeMap::from(NAMES.map(start));
        for (name, t) in &start {
            let _ = builder.weight(name, &t.size(), Init::Const(0.));
        }
        let params = builder.params();
        params.convert(kind);
        params.fill(&start).unwrap();
        let flat = Flat::new(&params);
        Weights { params, flat, kind }
    }

    fn gradients(&self, weights: &Weights, step: i64) -> Gradients {
        let g = |name: &str| self.get(&format!("gradient.{name}")).get(step).to_kind(weights.kind);
        weights.flat.gradients(&NAMES.map(g))
    }

    fn step(&self, optimizer: &mut dyn Optimizer, weights: &Weights, step: i64) {
        let rate = self.get("rates").double_value(&[step]);
        optimizer.step(&self.gradients(weights, step), rate);
    }
}

const NAMES: [&str; 2] = ["a", "b"];

struct Weights {
    params: std::rc::Rc<models::Params>,
    flat: Flat,
    kind: Kind,
}

impl Weights {
    fn named(&self) -> BTreeMap<String, Tensor> {
        self.params.tensors()
    }
}

fn most(t: &Tensor) -> f64 {
    t.abs().max().double_value(&[])
}

#[test]
fn every_step_agrees_with_pytorch() {
    let golden = Golden::read();
    for (case, options) in CASES {
        let (mut optimizer, weights) = (built(options), golden.weights(Kind::Double));
        for step in 0..5 {
            golden.step(&mut *optimizer, &weights, step);
            for (name, weight) in weights.named() {
                let expected = golden.get(&format!("{case}.{name}")).get(step);
                let far = most(&(weight - expected));
                assert!(far < 1e-12, "{case}, step {step}: `{name}` is {far:e} off");
            }
        }
    }
}

#[test]
fn single_precision_stays_close() {
    let golden = Golden::read();
    for (case, options) in CASES {
        let (mut optimizer, weights) = (built(options), golden.weights(Kind::Float));
        (0..5).for_each(|step| golden.step(&mut *optimizer, &weights, step));
        for (name, weight) in weights.named() {
            let far = most(&(weight - golden.get(&format!("{case}.{name}")).get(4)));
            assert!(far < 1e-6, "{case}: `{name}` is {far:e} off");
        }
    }
}

#[test]
fn a_restored_optimiser_goes_on_bit_for_bit() {
    let golden = Golden::read();
    for (case, options) in CASES {
        let (mut optimizer, weights) = (built(options), golden.weights(Kind::Double));
        for step in 0..5 {
            if step == 2 {
                let state = optimizer.state(&weights.flat);
                let copied = state.iter().map(|(name, t)| (name.clone(), t.copy())).collect();
                optimizer = built(options);
                optimizer.restore(&weights.flat, &copied).unwrap();
            }
            golden.step(&mut *optimizer, &weights, step);
        }
        let (mut whole, undisturbed) = (built(options), golden.weights(Kind::Double));
        (0..5).for_each(|step| golden.step(&mut *whole, &undisturbed, step));
        for (name, whole) in undisturbed.named() {
            assert!(weights.named()[&name].equal(&whole), "{case}: `{name}`");
        }
    }
}

#[test]
fn the_state_of_something_else_is_refused() {
    let golden = Golden::read();
    let weights = golden.weights(Kind::Double);
    let state = |options: &str| {
        let mut optimizer = built(options);
        golden.step(&mut *optimizer, &weights, 0);
        optimizer.state(&weights.flat)
    };
    let told = |wants: &str, state: &BTreeMap<String, Tensor>| {
        built(wants).restore(&weights.flat, state).unwrap_err().to_string()
    };
    for (has, wants) in [("name = 'sgd'", "name = 'adamw'"), ("name = 'adamw'", "name = 'sgd'")] {
        let told = told(wants, &state(has));
        assert!(told.contains("another optimiser"), "{told}");
    }
    let mut other = state("name = 'sgd'");
    let a = other.remove("velocity/a").unwrap();
    other.insert("velocity/c".into(), a.shallow_clone());
    assert!(told("name = 'sgd'", &other).contains("another network"));
    other.remove("velocity/c");
    other.insert("velocity/a".into(), a.reshape([-1, 1]));
    assert!(told("name = 'sgd'", &other).contains("`velocity` of `a` is not"));
}

#[test]
fn a_weight_without_a_gradient_stays() {
    let golden = Golden::read();
    for (case, options) in CASES {
        let (mut optimizer, weights) = (built(options), golden.weights(Kind::Double));
        let a = golden.get("gradient.a").get(0);
        optimizer.step(&weights.flat.gradients(&[a, Tensor::new()]), 0.1);
        assert!(weights.named()["b"].equal(&golden.get("start.b")), "{case}");
        assert!(!weights.named()["a"].equal(&golden.get("start.a")), "{case}");
        let state = optimizer.state(&weights.flat);
        assert!(state.keys().all(|name| !name.ends_with("/b")), "{case}: nothing is kept of `b`");
    }
}

#[test]
fn options_out_of_range_are_refused() {
    for (text, told) in [
        ("name = 'sgd'", "learning_rate"),
        ("name = 'sgd'\nlearning_rate = 0", "`learning_rate` is 0"),
        ("name = 'sgd'\nlearning_rate = nan", "`learning_rate` is NaN"),
        ("name = 'adamw'\nlearning_rate = -1", "`learning_rate` is -1"),
        ("name = 'sgd'\nlearning_rate = 1\nmomentum = 1", "`momentum`: 1 is not in [0, 1)"),
        ("name = 'sgd'\nlearning_rate = 1\nweight_decay = -0.1", "`weight_decay` is -0.1"),
        ("name = 'sgd'\nlearning_rate = 1\nbetas = [0.9, 0.99]", "unknown field `betas`"),
        ("name = 'adamw'\nlearning_rate = 1\nbetas = [0.9, 1.0]", "`betas`: 1 is not in [0, 1)"),
        ("name = 'adamw'\nlearning_rate = 1\nbetas = [0.9]", "optimizer `adamw`"),
        ("name = 'adamw'\nlearning_rate = 1\neps = 0", "`eps` is 0"),
        (
            "name = 'adam'\nlearning_rate = 1",
            "unknown optimizer `adam`; known, nearest first: adamw",
        ),
    ] {
        let error = optimizer(&table(text)).err().unwrap();
        assert!(format!("{error:#}").contains(told), "{text}: {error:#}");
    }
}

#[test]
fn clipping_follows_its_formula() {
    let golden = Golden::read();
    let weights = golden.weights(Kind::Double);
    for most_allowed in [0.5, 1e6] {
        let mut gradients = golden.gradients(&weights, 0);
        let of = |name: &str| golden.get(&format!("gradient.{name}")).get(0);
        let squares = |name| of(name).square().sum(Kind::Double).double_value(&[]);
        let norm = NAMES.map(squares).iter().sum::<f64>().sqrt();
        gradients.clip(most_allowed);
        let factor = f64::min(1., most_allowed / (norm + 1e-6));
        for (name, clipped) in weights.flat.split(&gradients.values) {
            assert!(most(&(&clipped - of(&name) * factor)) < 1e-6, "at most {most_allowed}");
            let close = most(&(clipped - golden.get(&format!("clipped.{name}")))) < 1e-6;
            assert!(close || most_allowed != 0.5, "`{name}` is not as PyTorch clips it");
        }
    }
}

#[test]
fn an_average_follows_its_formula() {
    let shape = Shape { image: [2, 1, 1], classes: 2 };
    let none = Normalisation::parse("none", 2).unwrap();
    let model = Classifier::new(zoo::arch("mlp").unwrap(), shape, none, 3, Device::Cpu);
    let copies = |of: BTreeMap<String, Tensor>| -> BTreeMap<String, Tensor> {
        of.into_iter().map(|(name, t)| (name, t.copy())).collect()
    };
    let mut expected = copies(model.params().tensors());
    let flat = Flat::new(model.params());
    let mut ema = Ema::new(0.9, model.params(), &flat);
    for step in 1..=3 {
        let moved = copies(model.params().tensors());
        let moved = moved.into_iter().map(|(name, t)| (name, t * 1.5 + f64::from(step))).collect();
        model.params().fill(&moved).unwrap();
        ema.update(&flat);
        for (name, now) in &moved {
            let average = &expected[name] * 0.9 + now * 0.1;
            expected.insert(name.clone(), average);
        }
    }
    let average = ema.average();
    for (name, found) in &average {
        assert!(most(&(found - &expected[name])) < 1e-5, "`{name}`");
    }
    assert_eq!(average.len(), expected.len());
    let mut again = Ema::new(0.5, model.params(), &flat);
    again.restore(&average).unwrap();
    assert!(again.average().iter().all(|(name, t)| t.equal(&average[name])));
    assert!(again.restore(&BTreeMap::new()).unwrap_err().to_string().contains("has no `"));
}

#[test]
fn schedules_have_the_values_they_must() {
    let half = 0.5 + 0.5 * (std::f64::consts::PI / 4.).cos();
    let cases: [(&str, &[(f64, f64)]); 7] = [
        ("name = 'constant'", &[(0., 1.), (5., 1.), (9.99, 1.)]),
        ("name = 'constant'\nwarmup = 4", &[(0., 0.), (1., 0.25), (3., 0.75), (4., 1.), (9., 1.)]),
        ("name = 'cosine'", &[(0., 1.), (2.5, half), (5., 0.5), (7.5, 1. - half), (10., 0.)]),
        ("name = 'cosine'\nwarmup = 2", &[(0., 0.), (1., 0.5), (2., 1.), (6., 0.5), (10., 0.)]),
        ("name = 'one-cycle'\npeak = 0.4", &[(0., 0.), (2., 0.5), (4., 1.), (7., 0.5), (10., 0.)]),
        (
            "name = 'cycles'\nlengths = [3, 2]\nheights = [1, 0.4]\npeak = 0.5",
            &[
                (0., 0.),
                (1.5, 0.5),
                (3., 1.),
                (4.5, 0.5),
                (6., 0.),
                (8., 0.4),
                (9., 0.2),
                (10., 0.),
            ],
        ),
        (
            "name = 'step'\nevery = 3\ngamma = 0.5\nwarmup = 1",
            &[(0., 0.), (0.5, 0.5), (1., 1.), (2.99, 1.), (3., 0.5), (6., 0.25), (9., 0.125)],
        ),
    ];
    for (text, values) in cases {
        let schedule = schedule(&table(text)).unwrap();
        for (at, expected) in values {
            let found = schedule.factor(*at, 10.);
            assert!((found - expected).abs() < 1e-12, "{text} at {at}: {found}, not {expected}");
        }
    }
}

#[test]
fn every_schedule_stays_between_0_and_1() {
    for entry in SCHEDULES {
        let tables = match entry.name {
            "one-cycle" => vec!["", "peak = 0.01", "peak = 0.99"],
            "cycles" => vec![
                "lengths = [3, 2]\nheights = [1, 0.4]",
                "lengths = [1, 1, 1, 4, 0.7]\nheights = [1, 1, 1, 0, 1]\npeak = 0.9",
            ],
            _ => vec!["", "warmup = 3", "warmup = 10", "warmup = 30"],
        };
        for options in tables {
            let schedule = (entry.build)(table(options)).unwrap();
            for i in 0..=3000 {
                let factor = schedule.factor(f64::from(i) / 300., 10.);
                let told = entry.name;
                assert!((0. ..=1.).contains(&factor), "{told} {options:?} at {i}: {factor}");
            }
        }
    }
}

#[test]
fn schedules_out_of_range_are_refused() {
    for (text, told) in [
        ("name = 'cosine'\nwarmup = -1", "`warmup` is -1"),
        ("name = 'constant'\nwarmup = inf", "`warmup` is inf"),
        ("name = 'step'\nevery = 0", "`every` is 0"),
        ("name = 'step'\ngamma = 2", "`gamma` is 2"),
        ("name = 'one-cycle'\npeak = 1", "`peak` is 1"),
        ("name = 'cycles'\nlengths = [1]\nheights = []", "1 `lengths`, 0 `heights`"),
        ("name = 'cycles'\nlengths = [0]\nheights = [1]", "`lengths` must be positive"),
        ("name = 'cycles'\nlengths = [1]\nheights = [2]", "`heights` must be in [0, 1]"),
        ("name = 'cosine'\nwarm = 1", "unknown field `warm`"),
        ("name = 'cosin'", "unknown schedule `cosin`; known, nearest first: cosine"),
        ("warmup = 1", "missing `name`"),
        ("name = 3", "`name` is 3, not a string"),
    ] {
        let error = schedule(&table(text)).err().unwrap();
        assert!(format!("{error:#}").contains(told), "{text}: {error:#}");
    }
}
