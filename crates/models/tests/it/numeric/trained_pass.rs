//! Derivatives along directions that reach the weights, against the differentiated backward pass, in f64, for every
//! architecture that promises them.

use models::{
    Classifier, Fused, HeldStatistics, Model, Precision,
    grad::{Graph, pull},
    jvp::{Norms, TrainedPass},
    noise,
    zoo::{ARCHS, Normalisation, Shape},
};
use tch::{Device, Kind, Tensor};

fn draw(seed: u64, shape: &[i64]) -> Tensor {
    let keys: Vec<u64> = (0..shape[0] as u64).map(|i| noise::key(seed, i, 0)).collect();
    noise::normal(&keys, &shape[1..], Device::Cpu).to_kind(Kind::Double)
}

/// The gradients of `total` in all weights, one after the other; zero where there is none.
fn in_weights(model: &Classifier, total: &Tensor) -> Tensor {
    let weights: Vec<Tensor> = model.params().weights().into_iter().map(|(_, w)| w).collect();
    let found = Tensor::run_backward(&[total], &weights, true, false);
    let filled =
        found.into_iter().zip(&weights).map(|(g, w)| if g.defined() { g } else { w.zeros_like() });
    Tensor::cat(&filled.map(|g| g.flatten(0, -1)).collect::<Vec<_>>(), 0)
}

#[test]
fn its_derivative_has_the_gradient_of_a_differentiated_backward_pass() {
    let mut tried = 0;
    for arch in ARCHS.iter().filter(|a| !a.name.contains("50") && !a.name.contains("28")) {
        let shape = Shape { image: [3, 32, 32], classes: 10 };
        let normalisation = Normalisation::parse("cifar10", 3).unwrap();
        let model = Classifier::new(arch, shape, normalisation, 7, Device::Cpu).in_f64();
        let x = draw(2, &[3, 3, 32, 32]).sigmoid().set_requires_grad(true);
        let (direction, shares) = (draw(3, &x.size()), draw(4, &[3, 10]));
        let held = || HeldStatistics::of(|ops| model.forward(&x.detach(), ops));
        for norms in [Norms::Running(Precision::F32), Norms::Held(held())] {
            let of = if matches!(norms, Norms::Held(_)) { "batch" } else { "running" };
            let told = format!("{}, {of} statistics", arch.name);
            let Some(pass) = TrainedPass::of(&model, &x, &norms) else { continue };
            let theirs = match norms {
                Norms::Running(precision) => model.forward(&x, &Fused { precision }),
                Norms::Held(_) => model.forward(&x, &held()),
            };
            let far = |a: &Tensor, b: &Tensor| {
                (a - b).abs().max().double_value(&[]) / b.abs().max().double_value(&[]).max(1e-12)
            };
            assert!(far(&pass.logits, &theirs) < 1e-11, "{told}: logits");
            let ours = (pass.along(&direction) * &shares).sum(Kind::Double);
            let g = pull(&(theirs * &shares).sum(Kind::Double), &x, Graph::Keep);
            let theirs = (g * &direction).sum(Kind::Double);
            assert!(far(&ours, &theirs) < 1e-8, "{told}: {ours} and {theirs}");
            let (ours, theirs) = (in_weights(&model, &ours), in_weights(&model, &theirs));
            assert!(far(&ours, &theirs) < 1e-8, "{told}: {:e}", far(&ours, &theirs));
            tried += 1;
        }
    }
    assert!(tried >= 12, "{tried} passes were followed");
}
