//! SSR against the paper's formulas written again, slowly: an explicit Hessian, explicit W and M,
//! finite differences of the parameters; what `warm` keeps; resume; refusals.

use crate::tiny::{self, Silent};
use models::{
    Classifier, Model,
    grad::{self, Graph, pull},
    noise,
};
use std::{collections::BTreeMap, path::Path};
use tch::{Device, Kind, Tensor};
use tensorfile::TensorFile;
use train::{
    Config, Job, curvature,
    objective::{Objective, Statistics, Step, objective},
    run,
};

const CLASSES: i64 = 5;

pub(super) fn ssr(options: &str) -> Box<dyn Objective> {
    objective(&toml::from_str(&format!("name = 'ssr'\nramp = 0\n{options}")).unwrap()).unwrap()
}

/// A classifier in f64 for 3×8×8 images, its running statistics off their start.
pub(super) fn model(arch: &str) -> Classifier {
    let model = tiny::model(arch, CLASSES, 7).in_f64();
    let (x, y) = images(6, 77);
    let _ = tch::no_grad(|| Step::new(&model, &x, &y).train_logits(&x));
    model
}

/// Random images and labels.
pub(super) fn images(n: u64, seed: u64) -> (Tensor, Tensor) {
    let keys: Vec<u64> = (0..n).map(|image| noise::key(seed, image, 0)).collect();
    let x = noise::uniform(&keys, &[3, 8, 8], Device::Cpu).to_kind(Kind::Double);
    (x, Tensor::arange(n as i64, (Kind::Int64, Device::Cpu)).remainder(CLASSES))
}

/// W `[N, K, C, H, W]` with a graph, and p `[N, K]`, for the network `f` on `x`.
pub(super) fn jacobian(f: &dyn Fn(&Tensor) -> Tensor, x: &Tensor) -> (Tensor, Tensor) {
    let x = x.detach().set_requires_grad(true);
    let logits = f(&x);
    let row = |k| pull(&logits.select(1, k).sum(None::<Kind>), &x, Graph::Keep);
    let rows: Vec<Tensor> = (0..logits.size()[1]).map(row).collect();
    (Tensor::stack(&rows, 1), logits.softmax(1, logits.kind()))
}

/// The largest eigenvalue of W(diag p − ppᵀ)Wᵀ, formed in the space of images: `[N]`.
pub(super) fn paper(w: &Tensor, p: &Tensor) -> Tensor {
    let w = w.flatten(2, -1); // [N, K, D]
    let spread = p.diag_embed(0, 1, 2) - p.unsqueeze(2).matmul(&p.unsqueeze(1));
    w.transpose(1, 2).bmm(&spread).bmm(&w).linalg_eigvalsh("L").select(1, -1)
}

pub(super) fn close(a: &Tensor, b: &Tensor, tolerance: f64) -> bool {
    let norm = |t: &Tensor| t.norm().double_value(&[]);
    norm(b) > 0. && norm(&(a - b)) <= tolerance * norm(b)
}

/// ξ per image and the penalty of a step that leaves weights and running statistics as they were.
pub(super) fn observe(ssr: &mut dyn Objective, step: &Step) -> (Tensor, Tensor) {
    let buffers = step.model.params().statistics();
    let loss = ssr.loss(step);
    step.model.params().restore_statistics(&buffers);
    assert_eq!((loss.parts[0].0, loss.parts[1].0), ("cross-entropy", "ssr"));
    assert_eq!(loss.observed[0].0, "xi");
    (loss.observed[0].1.copy(), loss.parts[1].1.shallow_clone())
}

/// ξ per image of the network that the step's own pass left behind.
fn settle(ssr: &mut dyn Objective, model: &Classifier, x: &Tensor, y: &Tensor) -> Tensor {
    let loss = ssr.loss(&Step::new(model, x, y));
    loss.observed[0].1.copy()
}

