//! Optimisers against PyTorch over five steps (tests/reference/optimizers.py), their saved state,
//! gradient clipping, moving averages and schedules against their formulas.

use models::{
    Classifier,
    zoo::{self, Normalisation, Shape},
};
use std::{collections::BTreeMap, path::Path};
use tch::{Device, Kind, Tensor};
use tensorfile::TensorFile;
use toml::Table;
use train::{
    ema::Ema,
    optimizer::{Named, Optimizer, clip_gradients, optimizer},
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

    /// The two weights at their start, in f64.
    fn weights(&self) -> Vec<Named> {
        let start = |name: &str| self.get(&format!("start.{name}")).set_requires_grad(true);
        ["a", "b"].map(|name| (name.to_owned(), start(name))).into()
    }

    fn step(&self, optimizer: &mut dyn Optimizer, weights: &[Named], step: i64) {
        for (name, weight) in weights {
            give(weight, &self.get(&format!("gradient.{name}")).get(step));
        }
        optimizer.step(weights, self.get("rates").double_value(&[step]));
    }
}

/// Adds `g` to the gradient of `weight`.
fn give(weight: &Tensor, g: &Tensor) {
    (weight * g).sum(g.kind()).backward();
}

fn most(t: &Tensor) -> f64 {
    t.abs().max().double_value(&[])
}

#[test]
fn every_step_agrees_with_pytorch() {
    let golden = Golden::read();
    for (case, options) in CASES {
        let (mut optimizer, weights) = (built(options), golden.weights());
        for step in 0..5 {
            golden.step(&mut *optimizer, &weights, step);
            for (name, weight) in &weights {
                let expected = golden.get(&format!("{case}.{name}")).get(step);
                let far = most(&(weight - expected));
                assert!(far < 1e-12, "{case}, step {step}: `{name}` is {far:e} off");
                assert_eq!(most(&weight.grad()), 0., "{case}: the gradient is cleared");
            }
        }
    }
}

#[test]
fn single_precision_stays_close() {
    let golden = Golden::read();
    for (case, options) in CASES {
        let mut optimizer = built(options);
        let single = |(name, weight): Named| {
            (name, weight.detach().to_kind(Kind::Float).set_requires_grad(true))
        };
        let weights: Vec<Named> = golden.weights().into_iter().map(single).collect();
        for step in 0..5 {
            for (name, weight) in &weights {
                let g = golden.get(&format!("gradient.{name}")).get(step);
                give(weight, &g.to_kind(Kind::Float));
            }
            optimizer.step(&weights, golden.get("rates").double_value(&[step]));
        }
        for (name, weight) in &weights {
            let far = most(&(weight - golden.get(&format!("{case}.{name}")).get(4)));
            assert!(far < 1e-6, "{case}: `{name}` is {far:e} off");
        }
    }
}

#[test]
fn a_restored_optimiser_goes_on_bit_for_bit() {
    let golden = Golden::read();
    for (case, options) in CASES {
        let (mut optimizer, weights) = (built(options), golden.weights());
        for step in 0..5 {
            if step == 2 {
                let state = optimizer.state();
                let copied = state.iter().map(|(name, t)| (name.clone(), t.copy())).collect();
                optimizer = built(options);
                optimizer.restore(&copied).unwrap();
            }
            golden.step(&mut *optimizer, &weights, step);
        }
        let (mut whole, undisturbed) = (built(options), golden.weights());
        (0..5).for_each(|step| golden.step(&mut *whole, &undisturbed, step));
        for ((name, resumed), (_, whole)) in weights.iter().zip(&undisturbed) {
            assert!(resumed.equal(whole), "{case}: `{name}`");
        }
    }
}

#[test]
fn the_state_of_another_optimiser_is_refused() {
    let golden = Golden::read();
    let state = |options: &str| {
        let mut optimizer = built(options);
        golden.step(&mut *optimizer, &golden.weights(), 0);
        optimizer.state()
    };
    for (has, wants) in [("name = 'sgd'", "name = 'adamw'"), ("name = 'adamw'", "name = 'sgd'")] {
        let told = built(wants).restore(&state(has)).unwrap_err().to_string();
        assert!(told.contains("another optimiser"), "{told}");
    }
}

#[test]
fn a_weight_without_a_gradient_stays() {
    let golden = Golden::read();
    for (case, options) in CASES {
        let (mut optimizer, weights) = (built(options), golden.weights());
        give(&weights[0].1, &golden.get("gradient.a").get(0));
        optimizer.step(&weights, 0.1);
        assert!(weights[1].1.equal(&golden.get("start.b")), "{case}");
        assert!(!weights[0].1.equal(&golden.get("start.a")), "{case}");
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
    for most_allowed in [0.5, 1e6] {
        let weights = golden.weights();
        let mut squares = 0.;
        for (name, weight) in &weights {
            let g = golden.get(&format!("gradient.{name}")).get(0);
            squares += (&g * &g).sum(Kind::Double).double_value(&[]);
            give(weight, &g);
        }
        clip_gradients(&weights, most_allowed);
        let factor = f64::min(1., most_allowed / (squares.sqrt() + 1e-6));
        for (name, weight) in &weights {
            let g = golden.get(&format!("gradient.{name}")).get(0);
            assert!(most(&(weight.grad() - &g * factor)) < 1e-6, "at most {most_allowed}");
            let theirs = golden.get(&format!("clipped.{name}"));
            let close = most(&(weight.grad() - theirs)) < 1e-6;
            assert!(close || most_allowed != 0.5, "`{name}` is not as PyTorch clips it");
        }
    }
    clip_gradients(&golden.weights(), 1.); // no gradient yet: nothing to do
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
    let mut ema = Ema::new(0.9, model.params());
    for step in 1..=3 {
        let moved = copies(model.params().tensors());
        let moved = moved.into_iter().map(|(name, t)| (name, t * 1.5 + f64::from(step))).collect();
        model.params().fill(&moved).unwrap();
        ema.update(model.params());
        for (name, now) in &moved {
            let average = &expected[name] * 0.9 + now * 0.1;
            expected.insert(name.clone(), average);
        }
    }
    for (name, found) in ema.average() {
        assert!(most(&(found - &expected[name])) < 1e-5, "`{name}`");
    }
    assert_eq!(ema.average().len(), expected.len());
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
