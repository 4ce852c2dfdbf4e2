//! Attribution methods: what every line of the registry must do, and gradients against closed
//! forms, finite differences and PyTorch (tests/reference/explain/gradients.py).

use explain::{Attribution, Batch, METHODS};
use models::{
    Activation, Classifier, Model, Ops, Precision, Score, Target, noise, softened,
    zoo::{self, Shape},
};
use registry::few;
use std::{collections::BTreeMap, path::Path};
use tch::{Device, Kind, Tensor};
use tensorfile::TensorFile;
use testkit::rule::{distance, filled, images};

const SCORES: [(Score, &str); 3] =
    [(Score::Logit, "logit"), (Score::Prob, "prob"), (Score::Logprob, "logprob")];

fn method(name: &str) -> Box<dyn Attribution> {
    explain::parse(name).unwrap()
}

/// A ResNet-20, small enough at 8×8 for finite differences of every pixel.
fn resnet20() -> Classifier {
    filled(zoo::arch("resnet20").unwrap())
}

fn pixels(n: i64) -> Tensor {
    images(n, &Shape { image: [3, 8, 8], classes: 10 })
}

fn doubles(n: i64) -> Tensor {
    pixels(n).to_kind(Kind::Double)
}

fn cotangent(x: &Tensor) -> Tensor {
    noise::normal(&[77], &x.size(), Device::Cpu).squeeze_dim(0).to_kind(x.kind())
}

fn target(model: &dyn Model, x: &Tensor, score: Score) -> Target {
    Target::predicted(model, x, score)
}

/// The class after the predicted one: the first's probability is so near 1 that its slope drowns.
fn second(model: &dyn Model, x: &Tensor, score: Score) -> Target {
    let logits = tch::no_grad(|| model.logits(x));
    Target { class: logits.argsort(1, true).select(1, 1), score }
}

/// Images made from one: the same class and the same draws for each.
fn alike(x: &Tensor, target: &Target) -> Batch {
    let n = x.size()[0];
    let target = Target { class: target.class.expand([n], false), score: target.score };
    let batch = Batch::new(x, &target);
    Batch { keys: vec![batch.keys[0]; n as usize], ..batch }
}

/// How far a gradient `[1, C, H, W]` at x is from f's central differences of fourth order along
/// `DIRECTIONS` random directions, in units of the largest; f takes many images, `[N]`.
fn off(gradient: &Tensor, x: &Tensor, h: f64, f: impl Fn(&Tensor) -> Tensor) -> f64 {
    let size = [&[DIRECTIONS], &x.size()[1..]].concat();
    let along = noise::sign(&[5], &size, Device::Cpu).squeeze_dim(0).to_kind(Kind::Double);
    let at = |steps: f64| f(&(x + &along * (steps * h)));
    let slopes = ((at(1.) - at(-1.)) * 8. - (at(2.) - at(-2.))) / (12. * h);
    distance(&products(gradient, &along), &slopes)
}

const DIRECTIONS: i64 = 16;

/// Σ map · v of single images, `[N]`.
fn products(map: &Tensor, v: &Tensor) -> Tensor {
    (map * v).sum_dim_intlist([1, 2, 3].as_slice(), false, Kind::Double)
}

#[test]
fn every_method_conforms() {
    let model = resnet20();
    let before: BTreeMap<String, Tensor> =
        model.params().tensors().into_iter().map(|(name, t)| (name, t.copy())).collect();
    let x = pixels(4);
    for (name, method) in few(METHODS, &[]) {
        method.check(&model, [3, 8, 8]).unwrap();
        for (score, told) in SCORES {
            let target = target(&model, &x, score);
            let map = method.attribute(&model, &Batch::new(&x, &target));
            assert_eq!((map.size(), map.kind()), (x.size(), Kind::Float), "{name}, {told}");
            assert!(bool::try_from(map.isfinite().all()).unwrap(), "{name}, {told}");
            let nothing = map.abs().max().double_value(&[]) == 0.;
            assert_eq!(nothing, name == "zero", "{name}, {told}: all zero");
            assert!(!map.requires_grad(), "{name}, {told}: the map has a graph");
            let again = method.attribute(&model, &Batch::new(&x, &target));
            assert!(map.equal(&again), "{name}, {told}: not repeatable");
            let (same, logits) = method.with_logits(&model, &Batch::new(&x, &target));
            assert!(same.equal(&map), "{name}, {told}: another map with logits");
            assert!(!logits.requires_grad(), "{name}, {told}: the logits have a graph");
            let plain = tch::no_grad(|| model.logits(&x));
            assert!(distance(&logits, &plain) < 1e-6, "{name}, {told}: other logits");
            if let Some(method) = method.differentiable() {
                let v = cotangent(&x);
                let flow = method.vjp(&model, &Batch::new(&x, &target), &v);
                assert_eq!(flow.size(), x.size());
                assert!(!flow.requires_grad(), "{name}, {told}: the product has a graph");
                assert!(
                    flow.equal(&method.vjp(&model, &Batch::new(&x, &target), &v)),
                    "{name}, {told}"
                );
            }
        }
    }
    assert!(!x.requires_grad() && !x.grad().defined(), "the images keep a trace");
    for (name, weight) in model.params().weights() {
        assert!(!weight.grad().defined(), "`{name}` was left a gradient");
    }
    for (name, now) in model.params().tensors() {
        assert!(now.equal(&before[&name]), "`{name}` moved");
    }
}