#[test]
fn it_is_the_top_eigenvalue_of_an_explicit_hessian() {
    for arch in ["cnn", "resnet20"] {
        let (model, (x, y)) = (model(arch), images(2, 1));
        let xi = settle(&mut *ssr(""), &model, &x, &y);
        for n in 0..2 {
            let (x, y) = (x.narrow(0, n, 1).set_requires_grad(true), y.narrow(0, n, 1));
            let loss = grad::cross_entropy(&model.logits(&x), &y).sum(None::<Kind>);
            let g = pull(&loss, &x, Graph::Keep).flatten(0, -1);
            let row = |d| Tensor::run_backward(&[g.get(d)], &[&x], true, false).remove(0);
            let rows: Vec<Tensor> = (0..192).map(|d| row(d).flatten(0, -1)).collect();
            let top = Tensor::stack(&rows, 0).linalg_eigvalsh("L").double_value(&[-1]);
            let found = xi.double_value(&[n]);
            assert!((found - top).abs() <= 1e-8 * top, "{arch}: {found}, Hessian {top}");
        }
    }
}

#[test]
fn it_is_a_gradient_norm_along_the_eigenvector() {
    let (model, (x, y)) = (model("mlp"), images(4, 2));
    let (w, p) = jacobian(&|x| model.logits(x), &x);
    let root = p.sqrt();
    // M Mᵀ = diag p − ppᵀ, and the rows of J = ∂(2√p)/∂x are those of (W M)ᵀ.
    let m = root.diag_embed(0, 1, 2) - p.unsqueeze(2).matmul(&root.unsqueeze(1));
    let spread = p.diag_embed(0, 1, 2) - p.unsqueeze(2).matmul(&p.unsqueeze(1));
    assert!(close(&m.bmm(&m.transpose(1, 2)), &spread, 1e-12));
    let (j, _) = jacobian(&|x| model.logits(x).softmax(1, Kind::Double).sqrt() * 2., &x);
    let j = j.flatten(2, -1);
    assert!(close(&j, &m.transpose(1, 2).bmm(&w.flatten(2, -1)), 1e-10));
    let top = j.bmm(&j.transpose(1, 2)).linalg_eigvalsh("L").select(1, -1);
    assert!(close(&top, &paper(&w, &p), 1e-9));
    for eigenvector in ["exact", "naive"] {
        let options = format!("eigenvector = '{eigenvector}'");
        assert!(close(&settle(&mut *ssr(&options), &model, &x, &y), &top, 1e-9), "{eigenvector}");
    }
}

/// The gradient of `value` in every weight, as one vector.
pub(super) fn flat_gradient(model: &Classifier, value: &Tensor) -> Tensor {
    let weights: Vec<Tensor> = model.params().weights().into_iter().map(|(_, w)| w).collect();
    let gradients = Tensor::run_backward(&[value], &weights, true, false);
    let flat = gradients.iter().zip(&weights).map(|(g, w)| match g.defined() {
        true => g.flatten(0, -1),
        false => w.detach().zeros_like().flatten(0, -1),
    });
    Tensor::cat(&flat.collect::<Vec<_>>(), 0)
}

/// Moves every weight by `by` times its part of `direction`.
fn shift(model: &Classifier, direction: &Tensor, by: f64) {
    let mut start = 0;
    for (_, w) in model.params().weights() {
        let part = direction.narrow(0, start, w.numel() as i64).view_as(&w) * by;
        start += w.numel() as i64;
        let _ = tch::no_grad(|| w.shallow_clone().g_add_(&part));
    }
}

#[test]
fn its_parameter_gradient_is_exact() {
    for (arch, step, tolerance) in
        [("mlp", 1e-5, 1e-6), ("cnn", 1e-6, 1e-3), ("resnet20", 1e-6, 1e-3)]
    {
        let (model, (x, y)) = (model(arch), images(4, 3));
        let options = "beta = 0.5\nscale = 3";
        let buffers = model.params().statistics();
        let penalty = |more: &str| {
            model.params().restore_statistics(&buffers);
            let loss = ssr(&format!("{options}\n{more}")).loss(&Step::new(&model, &x, &y));
            flat_gradient(&model, &loss.parts[1].1)
        };
        let (exact, naive) = (penalty(""), penalty("eigenvector = 'naive'"));
        assert!(close(&exact, &naive, 1e-6), "{arch}: exact is not naive");
        // The running statistics stay where the step left them.
        let value = || {
            let (w, p) = jacobian(&|x| model.logits(x), &x);
            (paper(&w, &p).mean(Kind::Double) * 1.5).double_value(&[])
        };
        for seed in 0..3 {
            let direction = noise::normal(&[seed], &exact.size(), Device::Cpu).squeeze_dim(0);
            let direction = &direction / direction.norm();
            shift(&model, &direction, step);
            let above = value();
            shift(&model, &direction, -2. * step);
            let slope = (above - value()) / (2. * step);
            shift(&model, &direction, step);
            let found = exact.dot(&direction.to_kind(Kind::Double)).double_value(&[]);
            let size = exact.norm().double_value(&[]) / (exact.numel() as f64).sqrt();
            let off = (found - slope).abs() / found.abs().max(size);
            assert!(off < tolerance, "{arch}: gradient {found}, differences {slope}");
        }
    }
}

