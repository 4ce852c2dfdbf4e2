//! Methods that fit something to each image: RelEx and meaningful perturbation against the papers'
//! loops written again, one image and one copy at a time; least-infidelity maps against what a
//! linear model must have.

use explain::{Attribution, Batch};
use models::{
    Activation, Model, Ops, Target,
    grad::{Graph, pull},
    noise,
};
use std::cell::RefCell;
use tch::{Device, Kind, Tensor};

const SHAPE: [i64; 3] = [2, 6, 5];
const D: i64 = 60;

fn method(spelled: &str) -> Box<dyn Attribution> {
    explain::parse(spelled).unwrap()
}

fn drawn(seed: u64, shape: &[i64]) -> Tensor {
    noise::normal(&[seed], shape, Device::Cpu).squeeze_dim(0).to_kind(Kind::Double)
}

/// Logits of one tanh layer on 2×6×5 images; keeps the images it has seen.
struct Small {
    w: Tensor, // [D, 7]
    u: Tensor, // [7, 3]
    seen: RefCell<Vec<Tensor>>,
}

impl Small {
    fn new() -> Self {
        Small { w: drawn(1, &[D, 7]) * 0.4, u: drawn(2, &[7, 3]), seen: RefCell::default() }
    }
}

impl Model for Small {
    fn forward(&self, x: &Tensor, _ops: &dyn Ops) -> Tensor {
        self.seen.borrow_mut().push(x.detach());
        (x - 0.5).flatten(1, -1).matmul(&self.w).tanh().matmul(&self.u)
    }

    fn activation(&self) -> Option<Activation> {
        Some(Activation::Gelu)
    }
}

/// f₀ = wᵀx, f₁ = 0.
struct Linear(Tensor);

impl Model for Linear {
    fn forward(&self, x: &Tensor, _ops: &dyn Ops) -> Tensor {
        let f = x.flatten(1, -1).to_kind(Kind::Double).matmul(&self.0);
        Tensor::stack(&[&f, &f.zeros_like()], 1)
    }

    fn activation(&self) -> Option<Activation> {
        Some(Activation::Relu)
    }
}

fn batch(n: u64, classes: &[i64]) -> Batch {
    let keys: Vec<u64> = (0..n).map(|image| noise::key(5, image, 0)).collect();
    let x = noise::uniform(&keys, &SHAPE, Device::Cpu).to_kind(Kind::Double) * 0.9 + 0.05;
    let class = (0..n).map(|i| classes[i as usize % classes.len()]).collect::<Vec<_>>();
    Batch::new(&x, &Target::logit(&Tensor::from_slice(&class)))
}

fn far(a: &Tensor, b: &Tensor) -> f64 {
    (a - b).abs().max().double_value(&[])
}

/// The probability of a class, `[]`.
fn p(model: &Small, x: &Tensor, class: i64) -> Tensor {
    model.logits(&x.unsqueeze(0)).softmax(1, Kind::Double).get(0).get(class)
}

#[test]
fn relex_is_its_loop() {
    let model = Small::new();
    let batch = batch(2, &[1, 2]);
    for (options, shared, (l1, l2, base)) in [
        ("steps=6,samples=3", false, (1e-4, 1., 0.)),
        (
            "steps=4,samples=2,shared=true,lambda1=0.1,lambda2=0.5,baseline=0.5",
            true,
            (0.1, 0.5, 0.5),
        ),
    ] {
        let (steps, samples) = if shared { (4, 2) } else { (6, 3) };
        let found = method(&format!("relex:{options}")).attribute(&model, &batch);
        for (n, &key) in batch.keys.iter().enumerate() {
            let x = batch.x.get(n as i64);
            let class = batch.target.class.int64_value(&[n as i64]);
            let shape = if shared { [1, 6, 5] } else { SHAPE };
            let id = noise::key(key, noise::name_id("mask"), 0);
            let start = noise::uniform(&[id], &shape, Device::Cpu).squeeze_dim(0);
            let mut mask = start.to_kind(Kind::Double) * 0.01;
            let mut velocity = mask.zeros_like();
            let range = (x.max() - x.min()).double_value(&[]);
            for step in 0..steps {
                let m = mask.detach().set_requires_grad(true);
                let mut loss = m.abs().sum(Kind::Double) * l1;
                for s in 0..samples {
                    let seed = noise::key(key, step * samples + s, 0);
                    let e = noise::normal(&[seed], &SHAPE, Device::Cpu).squeeze_dim(0);
                    let copy = &x + e.to_kind(Kind::Double) * (0.1 * range);
                    let inside = &copy * &m + (1. - &m) * base;
                    let outside = &copy * (1. - &m) + &m * base;
                    let kept: Tensor = -p(&model, &inside, class).log();
                    let missed: Tensor = 1. - p(&model, &outside, class) + 1e-7;
                    loss += (kept - missed.log() * l2) / samples as f64;
                }
                let g = pull(&loss, &m, Graph::Free);
                velocity = velocity * 0.99 + &g / g.norm();
                mask = (mask - &velocity * 0.1).clamp(0., 1.);
            }
            let expected = mask.expand(SHAPE, false);
            assert!(far(&found.get(n as i64), &expected) < 1e-9, "{options}, image {n}");
            assert!(mask.max().double_value(&[]) > 0.3, "it has moved: {options}");
        }
    }
}

