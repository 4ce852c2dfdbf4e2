//! IG-norm objectives: two walks of a few points at a time give what one graph over the whole path
//! gives; completeness; finite differences of what the attack climbs.

use models::{
    Classifier, grad, noise,
    zoo::{self, Normalisation, Shape},
};
use std::cell::RefCell;
use tch::{Device, Kind, Tensor};
use train::objective::{Adversary, Loss, Statistics, Step, ValueAndGrad, objective};

fn model(arch: &str, image: [i64; 3]) -> Classifier {
    let shape = Shape { image, classes: 3 };
    let normalisation = Normalisation::parse("0.5/0.25", image[0]).unwrap();
    Classifier::new(zoo::arch(arch).unwrap(), shape, normalisation, 2, Device::Cpu).in_f64()
}

/// Images, attacked images and labels, in f64.
fn images(image: [i64; 3]) -> (Tensor, Tensor, Tensor) {
    let x = noise::uniform(&[1, 2, 3], &image, Device::Cpu).to_kind(Kind::Double) * 0.6 + 0.2;
    let to = &x + noise::normal(&[4, 5, 6], &image, Device::Cpu) * 0.05;
    (x, to, Tensor::from_slice(&[0i64, 2, 1]))
}

/// "Attacks" with the images it was given; keeps what the climb says at some other places too.
struct Fixed<'a> {
    to: &'a Tensor,
    probes: Vec<Tensor>,
    seen: RefCell<Vec<(Tensor, Tensor)>>,
}

impl Adversary for Fixed<'_> {
    fn perturb(&self, climb: &ValueAndGrad, _: &Tensor, _: &[u64], _: f64) -> Tensor {
        *self.seen.borrow_mut() = self.probes.iter().map(climb).collect();
        self.to.shallow_clone()
    }
}

/// A step of `options`, and what is climbed at `probes`.
fn step_of(
    model: &Classifier,
    options: &str,
    (x, to, y): &(Tensor, Tensor, Tensor),
    probes: Vec<Tensor>,
) -> (Loss, Vec<(Tensor, Tensor)>) {
    let fixed = Fixed { to, probes, seen: RefCell::new(vec![]) };
    let step = Step { adversary: Some(&fixed), ..Step::new(model, x, y) };
    let loss = objective(&toml::from_str(options).unwrap()).unwrap().loss(&step);
    (loss, fixed.seen.into_inner())
}

/// ‖IG‖₁ of each image `[N]` by the `points` points of a path, in one graph into `to` and the weights.
fn whole_graph(
    logits: &dyn Fn(&Tensor) -> Tensor,
    x: &Tensor,
    to: &Tensor,
    y: &Tensor,
    points: i64,
) -> Tensor {
    let mut sum = x.zeros_like();
    for k in 1..=points {
        let at = x + (to - x) * (k as f64 / points as f64);
        let at = if at.requires_grad() { at } else { at.set_requires_grad(true) };
        let loss = grad::cross_entropy(&logits(&at), y).sum(Kind::Double);
        sum += grad::pull(&loss, &at, grad::Graph::Keep);
    }
    let ig = (to - x) * sum / points as f64;
    ig.abs().sum_dim_intlist([1, 2, 3].as_slice(), false, None::<Kind>)
}

fn assert_close(found: &Tensor, expected: &Tensor, within: f64, what: &str) {
    assert_eq!(found.size(), expected.size(), "{what}");
    let off = (found - expected).abs().max().double_value(&[]);
    let size = expected.abs().max().double_value(&[]);
    assert!(off <= within * size, "{what}: {off:e} off, sizes up to {size:e}");
}

fn weights(model: &Classifier) -> Vec<Tensor> {
    model.params().weights().into_iter().map(|(_, w)| w).collect()
}