#[test]
fn a_map_does_not_depend_on_its_batch() {
    // In f64: in single precision, rounding moves activations across a ReLU's bend.
    let model = resnet20().in_f64().frozen();
    let x = doubles(5);
    for (name, method) in few(METHODS, &[]) {
        for (score, told) in SCORES {
            let target = target(&model, &x, score);
            let batch = Batch::new(&x, &target);
            let together = method.attribute(&model, &batch);
            for chunk in [1, 2] {
                let starts = (0..5).step_by(chunk as usize);
                let part = |start: i64| {
                    let n = chunk.min(5 - start);
                    method.attribute(&model, &batch.narrow(start, n))
                };
                let parts = Tensor::cat(&starts.map(part).collect::<Vec<_>>(), 0);
                let far = distance(&parts, &together);
                assert!(far < 1e-5, "{name}, {told}, {chunk} at a time: {far:e} off");
            }
        }
    }
}

#[test]
fn weights_stay_out_of_reach_in_every_copy() {
    let model = resnet20();
    let x = pixels(2);
    for copy in [model.frozen(), model.folded(Precision::F32), model.folded(Precision::Bf16)] {
        for (name, method) in few(METHODS, &[]) {
            let map = method.attribute(&copy, &Batch::new(&x, &target(&copy, &x, Score::Logit)));
            assert_eq!(map.kind(), Kind::Float, "{name}");
            assert!(bool::try_from(map.isfinite().all()).unwrap(), "{name}");
        }
    }
    assert!(model.params().weights().iter().all(|(_, w)| !w.grad().defined()));
}

#[test]
fn options_that_are_none_are_refused() {
    for name in ["gxi", "saliency"] {
        let asked = registry::parse(&format!("{name}:samples=3")).unwrap();
        let told = format!("{:#}", explain::method(asked).err().unwrap());
        assert!(told.contains(&format!("method `{name}`")) && told.contains("samples"), "{told}");
    }
    let told = format!("{:#}", explain::parse("gxl").err().unwrap());
    assert!(told.contains("unknown method `gxl`; known, nearest first: gxi"), "{told}");
}

/// f₀ = ½ xᵀAx and f₁ = bᵀx of an image, with A symmetric: everything is known.
struct Quadratic {
    a: Tensor, // [D, D]
    b: Tensor, // [D]
}

impl Quadratic {
    fn new(d: i64) -> Self {
        let a = noise::normal(&[1], &[d, d], Device::Cpu).squeeze_dim(0).to_kind(Kind::Double);
        let b = noise::normal(&[2], &[d], Device::Cpu).squeeze_dim(0).to_kind(Kind::Double);
        Quadratic { a: &a + a.transpose(0, 1), b }
    }
}

impl Model for Quadratic {
    fn forward(&self, x: &Tensor, _ops: &dyn Ops) -> Tensor {
        let x = x.flatten(1, -1);
        let form = (x.matmul(&self.a) * &x).sum_dim_intlist([1].as_slice(), false, Kind::Double);
        Tensor::stack(&[form * 0.5, x.matmul(&self.b)], 1)
    }

    fn activation(&self) -> Option<Activation> {
        Some(Activation::Relu)
    }
}

#[test]
fn a_quadratic_has_the_maps_it_must() {
    let x = images(3, &Shape { image: [2, 3, 4], classes: 2 }).to_kind(Kind::Double);
    let model = Quadratic::new(24);
    let v = cotangent(&x);
    let of = |m: &Tensor, t: &Tensor| t.flatten(1, -1).matmul(m).view(&x.size()[..]);
    let slope = of(&model.a, &x); // ∇f₀ = Ax
    let constant = model.b.view([1, 2, 3, 4]); // ∇f₁ = b
    let cases = [
        ("saliency", 0, slope.shallow_clone(), of(&model.a, &v)),
        ("gxi", 0, &x * &slope, &v * &slope + of(&model.a, &(&x * &v))),
        ("saliency", 1, constant.expand(x.size(), false), x.zeros_like()),
        ("gxi", 1, &x * &constant, &v * &constant),
    ];
    for (name, class, map, flow) in cases {
        let target = Target::logit(&Tensor::from_slice(&[class; 3]));
        let method = method(name);
        let method = method.differentiable().unwrap();
        let (found, pulled) =
            method.pullback(&model, &Batch::new(&x, &target), &|_| v.shallow_clone());
        assert!((found - map).abs().max().double_value(&[]) < 1e-12, "{name} of f{class}");
        let far = (pulled - flow).abs().max().double_value(&[]);
        assert!(far < 1e-12, "the product of {name} of f{class} is {far:e} off");
    }
}