#[test]
fn options_do_what_they_say() {
    let (model, (x, y)) = (model("cnn"), images(6, 4));
    let (w, p) = jacobian(&|x| model.logits(x), &x);
    let xi = paper(&w, &p);
    let step = Step::new(&model, &x, &y);
    let ce = grad::cross_entropy(&model.logits(&x), &y).mean(Kind::Double);
    let part = |loss: &train::objective::Loss, i: usize| loss.parts[i].1.double_value(&[]);
    let [ce, mean] = [&ce, &xi.mean(Kind::Double)].map(|t| t.double_value(&[]));
    for (options, share, factor) in [
        ("", 1., 0.3 * 1e6 / 65025.),
        ("beta = 0.2\nscale = 10", 1., 2.),
        ("beta = 0.2\nscale = '1/2'\nconvex = true", 0.8, 0.1),
    ] {
        let loss = ssr(options).loss(&step);
        assert!((part(&loss, 0) - share * ce).abs() < 1e-9, "{options}");
        assert!((part(&loss, 1) - factor * mean).abs() < 1e-9 * factor * mean, "{options}");
    }

    let averaged = paper(&w.mean_dim([2i64].as_slice(), true, Kind::Double), &p);
    for eigenvector in ["exact", "naive"] {
        let options = format!("channels = 'mean'\neigenvector = '{eigenvector}'");
        let (found, _) = observe(&mut *ssr(&options), &step);
        assert!(close(&found, &averaged, 1e-9) && !close(&found, &xi, 0.1), "{eigenvector}");
    }

    let (found, penalty) = observe(&mut *ssr("clip = 0.4\nbeta = 1\nscale = 1"), &step);
    assert!(close(&found, &xi, 1e-9), "what is observed is not cut");
    let most = xi.sort(0, false).0.double_value(&[2]); // 0.4 of the way from 0 to 5
    let cut = xi.clamp_max(most).mean(Kind::Double).double_value(&[]);
    assert!((penalty.double_value(&[]) - cut).abs() < 1e-9 * cut);
}

#[test]
fn frozen_norms_are_one_function_in_one_pass() {
    let (model, (x, y)) = (model("resnet20"), images(4, 9));
    let before: Vec<Tensor> = model.params().statistics().values().map(Tensor::copy).collect();
    let (w, p) = jacobian(&|x| model.logits(x), &x);
    let xi = paper(&w, &p);
    let frozen = Step { frozen_norm: true, ..Step::new(&model, &x, &y) };
    for options in ["", "norm = 'batch'", "eigenvector = 'naive'"] {
        let loss = ssr(&format!("beta = 1\nscale = 1\n{options}")).loss(&frozen);
        assert!(close(&loss.logits, &model.logits(&x), 1e-12), "{options}");
        assert!(close(&loss.observed[0].1, &xi, 1e-9), "{options}: one statistic for all");
    }
    let after = model.params().statistics();
    assert!(before.iter().zip(after.values()).all(|(a, b)| a.equal(b)), "they did not move");
    // The shared pass has the gradient of two passes.
    let both = |step: &Step| {
        let loss = ssr("beta = 1\nscale = 1").loss(step);
        (flat_gradient(&model, &loss.parts[0].1), flat_gradient(&model, &loss.parts[1].1))
    };
    let (ce, penalty) = both(&frozen);
    let alone = grad::cross_entropy(&frozen.logits(&x, Statistics::Running), &y).mean(Kind::Double);
    assert!(close(&ce, &flat_gradient(&model, &alone), 1e-10));
    let (w, p) = jacobian(&|x| frozen.logits(x, Statistics::Running), &x);
    let direct = paper(&w, &p).mean(Kind::Double);
    assert!(close(&penalty, &flat_gradient(&model, &direct), 1e-6));
}

