//! TRADES, gradient-norm, curvature and IG-norm objectives: against PyTorch's whole graphs
//! (tests/reference/objectives.py) and finite differences, options refused, exact resume.

use crate::tiny::{self, Silent};
use models::{
    Classifier, HeldStatistics, Model, noise,
    zoo::{self, Normalisation, Shape},
};
use std::{cell::RefCell, path::Path};
use tch::{Device, Kind, Reduction, Tensor};
use tensorfile::TensorFile;
use toml::Table;
use train::{
    Config, Job,
    objective::{Adversary, Loss, Objective, Statistics, Step, ValueAndGrad, objective},
    run,
};

fn built(options: &str) -> Box<dyn Objective> {
    objective(&toml::from_str(options).unwrap()).unwrap()
}

/// "Attacks" with the images it was given and remembers what it should have climbed there.
struct Fixed {
    to: Tensor,
    seen: RefCell<Option<(Tensor, Tensor)>>,
}

impl Fixed {
    fn new(to: &Tensor) -> Self {
        Fixed { to: to.shallow_clone(), seen: RefCell::new(None) }
    }
}

impl Adversary for Fixed {
    fn perturb(&self, climb: &ValueAndGrad, _: &Tensor, _: &[u64], _: f64) -> Tensor {
        *self.seen.borrow_mut() = Some(climb(&self.to));
        self.to.shallow_clone()
    }
}

/// The cases of the generator.
const CASES: [&str; 5] = [
    "name = 'curvature'\nh = 1.5\nramp = 5",
    "name = 'gradient-norm'\nlambda = 0.7\nramp = 0",
    "name = 'ig-norm'",
    "name = 'ig-sum-norm'\ngamma = 0.3\npoints = 21\napprox_factor = 3\nchunk = 4",
    "name = 'trades'\nattack = {}",
];

fn golden() -> TensorFile {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/objectives.safetensors");
    TensorFile::read(&path).unwrap()
}

fn perceptron(golden: &TensorFile) -> Classifier {
    let shape = Shape { image: [1, 2, 3], classes: 3 };
    let normalisation = Normalisation::parse("none", 1).unwrap();
    let model = Classifier::blank(zoo::arch("mlp").unwrap(), shape, normalisation, Device::Cpu);
    let model = model.in_f64();
    let named = |(name, t): (&String, &Tensor)| {
        Some((name.strip_prefix("weight.")?.to_owned(), t.shallow_clone()))
    };
    model.params().fill(&golden.tensors.iter().filter_map(named).collect()).unwrap();
    model
}

fn assert_close(found: &Tensor, expected: &Tensor, within: f64, what: &str) {
    assert_eq!(found.size(), expected.size(), "{what}");
    let off = (found - expected).abs().max().double_value(&[]);
    let size = expected.abs().max().double_value(&[]);
    assert!(off <= within * size, "{what}: {off:e} off, sizes up to {size:e}");
}

#[test]
fn values_and_gradients_are_those_of_whole_graphs() {
    let golden = golden();
    let get = |name: &str| &golden.tensors[name];
    for options in CASES {
        let table: Table = toml::from_str(options).unwrap();
        let case = table["name"].as_str().unwrap();
        let model = perceptron(&golden);
        let fixed = Fixed::new(get("x_adv"));
        let step = Step {
            epoch: 2.5, // half of the ramp
            adversary: Some(&fixed),
            ..Step::new(&model, get("x"), get("y"))
        };
        let loss = built(options).loss(&step);
        let parts: Vec<&Tensor> = loss.parts.iter().map(|(_, part)| part).collect();
        assert_close(&Tensor::stack(&parts, 0), get(&format!("{case}.parts")), 1e-12, case);
        assert_close(&loss.observed[0].1, get(&format!("{case}.observed")), 1e-12, case);
        assert!(model.params().weights().iter().all(|(_, w)| !w.grad().defined()), "{case}");
        loss.total().backward();
        for (name, weight) in model.params().weights() {
            let expected = get(&format!("{case}.gradient.{name}"));
            assert_close(&weight.grad(), expected, 1e-11, &format!("{case} {name}"));
        }
        let climbed = fixed.seen.into_inner();
        assert_eq!(climbed.is_some(), golden.tensors.contains_key(&format!("{case}.value")));
        if let Some((value, slope)) = climbed {
            assert_close(&value, get(&format!("{case}.value")), 1e-12, case);
            assert_close(&slope, get(&format!("{case}.slope")), 1e-11, case);
        }
    }
}