#[test]
fn relex_keeps_the_class_and_leaves_nothing() {
    let model = Small::new();
    let x = batch(8, &[0]).x;
    let batch = Batch::new(&x, &Target::predicted(&model, &x, models::Score::Logit));
    let mask = method("relex").attribute(&model, &batch);
    let prob = |x: &Tensor| {
        let all = model.logits(x).softmax(1, Kind::Double);
        all.gather(1, &batch.target.class.unsqueeze(1), false).mean(Kind::Double).double_value(&[])
    };
    let (inside, outside) = (prob(&(&x * &mask)), prob(&(&x * (1. - &mask))));
    assert!(inside > 0.8 && outside < 0.4, "{inside} of what it keeps, {outside} of the rest");
}

#[test]
fn meaningful_perturbation_is_its_loop() {
    let model = Small::new();
    let batch = batch(2, &[0, 2]);
    let options = "steps=5,cell=2,baseline=0.3,lambda1=0.05,lambda2=0.7,learning_rate=0.2";
    let found = method(&format!("mask:{options}")).attribute(&model, &batch);
    for n in 0..2 {
        let (x, class) = (batch.x.get(n), batch.target.class.int64_value(&[n]));
        let mut mask = Tensor::ones([3, 3], (Kind::Double, Device::Cpu));
        let (mut mean, mut square) = (mask.zeros_like(), mask.zeros_like());
        let spread =
            |m: &Tensor| m.view([1, 1, 3, 3]).upsample_bilinear2d([6, 5], false, None, None);
        for step in 1..=5 {
            let m = mask.detach().set_requires_grad(true);
            let wide = spread(&m).squeeze();
            let mut loss = p(&model, &(&x * &wide + (1. - &wide) * 0.3), class) + 0.;
            let gone: Tensor = 1. - &m;
            loss += gone.abs().sum(Kind::Double) / 9. * 0.05;
            for i in 0..3 {
                for j in 0..3 {
                    let at = |i: i64, j: i64| m.get(i).get(j);
                    if i < 2 {
                        loss += (at(i + 1, j) - at(i, j)).abs().pow_tensor_scalar(3) * (0.7 / 9.);
                    }
                    if j < 2 {
                        loss += (at(i, j + 1) - at(i, j)).abs().pow_tensor_scalar(3) * (0.7 / 9.);
                    }
                }
            }
            let g = pull(&loss, &m, Graph::Free);
            mean = mean * 0.9 + &g * 0.1;
            square = square * 0.999 + g.square() * 0.001;
            let (one, two) = (1. - 0.9f64.powi(step), 1. - 0.999f64.powi(step));
            let down = (&mean / one) / ((&square / two).sqrt() + 1e-8);
            mask = (mask - down * 0.2).clamp(0., 1.);
        }
        let expected: Tensor = 1. - spread(&mask).squeeze_dim(0);
        assert!(far(&found.get(n), &expected.expand(SHAPE, false)) < 1e-9, "image {n}");
        assert!(found.get(n).max().double_value(&[]) > 0.1, "it has moved");
    }
}