#[test]
fn warm_tends_to_exact() {
    for channels in ["all", "mean"] {
        let (model, (x, y)) = (model("resnet20"), images(8, 6));
        let numbers: Vec<i64> = (0..8).rev().collect();
        let step = Step { numbers: &numbers, images: 9, ..Step::new(&model, &x, &y) };
        let (exact, _) = observe(&mut *ssr(&format!("channels = '{channels}'")), &step);
        let mut warm = ssr(&format!("channels = '{channels}'\neigenvector = 'warm'"));
        let mut before = 0.;
        for visit in 0..40 {
            let (xi, _) = observe(&mut *warm, &step);
            let ratio = (xi / &exact).min().double_value(&[]);
            assert!(ratio > before - 1e-9 && ratio < 1. + 1e-9, "visit {visit}: {ratio}");
            before = ratio;
        }
        assert!(before > 0.999, "{before}");
        let kept = &warm.state()["directions"];
        let norms = kept.square().sum_dim_intlist([1i64].as_slice(), false, Kind::Double).sqrt();
        let ones = Tensor::from_slice(&[1., 1., 1., 1., 1., 1., 1., 1., 0.]);
        assert!(close(&norms, &ones, 1e-9), "eight were visited, one was not");
        // Another objective goes on from there.
        let mut other = ssr(&format!("channels = '{channels}'\neigenvector = 'warm'"));
        other.restore(warm.state()).unwrap();
        assert!(observe(&mut *other, &step).0.equal(&observe(&mut *warm, &step).0));
    }
}

#[test]
fn what_is_not_finite_is_told_and_not_kept() {
    let (model, (x, y)) = (model("resnet20"), images(4, 8));
    let (_, first) = model.params().weights().swap_remove(0);
    let _ = tch::no_grad(|| first.shallow_clone().fill_(f64::NAN));
    for eigenvector in ["exact", "warm", "naive"] {
        let mut ssr = ssr(&format!("eigenvector = '{eigenvector}'"));
        let step = Step { numbers: &[0, 1, 2, 3], images: 4, ..Step::new(&model, &x, &y) };
        let total = ssr.loss(&step).total();
        assert!(total.double_value(&[]).is_nan(), "{eigenvector}");
        for (name, kept) in ssr.state() {
            assert!(bool::try_from(kept.isfinite().all()).unwrap(), "{name}");
        }
    }
}

const CONFIG: &str = "epochs = 3
batch_size = 8
[data]
train = 'grey'
augment = { crop = 1, flip = true }
[model]
arch = 'resnet20'
[objective]
name = 'ssr'
scale = 1
[optimizer]
name = 'sgd'
learning_rate = 0.05
";

fn job(out: &Path, eigenvector: &str) -> Job {
    let config = Config::parse(CONFIG, &[format!("objective.eigenvector={eigenvector}")]).unwrap();
    tiny::job(&config, CLASSES, [21, 10], out)
}

#[test]
fn a_killed_run_ends_as_one_never_killed() {
    for eigenvector in ["exact", "warm"] {
        let folder = tempfile::tempdir().unwrap();
        let (whole, killed) = (folder.path().join("whole"), folder.path().join("killed"));
        let lines = run(&job(&whole, eigenvector), &mut Silent).unwrap();
        let last = lines.last().unwrap();
        assert!(last.observed["xi"].p90 >= last.observed["xi"].median, "{last:?}");
        for (epoch, step) in [(1, 2), (2, 1), (3, 3)] {
            tiny::killed(&job(&killed, eigenvector), epoch, step);
        }
        run(&job(&killed, eigenvector), &mut Silent).unwrap();
        let state = |folder: &Path| -> BTreeMap<String, Tensor> {
            TensorFile::read(&folder.join("resume.safetensors")).unwrap().tensors
        };
        let (whole, killed) = (state(&whole), state(&killed));
        assert_eq!(whole.contains_key("objective/directions"), eigenvector == "warm");
        assert!(whole.keys().eq(killed.keys()));
        assert!(whole.iter().all(|(name, t)| t.equal(&killed[name])), "{eigenvector}");
    }
}