/// Moves every weight by `by` times its direction.
fn shift(model: &Classifier, directions: &[Tensor], by: f64) {
    tch::no_grad(|| {
        for ((_, weight), direction) in model.params().weights().iter().zip(directions) {
            let _ = weight.shallow_clone().g_add_(&(direction * by));
        }
    });
}

#[test]
fn gradients_are_finite_differences() {
    let golden = golden();
    for options in CASES {
        let model = perceptron(&golden);
        let fixed = Fixed::new(&golden.tensors["x_adv"]);
        let (x, y) = (&golden.tensors["x"], &golden.tensors["y"]);
        let step = Step { epoch: 9., adversary: Some(&fixed), ..Step::new(&model, x, y) };
        let mut objective = built(options);
        objective.loss(&step).total().backward();
        let weights = model.params().weights();
        let directions: Vec<Tensor> = (0..weights.len())
            .map(|i| noise::normal(&[i as u64], &weights[i].1.size(), Device::Cpu).squeeze_dim(0))
            .collect();
        let slope: f64 = (weights.iter().zip(&directions))
            .map(|((_, w), d)| (w.grad() * d).sum(Kind::Double).double_value(&[]))
            .sum();
        let by = 1e-5;
        shift(&model, &directions, by);
        let above = objective.loss(&step).total().double_value(&[]);
        shift(&model, &directions, -2. * by);
        let below = objective.loss(&step).total().double_value(&[]);
        let found = (above - below) / (2. * by);
        assert!((found - slope).abs() < 1e-6 * slope.abs(), "{options}: {found}, not {slope}");
    }
}

fn resnet() -> Classifier {
    let shape = Shape { image: [3, 8, 8], classes: 3 };
    let normalisation = Normalisation::parse("0.5/0.25", 3).unwrap();
    Classifier::new(zoo::arch("resnet20").unwrap(), shape, normalisation, 4, Device::Cpu)
}

fn batch() -> (Tensor, Tensor) {
    let x = noise::uniform(&[1, 2, 3, 4], &[3, 8, 8], Device::Cpu);
    (x, Tensor::from_slice(&[0i64, 1, 2, 1]))
}

/// Values and gradients of the loss's last part.
fn penalty(model: &Classifier, loss: &Loss) -> (f64, Vec<Tensor>) {
    let part = &loss.parts[1].1;
    let weights: Vec<Tensor> = model.params().weights().into_iter().map(|(_, w)| w).collect();
    (part.double_value(&[]), Tensor::run_backward(&[part], &weights, true, false))
}

#[test]
fn trades_is_torchs_divergence_of_training_passes() {
    let model = resnet().in_f64();
    let (x, y) = batch();
    let x = x.to_kind(Kind::Double);
    let to = (&x + noise::normal(&[5, 6, 7, 8], &[3, 8, 8], Device::Cpu) * 0.03).clamp(0., 1.);
    for mode in ["eval", "train"] {
        let fixed = Fixed::new(&to);
        let step = Step { adversary: Some(&fixed), ..Step::new(&model, &x, &y) };
        let before = model.params().statistics();
        let options = format!("name = 'trades'\nbeta = 2\nattack = {{}}\nattack_mode = '{mode}'");
        let loss = built(&options).loss(&step);
        let (value, gradients) = penalty(&model, &loss);
        let (p, q) = (step.train_logits(&x), step.train_logits(&to));
        let (log_q, p) = (q.log_softmax(1, Kind::Double), p.softmax(1, Kind::Double));
        let expected = log_q.kl_div(&p, Reduction::Sum, false) / 4 * 2;
        assert!((value - expected.double_value(&[])).abs() < 1e-12, "{mode}");
        let weights: Vec<Tensor> = model.params().weights().into_iter().map(|(_, w)| w).collect();
        let expected = Tensor::run_backward(&[expected], &weights, false, false);
        for (found, expected) in gradients.iter().zip(&expected) {
            assert_close(found, expected, 1e-9, mode);
        }
        // The attack saw the network as it was before this step.
        model.params().restore_statistics(&before);
        let statistics = if mode == "eval" { Statistics::Running } else { Statistics::Batch };
        let network = step.network(statistics);
        let (p, q) = (network(&x).softmax(1, Kind::Double), network(&to));
        let kl = q.log_softmax(1, Kind::Double).kl_div(&p, Reduction::None, false);
        let kl = kl.sum_dim_intlist([1].as_slice(), false, None::<Kind>);
        assert_close(&fixed.seen.into_inner().unwrap().0, &kl, 1e-9, mode);
    }
}