#[test]
fn maps_agree_with_finite_differences() {
    let real = resnet20().in_f64().frozen();
    let soft = softened(&real, 4.);
    let x = doubles(1);
    // A difference over a ReLU's bend is off by a part of the slope: steps are short there.
    let cases: [(&dyn Model, f64, f64); 2] = [(&real, 1e-7, 1e-5), (&soft, 1e-5, 1e-8)];
    for (model, h, tolerance) in cases {
        for (score, told) in SCORES {
            let target = second(model, &x, score);
            let map = method("saliency").attribute(model, &Batch::new(&x, &target));
            let f = |x: &Tensor| tch::no_grad(|| alike(x, &target).target.of(&model.logits(x)));
            let far = off(&map, &x, h, f);
            assert!(far < tolerance, "{told}: the gradient is {far:e} off");
            let gxi = method("gxi").attribute(model, &Batch::new(&x, &target));
            assert!(distance(&gxi, &(&x * map)) < 1e-15, "{told}: g×i");
        }
    }
}

/// Methods whose product takes its map from traced passes (`models::jvp`), where sums round in another
/// order than in a gradient.
const TRACED: [&str; 6] = ["expected-gradients", "gxi", "ig", "saliency", "smoothgrad", "unigrad"];

#[test]
fn products_with_the_jacobian_agree_with_finite_differences() {
    let real = resnet20().in_f64().frozen();
    let model = softened(&real, 4.);
    let x = doubles(1);
    let v = cotangent(&x);
    for (name, method) in few(METHODS, &[]) {
        let Some(smooth) = method.differentiable() else { continue };
        for (score, told) in SCORES {
            let target = second(&model, &x, score);
            let map_at = |x: &Tensor| method.attribute(&model, &alike(x, &target));
            let flow = smooth.vjp(&model, &Batch::new(&x, &target), &v);
            let far = off(&flow, &x, 1e-5, |x| products(&map_at(x), &v));
            assert!(far < 1e-6, "{name}, {told}: {far:e} off");
            // a cotangent that depends on the map: the gradient of ½ |map|²
            let (map, pulled) =
                smooth.pullback(&model, &Batch::new(&x, &target), &Tensor::shallow_clone);
            match TRACED.contains(&name) {
                true => {
                    let far = distance(&map, &map_at(&x));
                    assert!(far < 1e-12, "{name}, {told}: another map, {far:e} off");
                }
                false => assert!(map.equal(&map_at(&x)), "{name}, {told}: another map"),
            }
            let square = |m: &Tensor| products(m, m) * 0.5;
            let far = off(&pulled, &x, 1e-5, |x| square(&map_at(x)));
            assert!(far < 1e-6, "{name}, {told}, of its square: {far:e} off");
        }
    }
}

#[test]
fn maps_of_a_piecewise_linear_network_bend_nowhere() {
    let model = resnet20().in_f64().frozen();
    let x = doubles(2);
    let (target, v) = (target(&model, &x, Score::Logit), cotangent(&x));
    let product = |name: &str| {
        let method = method(name);
        method.differentiable().unwrap().vjp(&model, &Batch::new(&x, &target), &v)
    };
    assert_eq!(product("saliency"), x.zeros_like(), "the gradient is constant around x");
    let slope = method("saliency").attribute(&model, &Batch::new(&x, &target));
    assert!(distance(&product("gxi"), &(slope * v)) < 1e-12);
}

#[test]
fn maps_and_products_agree_with_pytorch() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/gradients.safetensors");
    let mut golden = TensorFile::read(&path).unwrap();
    let single = resnet20();
    let soft_single = softened(&single, 20.);
    let double = resnet20().in_f64().frozen();
    let soft_double = softened(&double, 20.);
    let (x, v) = (pixels(4).narrow(0, 0, 2), pixels(4).narrow(0, 2, 2));
    let (xx, vv) = (x.to_kind(Kind::Double), v.to_kind(Kind::Double));
    for (score, told) in SCORES {
        let target = second(&double, &xx, score);
        for name in ["gxi", "saliency"] {
            let method = method(name);
            let expected = golden.take(&format!("{told}.{name}")).unwrap();
            let far = distance(&method.attribute(&double, &Batch::new(&xx, &target)), &expected);
            assert!(far < 1e-6, "{told}, {name}: {far:e} off");
            let expected = golden.take(&format!("{told}.{name}.vjp")).unwrap();
            let method = method.differentiable().unwrap();
            let far =
                distance(&method.vjp(&soft_double, &Batch::new(&xx, &target), &vv), &expected);
            assert!(far < 1e-6, "{told}, product of {name}: {far:e} off");
            let far = distance(&method.vjp(&soft_single, &Batch::new(&x, &target), &v), &expected);
            assert!(far < 1e-4, "{told}, product of {name} in f32: {far:e} off");
        }
    }
}