#[test]
fn warm_keeps_up_with_training() {
    let folder = tempfile::tempdir().unwrap();
    let Job { model, train, .. } = job(folder.path(), "warm");
    // In f64, as f32's rounding, which differs between machines, decides whether ξ is soon zero.
    let model = model.in_f64();
    let flat = models::params::flat::Flat::new(model.params());
    let (mut exact, mut warm) = (ssr("scale = 1"), ssr("scale = 1\neigenvector = 'warm'"));
    let sgd = toml::from_str("name = 'sgd'\nlearning_rate = 0.02").unwrap();
    let mut sgd = train::optimizer::optimizer(&sgd).unwrap();
    let mut share = 0.;
    for _ in 0..6 {
        let (mut found, mut right) = (0., 0.);
        for numbers in (0..21).collect::<Vec<i64>>().chunks(7) {
            let (x, y) = train.batch(numbers).unwrap();
            let x = x.to_kind(Kind::Double);
            let step = Step { numbers, images: 21, ..Step::new(&model, &x, &y) };
            right += observe(&mut *exact, &step).0.sum(Kind::Double).double_value(&[]);
            let loss = warm.loss(&step);
            found += loss.observed[0].1.sum(Kind::Double).double_value(&[]);
            let weights = step.gradients(&loss.total());
            sgd.step(&flat.gradients(&weights), sgd.learning_rate());
        }
        share = found / right;
        assert!(share < 1.0001, "{share}");
    }
    assert!(share > 0.6, "warm finds {share} of the curvature");
}

#[test]
fn a_set_has_its_curvature() {
    let folder = tempfile::tempdir().unwrap();
    let Job { model, test: Some(test), .. } = job(folder.path(), "exact") else { panic!() };
    let (x, _) = test.batch(&(0..10).collect::<Vec<_>>()).unwrap();
    let xi = curvature(&model.folded(models::Precision::F32), &x);
    assert_eq!((xi.size(), xi.kind()), (vec![10], Kind::Float));
    let (w, p) = jacobian(&|x| model.logits(x), &x);
    assert!(close(&xi, &paper(&w.to_kind(Kind::Double), &p.to_kind(Kind::Double)), 1e-4));
}

#[test]
fn bad_options_and_states_are_refused() {
    for (options, expected) in [
        ("beta = -1", "`beta` is -1"),
        ("beta = 1.5\nconvex = true", "with `convex` it is in [0, 1]"),
        ("scale = 0", "`scale` is 0"),
        ("clip = 0", "`clip` is 0"),
        ("clip = 1.5", "`clip` is 1.5"),
        ("eigenvector = 'lukewarm'", "expected one of `exact`, `warm`, `naive`"),
        ("channels = 'first'", "expected `all` or `mean`"),
        ("norm = 'layer'", "`running`"),
        ("label_smoothing = 0.1", "unknown field `label_smoothing`"),
    ] {
        let table = toml::from_str(&format!("name = 'ssr'\n{options}")).unwrap();
        let told = format!("{:#}", objective(&table).err().unwrap());
        assert!(told.contains("objective `ssr`") && told.contains(expected), "{options}: {told}");
    }
    let ones = |shape: &[i64]| Tensor::ones(shape, (Kind::Float, Device::Cpu));
    for (name, tensor, expected) in [
        ("directions", ones(&[5]), "not [images, classes]"),
        ("directions", ones(&[5, 2]) / 0., "not finite"),
        ("moments", ones(&[5, 2]), "missing"),
    ] {
        let state = BTreeMap::from([(name.to_owned(), tensor)]);
        let told = ssr("eigenvector = 'warm'").restore(state).unwrap_err().to_string();
        assert!(told.contains(expected), "{told}");
    }
}
