//! Constants found beside what theorems allow: against loops on a quadratic form, and on |x|, where
//! one theorem holds with equality and another one, as it is printed, does not.

mod agarwal21;
mod lim21;
mod tan23;
mod wang20;
mod yeh19;

use super::known::{D, IMAGE, batch, drawn};
use crate::of::Of;
use explain::{
    Attribution, Batch,
    metric::{Case, Memo, metric},
};
use models::{Activation, Model, Ops, Score, Target, noise};
use registry::parse;
use std::{collections::BTreeMap, f64::consts::PI};
use tch::{Device, Kind, Tensor};

/// Columns by name, one number an image.
type Found = BTreeMap<&'static str, Vec<f64>>;

/// The columns of a metric for which the method makes no difference.
fn measured(spelled: &str, model: &dyn Model, batch: &Batch) -> Found {
    let method = explain::parse("saliency").unwrap();
    measured_of(spelled, model, &*method, batch)
}

fn measured_of(spelled: &str, model: &dyn Model, method: &dyn Attribution, batch: &Batch) -> Found {
    told(spelled, model, method, batch, &method.attribute(model, batch))
}

fn told(
    spelled: &str,
    model: &dyn Model,
    method: &dyn Attribution,
    batch: &Batch,
    maps: &Tensor,
) -> Found {
    let built = metric(parse(spelled).unwrap()).unwrap();
    let found = built.measure(&Case {
        model,
        method,
        batch,
        maps,
        labels: &batch.target.class,
        masks: None,
        attacked: None,
        randomised: &[],
        spreads: &[],
        model_cache: &Memo::default(),
        map_cache: &Memo::default(),
    });
    let names = built.columns().iter().map(|column| column.name);
    names.zip(found).map(|(name, t)| (name, Vec::try_from(&t).unwrap())).collect()
}

/// Logits [f, 0] of f = Σ bⱼ tanh(aⱼ · x), whose gradient is known.
struct Bent {
    a: Tensor, // [D, 5]
    b: Tensor, // [5]
}

impl Bent {
    fn drawn() -> Self {
        Bent { a: drawn(3, &[D, 5]) * 0.5, b: drawn(4, &[5]) }
    }

    fn f(&self, x: &Tensor) -> f64 {
        let x = x.flatten(0, -1).unsqueeze(0);
        x.matmul(&self.a).tanh().matmul(&self.b).double_value(&[0])
    }

    /// ∇f, in the shape of x.
    fn gradient(&self, x: &Tensor) -> Tensor {
        let inner = x.flatten(0, -1).unsqueeze(0).matmul(&self.a).squeeze_dim(0).tanh();
        self.a.matmul(&((1. - inner.square()) * &self.b)).view_as(x)
    }

    /// −log p = log(1 + e⁻ᶠ), and its gradient.
    fn loss(&self, x: &Tensor) -> f64 {
        (-self.f(x)).exp().ln_1p()
    }

    fn loss_gradient(&self, x: &Tensor) -> Tensor {
        self.gradient(x) * (-1. / (1. + self.f(x).exp()))
    }
}

impl Model for Bent {
    fn forward(&self, x: &Tensor, _ops: &dyn Ops) -> Tensor {
        let like = |t: &Tensor| t.to_kind(x.kind());
        let f = x.flatten(1, -1).matmul(&like(&self.a)).tanh().matmul(&like(&self.b));
        Tensor::stack(&[&f, &f.zeros_like()], 1)
    }

    fn activation(&self) -> Option<Activation> {
        Some(Activation::Tanh)
    }
}

/// What a bound draws for an image: N(0, 1).
fn normal(key: u64, what: &str, sample: u64) -> Tensor {
    let key = noise::key(noise::key(key, noise::name_id(what), 0), sample, 0);
    noise::normal(&[key], &IMAGE, Device::Cpu).squeeze_dim(0).to_kind(Kind::Double)
}

/// A change of this length.
fn step(key: u64, what: &str, sample: u64, radius: f64) -> Tensor {
    let drawn = normal(key, what, sample);
    &drawn * (radius / size(&drawn))
}

fn size(t: &Tensor) -> f64 {
    length(&vector(t))
}

fn inner(a: &Tensor, b: &Tensor) -> f64 {
    vector(a).iter().zip(vector(b)).map(|(a, b)| a * b).sum()
}

fn near(found: &Found, n: usize, wanted: &[(&str, f64)], within: f64) {
    for (name, wanted) in wanted {
        let value = found[name][n];
        assert!(
            (value - wanted).abs() < within * wanted.abs().max(1e-3),
            "{name}: {value}, {wanted}"
        );
    }
}

fn vector(t: &Tensor) -> Vec<f64> {
    Vec::try_from(&t.to_kind(Kind::Double).flatten(0, -1)).unwrap()
}

fn length(v: &[f64]) -> f64 {
    v.iter().map(|x| x * x).sum::<f64>().sqrt()
}

fn less(a: &[f64], b: &[f64]) -> Vec<f64> {
    a.iter().zip(b).map(|(a, b)| a - b).collect()
}

