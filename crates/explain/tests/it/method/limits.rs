//! C-LIME and SmoothGrad meet (Agarwal et al. 2021, Theorem 1 and Lemma 6), and how fast: distances
//! to the common limit fall like n^(−1/2). The limit is known to rounding: one integral a unit.

use explain::Batch;
use models::{Activation, Model, Ops, Target, noise, zoo::Shape};
use registry::parse;
use tch::{Device, Kind, Tensor};
use testkit::rule;

const D: i64 = 6;
const IMAGE: [i64; 3] = [1, 2, 3];
const IMAGES: i64 = 64;
const SAMPLES: [u64; 4] = [64, 256, 1024, 4096];
const SIGMA: f64 = 0.3;

/// f = Σ bⱼ tanh(aⱼ · x): as bent as images of [0, 1] are wide.
struct Network {
    a: Tensor, // [units, D]
    b: Tensor, // [units]
}

impl Network {
    fn new() -> Self {
        let drawn = |key: u64, shape: &[i64]| {
            noise::normal(&[key], shape, Device::Cpu).squeeze_dim(0).to_kind(Kind::Double)
        };
        Network { a: drawn(1, &[8, D]), b: drawn(2, &[8]) }
    }

    /// E ∇f(x + e), e ~ N(0, σ²I): aⱼ · e is normal, so each unit is an integral over a line.
    fn smoothed(&self, x: &Tensor) -> Tensor {
        let step = 0.01;
        let z = Tensor::arange_start(-1000, 1001, (Kind::Double, Device::Cpu)) * step;
        let density = (z.square() * -0.5).exp() * (step / std::f64::consts::TAU.sqrt());
        let at = x.flatten(1, -1).matmul(&self.a.transpose(0, 1)).unsqueeze(2); // [N, units, 1]
        let wide = (self.a.square().sum_dim_intlist([1].as_slice(), false, None)).sqrt() * SIGMA;
        let slope: Tensor = 1. - (at + wide.view([1, -1, 1]) * z).tanh().square();
        (slope.matmul(&density) * &self.b).matmul(&self.a).view_as(x)
    }
}

impl Model for Network {
    fn forward(&self, x: &Tensor, _ops: &dyn Ops) -> Tensor {
        let units = x.flatten(1, -1).matmul(&self.a.transpose(0, 1)).tanh();
        units.matmul(&self.b).unsqueeze(1)
    }

    fn activation(&self) -> Option<Activation> {
        Some(Activation::Relu)
    }
}

fn batch() -> Batch {
    let x = rule::images(IMAGES, &Shape { image: IMAGE, classes: 1 }).to_kind(Kind::Double);
    let target = Target::logit(&Tensor::zeros([IMAGES], (Kind::Int64, Device::Cpu)));
    Batch { chunk: 1 << 15, ..Batch::new(&x, &target) }
}

/// The distances to `limit` with 64, 256, … samples, root mean square over images, as a share of it.
fn distances(name: &str, options: &str, limit: &Tensor) -> Vec<f64> {
    let (network, batch) = (Network::new(), batch());
    let at = |n: u64| {
        let table = parse(&format!("{name}:sigma={SIGMA},samples={n}{options}")).unwrap();
        let map = explain::method(table).unwrap().attribute(&network, &batch);
        ((map - limit).norm() / limit.norm()).double_value(&[])
    };
    SAMPLES.map(at).to_vec()
}

/// The slope of the least-squares line through (log n, log distance).
fn slope(distances: &[f64]) -> f64 {
    let points: Vec<(f64, f64)> =
        SAMPLES.iter().zip(distances).map(|(&n, d)| ((n as f64).ln(), d.ln())).collect();
    let count = points.len() as f64;
    let (x, y) = points.iter().fold((0., 0.), |(a, b), p| (a + p.0 / count, b + p.1 / count));
    let above: f64 = points.iter().map(|p| (p.0 - x) * (p.1 - y)).sum();
    above / points.iter().map(|p| (p.0 - x).powi(2)).sum::<f64>()
}

#[test]
fn the_limit_is_what_it_is_called() {
    let (network, batch) = (Network::new(), batch().narrow(0, 2));
    let table = parse(&format!("smoothgrad:sigma={SIGMA},samples=200000")).unwrap();
    let map = explain::method(table).unwrap().attribute(&network, &batch);
    let limit = network.smoothed(&batch.x);
    assert!(rule::distance(&map, &limit) < 0.01);
    let plain = explain::parse("saliency").unwrap().attribute(&network, &batch);
    assert!(rule::distance(&map, &plain) > 0.1, "too smooth a network to tell anything");
}

#[test]
fn distances_fall_with_the_root_of_the_samples() {
    let limit = Network::new().smoothed(&batch().x);
    // Lemma 6: (σ²I + λI)⁻¹ cov(a, f(a)), which is SmoothGrad times σ²/(σ² + λ).
    let lambda = 0.05;
    let shrunk = &limit * (SIGMA * SIGMA / (SIGMA * SIGMA + lambda));
    let ridge = format!(",ridge={lambda}");
    let population = ",covariance=population";
    for (name, options, limit) in [
        ("smoothgrad", "", &limit),
        ("clime", "", &limit),
        ("clime", population, &limit),
        ("clime", &ridge, &shrunk),
        ("clime", &format!("{ridge}{population}"), &shrunk),
    ] {
        let found = distances(name, options, limit);
        let slope = slope(&found);
        let told = format!("{name}{options}: {found:.4?}, slope {slope:.3}");
        assert!((slope + 0.5).abs() < 0.05, "{told}");
        assert!(found[3] < 0.15, "{told}");
    }
}

#[test]
fn another_limit_is_not_met() {
    let limit = Network::new().smoothed(&batch().x);
    for options in [",ridge=0.05", ",ridge=0.05,covariance=population"] {
        let found = distances("clime", options, &limit);
        assert!(slope(&found) > -0.2, "unscaled SmoothGrad{options}: {found:.4?}");
    }
    let plain = explain::parse("saliency").unwrap();
    let found = distances("clime", "", &plain.attribute(&Network::new(), &batch()));
    assert!(slope(&found) > -0.2, "the gradient itself: {found:.4?}");
}