#[test]
fn penalties_follow_the_statistics_asked_for() {
    let (x, y) = batch();
    for name in ["gradient-norm", "curvature"] {
        let values = ["running", "batch"].map(|norm| {
            let model = resnet();
            let step = Step { epoch: 5., ..Step::new(&model, &x, &y) };
            let loss = built(&format!("name = '{name}'\nnorm = '{norm}'")).loss(&step);
            let held = HeldStatistics::of(|ops| model.forward(&x, ops));
            // Image by image: the others of the batch are in its statistics alone.
            let one = |x: Tensor, y: Tensor| {
                let x = x.detach().set_requires_grad(true);
                let logits = match norm {
                    "batch" => model.forward(&x, &held),
                    _ => model.logits(&x),
                };
                let ce = logits.cross_entropy_loss(&y, None::<Tensor>, Reduction::Sum, -100, 0.);
                Tensor::run_backward(&[ce], &[&x], true, false).remove(0)
            };
            let g = |x: &Tensor| {
                let each = (0..4).map(|i| one(x.narrow(0, i, 1), y.narrow(0, i, 1)));
                Tensor::cat(&each.collect::<Vec<_>>(), 0)
            };
            let length = |d: &Tensor| d.square().flatten(1, -1).sum_dim_intlist(1, false, None);
            let mut d = g(&x);
            if name == "curvature" {
                let ahead = &x + d.sign() * (1.5 / 192f64.sqrt());
                d = g(&ahead) - d;
            }
            assert_close(&loss.observed[0].1, &length(&d), 1e-3, &format!("{name} {norm}"));
            let (_, gradients) = penalty(&model, &loss);
            assert!(gradients.iter().any(|g| g.defined() && g.abs().max().double_value(&[]) > 0.));
            loss.parts[1].1.double_value(&[])
        });
        assert!((values[0] - values[1]).abs() > 1e-3 * values[1].abs(), "{name}: {values:?}");
    }
}

#[test]
fn curvature_starts_without_a_step() {
    let (model, (x, y)) = (resnet(), batch());
    let loss = built("name = 'curvature'").loss(&Step::new(&model, &x, &y));
    assert_eq!(loss.parts[1].1.double_value(&[]), 0., "h is 0 at the start of its ramp");
}

#[test]
fn bad_options_are_refused() {
    let attack = "attack = { eps = 0.1, steps = 2";
    for (options, expected) in [
        ("name = 'trades'", "missing field `attack`"),
        (&format!("name = 'trades'\n{attack} }}\nbeta = -1"), "`beta` is -1"),
        (&format!("name = 'trades'\n{attack} }}\nramp = inf"), "`ramp` is inf"),
        (&format!("name = 'trades'\n{attack}, random_start = false }}"), "is flat at the clean"),
        (&format!("name = 'trades'\n{attack} }}\nattack_mode = 'both'"), "unknown variant `both`"),
        ("name = 'gradient-norm'\nlambda = nan", "`lambda` is NaN"),
        ("name = 'gradient-norm'\nbeta = 1", "unknown field `beta`"),
        ("name = 'curvature'\ngamma = -4", "`gamma` is -4"),
        ("name = 'curvature'\nh = -0.1", "`h` is -0.1"),
        ("name = 'curvature'\nramp = -1", "`ramp` is -1"),
        ("name = 'ig-norm'\ngamma = -0.1", "`gamma` is -0.1"),
        ("name = 'ig-norm'\npoints = 25", "`points` is 25, not a multiple of `approx_factor` = 10"),
        ("name = 'ig-norm'\npoints = 0", "`points` is 0; it must be positive"),
        ("name = 'ig-norm'\napprox_factor = 0", "`approx_factor` is 0"),
        ("name = 'ig-sum-norm'\nchunk = 0", "`chunk` is 0"),
        ("name = 'ig-sum-norm'\npoints = -5", "-5"),
        (&format!("name = 'ig-norm'\n{attack}, random_start = false }}"), "is flat at the clean"),
    ] {
        let told = objective(&toml::from_str(options).unwrap()).map(|_| ()).unwrap_err();
        let told = format!("{told:#}");
        assert!(told.contains(expected) && told.starts_with("objective `"), "{options}: {told}");
    }
    let sum = format!("name = 'ig-sum-norm'\n{attack}, random_start = false }}");
    assert!(built(&sum).attack().is_some(), "cross-entropy has a slope at the clean image");
}