#[test]
fn least_infidelity_of_a_linear_model_is_its_weights() {
    let w = drawn(3, &[D]);
    let model = Linear(w.shallow_clone());
    let batch = batch(3, &[0]);
    for (spelled, within) in [
        ("noisy-baseline:samples=200,ridge=1e-12", 1e-6),
        ("square:samples=4000,largest=3,ridge=1e-12", 1e-6),
        // Fewer perturbations than numbers: exact on them, short elsewhere.
        ("noisy-baseline:samples=59,ridge=1e-12", f64::INFINITY),
    ] {
        let map = method(spelled).attribute(&model, &batch);
        let own = match spelled.starts_with("square") {
            // A square covers all channels: only what a pixel adds up to can be told.
            true => (&map * &batch.x).sum_dim_intlist([1].as_slice(), false, Kind::Double),
            false => map.shallow_clone(),
        };
        let truth = match spelled.starts_with("square") {
            true => (w.view([1, 2, 6, 5]) * &batch.x).sum_dim_intlist(
                [1].as_slice(),
                false,
                Kind::Double,
            ),
            false => w.view([1, 2, 6, 5]).expand_as(&map),
        };
        assert!(far(&own, &truth) < within, "{spelled}: {}", far(&own, &truth));
        let shorter = map.norm().double_value(&[]) < truth.norm().double_value(&[]);
        assert!(within.is_finite() || shorter, "{spelled}: the shortest");
    }
}

#[test]
fn perturbations_are_what_they_are_called() {
    let model = Small::new();
    let batch = batch(1, &[0]);
    // One less than all there are.
    let _ = method("square:samples=67,largest=4").attribute(&model, &batch);
    let x = &batch.x;
    let mut sides = vec![];
    for seen in model.seen.take() {
        for image in (0..seen.size()[0]).map(|i| seen.get(i)) {
            let gone = image.eq(0.).all_dim(0, false); // [H, W]
            let (rows, columns) = (gone.any_dim(1, false), gone.any_dim(0, false));
            let [a, b, all] = [&rows, &columns, &gone].map(|t| t.sum(Kind::Int64).int64_value(&[]));
            assert!(a == b && all == a * a && a <= 4, "a square of {a} by {b}");
            let kept = gone.logical_not().to_kind(Kind::Double);
            assert!(far(&image, &(x.get(0) * kept)) < 1e-15, "the rest stays");
            sides.push(a);
        }
    }
    for side in 1..=4 {
        assert!(sides.iter().filter(|s| **s == side).count() > 8, "sides are drawn evenly");
    }
    let _ = method("noisy-baseline:samples=200,scale=0.5").attribute(&model, &batch);
    let seen = Tensor::cat(&model.seen.take(), 0);
    assert!(seen.min().double_value(&[]) >= 0. && seen.max().double_value(&[]) <= 1.);
}

#[test]
fn options_that_cannot_be_meant_are_refused() {
    for (spelled, expected) in [
        ("relex:steps=0", "`steps` is 0"),
        ("relex:samples=0", "`samples` is 0"),
        ("relex:momentum=1", "`momentum` is 1, not in [0, 1)"),
        ("relex:sigma=-1", "`sigma` is -1"),
        ("relex:baseline=3", "`baseline` is 3; pixels are in [0, 1]"),
        ("fgvis:steps=0", "`steps` is 0"),
        ("fgvis:lambda=-1", "`lambda` is -1"),
        ("fgvis:baseline=7", "`baseline` is 7"),
        ("mask:cell=0", "`cell` is 0"),
        ("mask:power=0.5", "`power` is 0.5"),
        ("mask:baseline=uniform", "`baseline` is `uniform`, not a number or `blur`"),
        ("square:samples=0", "`samples` is 0"),
        ("square:largest=0", "`largest` is 0"),
        ("noisy-baseline:scale=0", "`scale` is 0"),
        ("noisy-baseline:ridge=0", "`ridge` is 0"),
    ] {
        let told = format!("{:#}", explain::parse(spelled).err().expect(spelled));
        assert!(told.contains(expected), "{spelled}: {told}");
    }
}