#[test]
fn two_walks_give_what_one_graph_gives() {
    for norm in [Statistics::Running, Statistics::Batch] {
        let model = model("resnet20", [3, 8, 8]);
        let all = images([3, 8, 8]);
        let (x, to, y) = &all;
        let spelled = if norm == Statistics::Running { "running" } else { "batch" };
        let options = format!(
            "name = 'ig-norm'\ngamma = 0.5\npoints = 6\napprox_factor = 2\nchunk = 4\n\
             norm = '{spelled}'"
        );
        // What the attack climbs at x', three points of the path, before statistics move.
        let at = to.copy().set_requires_grad(true);
        let step = Step::new(&model, x, y);
        let climbed = whole_graph(&|x| step.logits(x, norm), x, &at, y, 3);
        let slope = grad::pull(&climbed.sum(Kind::Double), &at, grad::Graph::Free);

        let (loss, seen) = step_of(&model, &options, &all, vec![to.copy()]);
        assert_close(&seen[0].0, &climbed, 1e-10, spelled);
        assert_close(&seen[0].1, &slope, 1e-9, spelled);

        let expected = whole_graph(&|x| step.logits(x, norm), x, to, y, 6);
        assert_close(&loss.observed[0].1, &expected, 1e-10, spelled);
        let expected = expected.mean(Kind::Double) * 0.5;
        assert_close(&loss.parts[1].1, &expected, 1e-10, spelled);
        let weights = weights(&model);
        let found = Tensor::run_backward(&[&loss.parts[1].1], &weights, false, false);
        let expected = Tensor::run_backward(&[expected], &weights, false, false);
        let names = model.params().weights();
        let most = expected.iter().filter(|g| g.defined()).map(|g| g.abs().max().double_value(&[]));
        let most = most.fold(0., f64::max);
        for ((name, _), (found, expected)) in names.iter().zip(found.iter().zip(&expected)) {
            let expected = if expected.defined() { expected } else { &found.zeros_like() };
            let off = (found - expected).abs().max().double_value(&[]);
            assert!(off <= 1e-9 * most, "{spelled} {name}: {off:e} off, sizes up to {most:e}");
        }
    }
}

#[test]
fn chunks_change_nothing() {
    let all = images([3, 8, 8]);
    for name in ["ig-norm", "ig-sum-norm"] {
        let results = [1, 3, 10, 50].map(|chunk| {
            let model = model("resnet20", [3, 8, 8]);
            let options = format!(
                "name = '{name}'\npoints = 20\napprox_factor = 2\nchunk = {chunk}\ngamma = 2"
            );
            let (loss, mut seen) = step_of(&model, &options, &all, vec![all.1.copy()]);
            loss.total().backward();
            let gradients: Vec<Tensor> =
                weights(&model).iter().map(|w| w.grad().flatten(0, -1)).collect();
            let (value, slope) = seen.remove(0);
            [loss.total(), loss.observed[0].1.copy(), Tensor::cat(&gradients, 0), value, slope]
        });
        for other in &results[1..] {
            for (found, expected) in other.iter().zip(&results[0]) {
                assert_close(found, expected, 1e-10, name);
            }
        }
    }
}

#[test]
fn the_climb_is_its_finite_differences() {
    let image = [2, 3, 3];
    let all = images(image);
    let by = 1e-5;
    for name in ["ig-norm", "ig-sum-norm"] {
        let direction = noise::normal(&[7, 8, 9], &image, Device::Cpu).to_kind(Kind::Double);
        let probes = [0., by, -by].map(|t| &all.1 + &direction * t).into();
        let options = format!("name = '{name}'\ngamma = 3\npoints = 12\napprox_factor = 3");
        let (_, seen) = step_of(&model("mlp", image), &options, &all, probes);
        let expected = (&seen[1].0 - &seen[2].0) / (2. * by);
        let found =
            (&seen[0].1 * direction).sum_dim_intlist([1, 2, 3].as_slice(), false, None::<Kind>);
        assert_close(&found, &expected, 1e-7, name);
    }
}

/// On images of one number ‖IG‖₁ = |L(x') − L(x)|, up to an error of order 1/m.
#[test]
fn attributions_add_up_to_the_change_of_the_loss() {
    let image = [1, 1, 1];
    let (x, _, y) = images(image);
    let all = (x.copy(), x + 0.3, y);
    let model = model("mlp", image);
    let loss = |x: &Tensor| grad::cross_entropy(&models::Model::logits(&model, x), &all.2).detach();
    let change = loss(&all.1) - loss(&all.0);
    let errors = [10, 100, 1000].map(|points| {
        let options = format!("name = 'ig-norm'\npoints = {points}\nchunk = 64");
        let (loss, _) = step_of(&model, &options, &all, vec![]);
        (&loss.observed[0].1 - change.abs()).abs().max().double_value(&[])
    });
    assert!(errors[0] > 1e-6 && errors[2] < 1e-4, "{errors:?}");
    assert!(errors.windows(2).all(|e| (0.08..0.12).contains(&(e[1] / e[0]))), "{errors:?}");
}

/// Half as many points, with the other half left out by the factor: the attack sees the same path.
#[test]
fn the_attack_walks_every_few_points() {
    let image = [2, 3, 3];
    let all = images(image);
    let climbed = [(12, 4), (6, 2), (3, 1), (12, 1)].map(|(points, factor)| {
        let options = format!("name = 'ig-norm'\npoints = {points}\napprox_factor = {factor}");
        step_of(&model("mlp", image), &options, &all, vec![all.1.copy()]).1.remove(0).0
    });
    assert_close(&climbed[1], &climbed[0], 1e-12, "6 / 2");
    assert_close(&climbed[2], &climbed[0], 1e-12, "3 / 1");
    assert!((&climbed[3] - &climbed[0]).abs().max().double_value(&[]) > 1e-6, "12 points differ");
}