/// f = ½ Σ cᵢ xᵢ², whose gradient is c x, whose integrated gradients are c x² / 2, and whose
/// SmoothGrad with draws e is c (x + mean e).
#[test]
fn constants_and_bounds_are_those_of_loops() {
    let batch = batch(2);
    let weights = drawn(3, &[D]).abs() * 3. + 0.5;
    let c = vector(&weights);
    let model = Of(|x: &Tensor| {
        (x.square() * &weights * 0.5).sum_dim_intlist([1i64].as_slice(), false, None::<Kind>)
    });
    let spelled = "bounds:samples=4,sigma=0.05,smoothing=0.2,draws=3,points=8";
    let found = measured(spelled, &model, &batch);
    for (n, &key) in batch.keys.iter().enumerate() {
        let key = noise::key(key, noise::name_id("bounds"), 0);
        let x = vector(&batch.x.get(n as i64));
        let gradient = |x: &[f64]| -> Vec<f64> { x.iter().zip(&c).map(|(x, c)| c * x).collect() };
        let times = |x: &[f64]| -> Vec<f64> { x.iter().zip(&c).map(|(x, c)| c * x * x).collect() };
        let f = |x: &[f64]| times(x).iter().sum::<f64>() / 2.;
        let (mut l, mut h, mut gxi, mut most) = (length(&gradient(&x)), 0f64, 0f64, length(&x));
        let mut range = f(&x);
        for s in 0..4 {
            let e = vector(&noise::normal(&[noise::key(key, s, 0)], &IMAGE, Device::Cpu));
            let near: Vec<f64> = x.iter().zip(&e).map(|(x, e)| x + 0.05 * e).collect();
            let apart = length(&less(&near, &x));
            l = l.max((f(&near) - f(&x)).abs() / apart).max(length(&gradient(&near)));
            h = h.max(length(&less(&gradient(&near), &gradient(&x))) / apart);
            gxi = gxi.max(length(&less(&times(&near), &times(&x))) / apart);
            (most, range) = (most.max(length(&near)), range.max(f(&near)));
        }
        let tan = (2. / PI).sqrt() * l / 0.2;
        for (name, wanted) in [
            ("score-lipschitz", l),
            ("score-smoothness", h),
            ("gxi-found", gxi),
            ("gxi-bound", most * h + l),
            ("gxi-tightness", gxi / (most * h + l)),
            ("ig-found", gxi / 2.),
            ("ig-bound", (most * h + 2. * l) / 2.),
            ("smoothgrad-found", h),
            ("smoothgrad-bound", tan),
            ("smoothgrad-tightness", h / tan),
            ("smoothgrad-range", 2. * range / 0.04),
            ("smoothed-score-bound", l.min(range / 0.4)),
        ] {
            let value = found[name][n];
            assert!(
                (value - wanted).abs() < 1e-5 * wanted.abs().max(1.),
                "{name}: {value}, {wanted}"
            );
        }
        assert!(found["gxi-tightness"][n] <= 1. && found["ig-tightness"][n] <= 1.);
    }
}

/// f = |x| at 0: the slope of its SmoothGrad there is √(2/π)/σ, which Tan & Tian's C.7 allows
/// exactly. Agarwal et al.'s Theorem 2 allows 1/(2σ).
#[test]
fn the_absolute_value_exceeds_a_theorem_as_it_is_printed() {
    let x = Tensor::zeros([1, 1, 1, 1], (Kind::Double, Device::Cpu));
    let target = Target { class: Tensor::from_slice(&[0i64]), score: Score::Logit };
    let model = Of(|x: &Tensor| x.abs().sum_dim_intlist([1i64].as_slice(), false, None::<Kind>));
    let spelled = "bounds:samples=4,sigma=0.1,smoothing=0.5,draws=40000,points=2";
    let found = measured(spelled, &model, &Batch { chunk: 1 << 16, ..Batch::new(&x, &target) });
    let tight = |name: &str| found[name][0];
    assert!((tight("smoothgrad-tightness") - 1.).abs() < 0.06, "{found:?}");
    assert!((tight("smoothgrad-half-tightness") - (8. / PI).sqrt()).abs() < 0.1, "{found:?}");
}

#[test]
fn of_a_probability_the_range_is_one() {
    let batch = batch(2);
    let target = Target { class: batch.target.class.shallow_clone(), score: Score::Prob };
    let batch = Batch { target, ..batch.at(&batch.x) };
    let model = super::linear::Linear(drawn(5, &[3, D]) * 4. - 2.);
    let found = measured("bounds:samples=3,draws=3,smoothing=0.5", &model, &batch);
    assert!(found["smoothgrad-range"].iter().all(|bound| (bound - 8.).abs() < 1e-9));
    assert!(found["smoothed-score-bound"].iter().all(|bound| *bound <= 1.));
    for bad in ["bounds:sigma=0", "bounds:smoothing=-1", "bounds:draws=0", "bounds:samples=0"] {
        assert!(metric(parse(bad).unwrap()).is_err(), "{bad}");
    }
}
