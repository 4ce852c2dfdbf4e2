//! Directional derivatives and Hessian–vector products against differentiated gradients, in f64, for
//! every architecture that promises them.
#![allow(clippy::unwrap_used)]

use models::{
    Classifier, Model, Score, Target,
    grad::{Graph, pull},
    noise, softened,
    tangent::Trace,
    zoo::{ARCHS, Normalisation, Shape},
};
use tch::{Device, Kind, Tensor};

/// libtorch's softplus is the identity from 20 on, where it is off by 2e-9.
const TOLERANCE: f64 = 1e-10;

fn draw(seed: u64, like: &Tensor) -> Tensor {
    let keys: Vec<u64> = (0..like.size()[0] as u64).map(|i| noise::key(seed, i, 0)).collect();
    noise::normal(&keys, &like.size()[1..], Device::Cpu).to_kind(Kind::Double)
}

/// Largest difference over largest entry.
fn apart(a: &Tensor, b: &Tensor) -> f64 {
    let size = b.abs().max().double_value(&[]).max(1e-12);
    (a - b).abs().max().double_value(&[]) / size
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
        let x = Tensor::rand([2, 3, 32, 32], (Kind::Double, Device::Cpu));
        let direction = draw(3, &x);
        for (soft, score) in [(true, Score::Logit), (true, Score::Prob), (false, Score::Logprob)] {
            let soft_model = softened(&model, 20.);
            let model: &dyn Model = if soft { &soft_model } else { &model };
            let target = Target { class: Tensor::from_slice(&[1i64, 4]), score };
            let leaf = x.copy().set_requires_grad(true);
            let Some(trace) = Trace::of(model, &leaf) else { continue };
            let logits = model.logits(&leaf);
            assert!(apart(&trace.logits, &logits) < TOLERANCE, "{}", arch.name);
            let g = pull(&target.of(&logits).sum(Kind::Double), &leaf, Graph::Keep);
            let slope =
                (&g * &direction).sum_dim_intlist([1, 2, 3].as_slice(), false, Kind::Double);
            let along = target.along(&trace.logits, &trace.along(&direction));
            assert!(apart(&along, &slope) < TOLERANCE, "{} {score:?}", arch.name);
            let theirs = pull(&slope.sum(Kind::Double), &leaf, Graph::Keep);
            let ours = pull(&along.sum(Kind::Double), &leaf, Graph::Keep);
            assert!(apart(&ours, &theirs) < TOLERANCE, "{} {score:?}", arch.name);
            tried += 1;
        }
    }
    assert!(tried >= 12, "{tried} passes were traced");
}
