//! Directional derivatives and Hessian–vector products against differentiated gradients, in f64, for
//! every architecture that promises them.

use models::{
    Classifier, Model, Score, Target,
    grad::{Graph, pull},
    jvp::{CurvedPass, LinearisedPass},
    noise, softened, softened_by,
    zoo::{ARCHS, Normalisation, Shape},
};
use tch::{Device, Kind, Tensor};

const TOLERANCE: f64 = 1e-11;

fn draw(seed: u64, like: &Tensor) -> Tensor {
    let keys: Vec<u64> = (0..like.size()[0] as u64).map(|i| noise::key(seed, i, 0)).collect();
    noise::normal(&keys, &like.size()[1..], Device::Cpu).to_kind(Kind::Double)
}

/// Largest difference over largest entry.
fn apart(a: &Tensor, b: &Tensor) -> f64 {
    let size = b.abs().max().double_value(&[]).max(1e-12);
    (a - b).abs().max().double_value(&[]) / size
}

/// The product of `direction` and the Hessian of the score, as the derivative of a gradient.
fn product(model: &dyn Model, target: &Target, x: &Tensor, direction: &Tensor) -> [Tensor; 2] {
    let leaf = x.copy().set_requires_grad(true);
    let score = target.of(&model.logits(&leaf)).sum(Kind::Double);
    let g = pull(&score, &leaf, Graph::Keep);
    let slope = (g * direction).sum_dim_intlist([1, 2, 3].as_slice(), false, Kind::Double);
    let hv = pull(&slope.sum(Kind::Double), &leaf, Graph::Keep);
    [slope.detach(), hv]
}

#[test]
fn hessian_products_are_those_of_a_differentiated_gradient() {
    let mut tried = 0;
    for arch in ARCHS {
        let shape = Shape { image: [3, 32, 32], classes: 10 };
        // Deep ones add nothing but time.
        if arch.name.contains("50") || arch.name.contains("28") {
            continue;
        }
        let normalisation = Normalisation::parse("cifar10", 3).unwrap();
        let model = Classifier::new(arch, shape, normalisation, 7, Device::Cpu).in_f64();
        let x = Tensor::zeros([2, 3, 32, 32], (Kind::Double, Device::Cpu));
        let x = draw(2, &x).sigmoid();
        let direction = draw(3, &x);
        for (soft, score) in [(true, Score::Logit), (true, Score::Prob), (false, Score::Logprob)] {
            let soft_model = softened(&model, 20.);
            let model: &dyn Model = if soft { &soft_model } else { &model };
            let target = Target { class: Tensor::from_slice(&[1i64, 4]), score };
            let leaf = x.copy().set_requires_grad(true);
            let Some(trace) = LinearisedPass::of(model, &leaf) else { continue };
            assert!(apart(&trace.logits, &model.logits(&x)) < TOLERANCE, "{}", arch.name);
            let [slope, theirs] = product(model, &target, &x, &direction);
            let along = target.along(&trace.logits, &trace.along(&direction));
            let ours = pull(&along.sum(Kind::Double), &leaf, Graph::Keep);
            // The deeper a network, the more rounding bends its curvature: 56 layers make of the
            // last bit of the pixels up to 1e-9 of the product.
            let [_, rounded] = product(model, &target, &(&x * (1. + f64::EPSILON)), &direction);
            let bound = TOLERANCE.max(100. * apart(&rounded, &theirs));
            assert!(apart(&along, &slope) < TOLERANCE, "{} {score:?}", arch.name);
            assert!(apart(&ours, &theirs) < bound, "{} {score:?}", arch.name);
            tried += 1;
        }
    }
    assert!(tried >= 12, "{tried} passes were traced");
}

#[test]
fn a_curved_pass_has_the_same_gradient_and_product() {
    let mut tried = 0;
    for arch in ARCHS.iter().filter(|a| !a.name.contains("50") && !a.name.contains("28")) {
        let shape = Shape { image: [3, 32, 32], classes: 10 };
        let normalisation = Normalisation::parse("cifar10", 3).unwrap();
        let model = Classifier::new(arch, shape, normalisation, 7, Device::Cpu).in_f64();
        let x = Tensor::zeros([2, 3, 32, 32], (Kind::Double, Device::Cpu));
        let (x, direction) = (draw(2, &x).sigmoid(), draw(3, &x));
        let spreads = models::spreads(&model, [x.shallow_clone()]);
        for spreads in [&[][..], &spreads] {
            let beta = if spreads.is_empty() { 20. } else { 10. };
            let soft = softened_by(&model, beta, spreads);
            let target = Target::logit(&Tensor::from_slice(&[1i64, 4]));
            let Some(trace) = CurvedPass::of(&soft, &x) else { continue };
            assert!(apart(&trace.logits, &soft.logits(&x)) < TOLERANCE, "{}", arch.name);
            let score = tch::with_grad(|| target.of(&trace.logits));
            let (g, trace) = trace.gradient(&score);
            let found = trace.product(&direction);
            let leaf = x.copy().set_requires_grad(true);
            let score = target.of(&soft.logits(&leaf)).sum(Kind::Double);
            let theirs = pull(&score, &leaf, Graph::Free);
            assert!(apart(&g, &theirs) < 1e-9, "{}", arch.name);
            let [_, theirs] = product(&soft, &target, &x, &direction);
            let [_, rounded] = product(&soft, &target, &(&x * (1. + f64::EPSILON)), &direction);
            let bound = 1e-9f64.max(100. * apart(&rounded, &theirs));
            assert!(apart(&found, &theirs) < bound, "{}: {}", arch.name, apart(&found, &theirs));
            tried += 1;
        }
    }
    assert!(tried >= 12, "{tried} passes were traced");
}

#[test]
fn values_have_their_gradient_where_graphs_are_switched_off_too() {
    let x = Tensor::from_slice(&[1f64, -2., 3.]).view([3, 1]);
    let found = || models::grad::value_and_grad(&x, |x| x.square().flatten(0, -1)).1;
    assert_eq!(tch::no_grad(found), &x * 2.);
    assert_eq!(found(), &x * 2.);
}