/// Two signed-gradient steps in a box of 8/255 from a random start.
struct Signed;

impl Adversary for Signed {
    fn perturb(&self, climb: &ValueAndGrad, x: &Tensor, keys: &[u64], scale: f64) -> Tensor {
        let eps = 8. / 255. * scale;
        let into = |d: Tensor| (x + d.clamp(-eps, eps)).clamp(0., 1.);
        let start = (noise::uniform(keys, &x.size()[1..], x.device()) * 2. - 1.) * eps;
        (0..2).fold(into(start), |at, _| into(&at + climb(&at).1.sign() * (eps / 2.) - x))
    }
}

fn job(options: &str, out: &Path) -> Job {
    let text = format!(
        "epochs = 2\nbatch_size = 8\nclip = 0.1\nrobust_images = 4\n{}\n[data]\ntrain = 'grey'\n\
         augment = {{ crop = 1, flip = true }}\n[model]\narch = 'resnet20'\n\
         [optimizer]\nname = 'sgd'\nlearning_rate = 0.01\n",
        options
    );
    let config = Config::parse(&text, &[]).unwrap();
    let attacked = objective(&config.objective).unwrap().attack().is_some();
    let adversary = attacked.then(|| Box::new(Signed) as Box<dyn Adversary>);
    Job { adversary, ..tiny::job(&config, 3, [20, 6], out) }
}

#[test]
fn every_objective_trains_and_resumes_exactly() {
    let ig = "points = 4, approx_factor = 2, chunk = 3";
    for options in [
        "objective = { name = 'adversarial', attack = {}, clean = 0.5, ramp = 2 }",
        "objective = { name = 'curvature', ramp = 1 }",
        "objective = { name = 'gradient-norm' }",
        "objective = { name = 'gradient-norm', norm = 'batch' }",
        &format!("objective = {{ name = 'ig-norm', {ig} }}"),
        &format!("precision = 'bf16'\nobjective = {{ name = 'ig-norm', norm = 'batch', {ig} }}"),
        &format!("objective = {{ name = 'ig-sum-norm', {ig} }}"),
        "objective = { name = 'trades', attack = {}, ramp = 1 }",
        "precision = 'bf16'\nobjective = { name = 'trades', attack = {}, attack_mode = 'train' }",
    ] {
        let folder = tempfile::tempdir().unwrap();
        let (whole, killed) = (folder.path().join("whole"), folder.path().join("killed"));
        let lines = run(&job(options, &whole), &mut Silent).unwrap();
        for line in &lines {
            assert!(line.loss.values().all(|v| v.is_finite()), "{options}: {line:?}");
            let penalty = line.loss.keys().any(|part| *part != "cross-entropy" && part != "total");
            assert!(penalty, "{options}: {line:?}");
        }
        for (epoch, step) in [(1, 2), (1, 0), (2, 2)] {
            tiny::killed(&job(options, &killed), epoch, step);
        }
        let again = run(&job(options, &killed), &mut Silent).unwrap();
        for (a, b) in lines.iter().zip(&again) {
            assert_eq!((&a.loss, &a.observed), (&b.loss, &b.observed), "{options}");
            assert_eq!(a.robust_accuracy, b.robust_accuracy, "{options}");
        }
        let read = |folder: &Path| TensorFile::read(&folder.join("resume.safetensors")).unwrap();
        let (a, b) = (read(&whole).tensors, read(&killed).tensors);
        assert!(a.keys().eq(b.keys()));
        assert!(a.iter().all(|(name, t)| t.equal(&b[name])), "{options}: other weights");
    }
}
