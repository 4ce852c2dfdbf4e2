//! What is asked in place of a network, against what it is made of.

use models::{
    Average, Classifier, Model, Smoothing, StandIn, Target,
    grad::grad,
    noise, softened,
    zoo::{self, Shape},
};
use tch::{Device, Kind, Tensor};
use testkit::rule::{distance, filled, images};

fn network() -> Classifier {
    filled(zoo::arch("resnet20").unwrap()).in_f64().frozen()
}

fn pixels(n: i64) -> Tensor {
    images(n, &Shape { image: [3, 8, 8], classes: 10 }).to_kind(Kind::Double)
}

fn asked(softplus: Option<f64>, smoothing: Option<&str>) -> Classifier {
    let smoothing = smoothing.map(|text| Smoothing::parse(text).unwrap());
    network().asked_through(StandIn { softplus, smoothing })
}

/// The copies that a smoothed network is asked about.
fn copies(x: &Tensor, sigma: f64, samples: u64, seed: u64) -> Vec<Tensor> {
    let draw = |s| {
        let key = noise::key(noise::name_id("smoothed-model"), seed, s);
        noise::normal(&[key], &x.size()[1..], Device::Cpu).to_kind(Kind::Double) * sigma
    };
    (0..samples).map(|s| x + draw(s)).collect()
}

fn mean(all: &[Tensor]) -> Tensor {
    all.iter().skip(1).fold(all[0].copy(), |sum, one| sum + one) / all.len() as f64
}

#[test]
fn a_softplus_network_is_the_attack_s_surrogate() {
    let (model, x) = (network(), pixels(3));
    let (expected, found) = (softened(&model, 5.).logits(&x), asked(Some(5.), None).logits(&x));
    assert!(distance(&found, &expected) < 1e-12);
    assert!(distance(&found, &model.logits(&x)) > 1e-3);
    assert_eq!(asked(Some(5.), None).activation(), softened(&model, 5.).activation());
}

#[test]
fn a_smoothed_network_is_the_mean_over_its_copies() {
    let (model, x) = (network(), pixels(3));
    let all: Vec<Tensor> = copies(&x, 0.2, 4, 7).iter().map(|x| model.logits(x)).collect();
    let found = asked(None, Some("sigma=0.2,samples=4,seed=7")).logits(&x);
    assert!(distance(&found, &mean(&all)) < 1e-12);
    // In any batch the same.
    let alone = asked(None, Some("sigma=0.2,samples=4,seed=7")).logits(&x.narrow(0, 1, 1));
    assert!(distance(&alone, &found.narrow(0, 1, 1)) < 1e-9);
    let shares: Vec<Tensor> = all.iter().map(|t| t.softmax(1, Kind::Double)).collect();
    let found = asked(None, Some("sigma=0.2,samples=4,seed=7,average=probabilities"));
    assert!(distance(&found.logits(&x).softmax(1, Kind::Double), &mean(&shares)) < 1e-12);
    assert!(found.taps().is_empty() && !found.nonlinear_only_in_ops());
}

/// SmoothGrad of a network is the gradient of the smoothed one.
#[test]
fn its_gradient_is_the_mean_of_gradients() {
    let (model, x) = (network(), pixels(2));
    let target = Target::logit(&Tensor::from_slice(&[3i64, 5]));
    let each: Vec<Tensor> =
        copies(&x, 0.1, 3, 0).iter().map(|x| grad(x, |x| target.of(&model.logits(x)))).collect();
    let smoothed = asked(None, Some("sigma=0.1,samples=3"));
    let found = grad(&x, |x| target.of(&smoothed.logits(x)));
    assert!(distance(&found, &mean(&each)) < 1e-12);
}

#[test]
fn it_stays_when_layers_are_drawn_anew_and_costs_what_its_copies_do() {
    let smoothed = asked(Some(3.), Some("samples=4"));
    let parts = smoothed.params().parts();
    assert_eq!(smoothed.reinitialised(&parts, 1).stand_in(), smoothed.stand_in());
    assert_eq!(smoothed.folded(models::Precision::F32).stand_in(), smoothed.stand_in());
    assert_eq!(smoothed.footprint().bytes, 4 * network().footprint().bytes);
    let whole = Smoothing { sigma: 0.1, samples: 16, average: Average::Logits, seed: 0 };
    assert_eq!(Smoothing::parse("sigma=0.1").unwrap(), whole);
    for bad in ["sigma=-1", "samples=0", "average=maps", "beta=2"] {
        let told = format!("{:#}", Smoothing::parse(bad).unwrap_err());
        assert!(told.contains(bad.split('=').next().unwrap()), "{bad}: {told}");
    }
}
