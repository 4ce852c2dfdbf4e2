//! LIME as Tan & Tian 2023 have it (Lemma C.8): no intercept, and copies weighed by their ℓ2 distance or
//! all alike; against the normal equations solved per image.

use crate::of::Of;
use explain::{Batch, parse};
use models::{Target, noise};
use tch::{Device, Kind, Tensor};

const D: i64 = 12;
const SAMPLES: i64 = 30;

fn drawn(key: u64, shape: &[i64]) -> Tensor {
    noise::normal(&[key], shape, Device::Cpu).squeeze_dim(0).to_kind(Kind::Double)
}

fn batch() -> Batch {
    let x = drawn(5, &[3, 1, 3, 4]).abs() * 0.5;
    Batch::new(&x, &Target::logit(&Tensor::zeros([3], (Kind::Int64, Device::Cpu))))
}

fn f(x: &Tensor) -> Tensor {
    x.matmul(&drawn(1, &[D, 4])).tanh().matmul(&drawn(2, &[4]))
}

/// (Σ π ε εᵀ + α I)⁻¹ Σ π f(x ⊙ ε) ε over the masks that the method draws.
fn slow(x: &Tensor, key: u64, alpha: f64, weight: &dyn Fn(&Tensor) -> f64) -> Tensor {
    let keys: Vec<u64> = (0..SAMPLES as u64).map(|s| noise::key(key, s, 0)).collect();
    let masks = noise::uniform(&keys, &[D], Device::Cpu).lt(0.5).to_kind(Kind::Double);
    let mut gram = Tensor::eye(D, (Kind::Double, Device::Cpu)) * alpha;
    let mut sum = Tensor::zeros([D], (Kind::Double, Device::Cpu));
    for s in 0..SAMPLES {
        let mask = masks.get(s);
        let copy = x * &mask;
        let weight = weight(&(x - &copy));
        gram += mask.unsqueeze(1).matmul(&mask.unsqueeze(0)) * weight;
        sum += &mask * f(&copy.unsqueeze(0)).get(0) * weight;
    }
    gram.inverse().matmul(&sum)
}

fn compare(options: &str, alpha: f64, weight: &dyn Fn(&Tensor) -> f64) {
    let (batch, model) = (batch(), Of(f));
    let spelled =
        format!("lime:groups=scalars,samples={SAMPLES},pairs=false,intercept=false,{options}");
    let map = parse(&spelled).unwrap().attribute(&model, &batch);
    for (n, &key) in batch.keys.iter().enumerate() {
        let x = batch.x.get(n as i64).flatten(0, -1);
        let far = map.get(n as i64).flatten(0, -1) - slow(&x, key, alpha, weight);
        assert!(far.abs().max().double_value(&[]) < 1e-10, "{options}, image {n}");
    }
}

#[test]
fn without_an_intercept_it_is_the_closed_form_of_the_paper() {
    let near = |far: &Tensor| (-far.square().sum(Kind::Double) / 0.81).exp().double_value(&[]);
    compare("kernel=l2,width=0.9,alpha=0.5", 0.5, &near);
    compare("kernel=uniform,alpha=2", 2., &|_| 1.);
}

#[test]
fn its_pull_back_is_that_of_differences() {
    for options in ["kernel=l2,width=0.7", "kernel=l2,width=0.7,intercept=false", "kernel=uniform"]
    {
        let (batch, model) = (batch(), Of(f));
        let spelled = format!("lime:groups=scalars,samples={SAMPLES},alpha=0.3,{options}");
        let method = parse(&spelled).unwrap();
        let v = drawn(9, &batch.x.size());
        let flow = method.differentiable().unwrap().vjp(&model, &batch, &v);
        let along = drawn(10, &batch.x.size());
        let at = |t: f64| {
            let map = method.attribute(&model, &batch.at(&(&batch.x + &along * t)));
            (map * &v).sum(Kind::Double).double_value(&[])
        };
        let slope = (at(1e-5) - at(-1e-5)) / 2e-5;
        let found = (flow * &along).sum(Kind::Double).double_value(&[]);
        assert!((slope - found).abs() < 1e-6 * slope.abs().max(1.), "{options}: {slope}, {found}");
    }
}

#[test]
fn what_cannot_be_solved_is_told() {
    for (options, word) in [
        ("kernel=l2,alpha=0", "alpha"),
        ("intercept=false,alpha=0", "intercept"),
        ("kernel=l1", "l2"),
    ] {
        let told = parse(&format!("lime:{options}")).err().map(|e| format!("{e:#}"));
        assert!(told.as_ref().is_some_and(|told| told.contains(word)), "{options}: {told:?}");
    }
}
