//! Against loops; and with four numbers an image, where every copy of LIME and every coalition of SHAP
//! can be asked, against the constants of the exact methods.

use super::{Bent, D, IMAGE, batch, inner, measured, near, normal, size, step};
use crate::of::Of;
use explain::Batch;
use models::{Target, noise};
use tch::{Device, Kind, Tensor};

const SPELLED: &str =
    "bounds-tan23:samples=3,radius=0.4,copies=40,lambda=0.5,width=3,draws=4,sigmas=4";

/// p and the map over the pixels of an image, channels together.
fn over_pixels(model: &Bent, x: &Tensor, map: &Tensor) -> [Tensor; 2] {
    let mean = |t: &Tensor| t.mean_dim([0].as_slice(), false, Kind::Double).flatten(0, -1);
    let [_, height, width] = IMAGE;
    let p: Vec<f64> = (0..height * width)
        .map(|pixel| {
            let without = x.copy();
            let _ = without.select(1, pixel / width).select(1, pixel % width).fill_(0.);
            (model.f(x) - model.f(&without)) / mean(x).double_value(&[pixel])
        })
        .collect();
    [mean(map), Tensor::from_slice(&p)]
}

#[test]
fn constants_and_bounds_are_those_of_loops() {
    let (batch, model) = (batch(2), Bent::drawn());
    let found = measured(SPELLED, &model, &batch);
    let common = "groups=scalars,samples=40,alpha=20,intercept=false,width=3";
    let [lime, uniform, shap] = [
        format!("lime:kernel=l2,{common}"),
        format!("lime:kernel=uniform,{common}"),
        "kernelshap:groups=scalars,samples=40".into(),
    ]
    .map(|spelled| explain::parse(&spelled).unwrap());
    let (d, root) = (D as f64, (D as f64 + 1.).sqrt());
    for (n, &key) in batch.keys.iter().enumerate() {
        let one = batch.narrow(n as i64, 1);
        let x = one.x.get(0);
        let (mut l, mut r, mut beta) = (0f64, 0f64, size(&x));
        let mut constants = [0f64; 3];
        for s in 0..3 {
            let u = step(key, "bounds-tan23", s, 0.4);
            beta = beta.max(size(&(&x + &u)));
            let draw = noise::key(noise::key(key, noise::name_id("bounds-masks"), 0), s, 0);
            let half = noise::uniform(&[draw], &IMAGE, Device::Cpu).get(0).lt(0.5);
            for mask in [x.ones_like(), half.to_kind(Kind::Double)] {
                let [here, there] = [&x * &mask, (&x + &u) * &mask];
                let rate = (model.f(&here) - model.f(&there)).abs() / size(&(&u * &mask));
                l = l.max(rate).max(size(&model.gradient(&there)));
                r = r.max(model.f(&here).abs()).max(model.f(&there).abs());
            }
            for (constant, method) in constants.iter_mut().zip([&lime, &uniform, &shap]) {
                let map = |x: &Tensor| method.attribute(&model, &one.at(x));
                let moved = map(&(&one.x + u.unsqueeze(0))) - map(&one.x);
                *constant = constant.max(size(&moved) / 0.4);
            }
        }
        let c = 4. / ((-beta * beta / 9.).exp() + 2.);
        let e = (2. * beta / 9.).exp() * beta * r / 9.;
        let bound =
            c * (root * l / 2. + e * (d - 1.).sqrt()) + c * c * e * d * (d - 1.).sqrt() / 2.;
        let wanted = [
            ("lime-found", constants[0]),
            ("lime-bound", bound),
            ("lime-tightness", constants[0] / bound),
            ("uniform-lime-found", constants[1]),
            ("uniform-lime-bound", root * l / 2. * 4. / 3.),
            ("shap-found", constants[2]),
            ("shap-bound", 2. * d.sqrt() * l),
        ];
        near(&found, n, &wanted, 1e-7);
    }
}

#[test]
fn the_trade_off_is_that_of_loops() {
    let (batch, model) = (batch(3), Bent::drawn());
    let found = measured(SPELLED, &model, &batch);
    for (n, &key) in batch.keys.iter().enumerate() {
        let x = batch.x.get(n as i64);
        let [gradient, p] = over_pixels(&model, &x, &model.gradient(&x));
        let (mut alpha, mut best, mut nearest) = (1f64, f64::NAN, f64::INFINITY);
        for sigma in [0.01, 0.02, 0.04, 0.08] {
            let each =
                (0..4).map(|s| model.gradient(&(&x + normal(key, "bounds-tradeoff", s) * sigma)));
            let map = each.reduce(|sum, one| sum + one).unwrap() / 4.;
            let [map, _] = over_pixels(&model, &x, &map);
            alpha = alpha.min(inner(&map, &p) / (size(&map) * size(&p)));
            let far = size(&(map - &p));
            if far < nearest {
                (best, nearest) = (sigma, far);
            }
        }
        let ratio = size(&p) / size(&gradient);
        let condition = 2. * ratio - 1. - alpha * alpha * ratio * ratio;
        let ends = size(&(&gradient - &p)).min(size(&p));
        let wanted = [
            ("alpha", alpha),
            ("ratio", ratio),
            ("condition", condition),
            ("assumed", f64::from(alpha > 0. && condition < 0.)),
            ("best-sigma", best),
            ("peaks", f64::from(nearest < ends)),
        ];
        near(&found, n, &wanted, 1e-9);
    }
}

/// (E π ε εᵀ + λ I)⁻¹ E π f(x ⊙ ε) ε over all masks of four numbers; `width` is of π.
fn exact_lime(f: &dyn Fn(&[f64]) -> f64, x: &[f64], lambda: f64, width: f64) -> Tensor {
    let mut gram = Tensor::eye(4, (Kind::Double, Device::Cpu)) * lambda;
    let mut sum = Tensor::zeros([4], (Kind::Double, Device::Cpu));
    for mask in 0..16u32 {
        let keep: Vec<f64> = (0..4).map(|i| f64::from(mask >> i & 1)).collect();
        let copy: Vec<f64> = x.iter().zip(&keep).map(|(x, keep)| x * keep).collect();
        let far: f64 = x.iter().zip(&copy).map(|(x, z)| (x - z).powi(2)).sum();
        let weight = (-far / (width * width)).exp() / 16.;
        let row = Tensor::from_slice(&keep);
        gram += row.unsqueeze(1).matmul(&row.unsqueeze(0)) * weight;
        sum += row * (weight * f(&copy));
    }
    gram.inverse().matmul(&sum)
}

/// Shapley values over all 24 orders.
fn exact_shap(f: &dyn Fn(&[f64]) -> f64, x: &[f64]) -> Tensor {
    let mut values = [0f64; 4];
    let mut count = 0.;
    for code in 0..256usize {
        let order = [code & 3, code >> 2 & 3, code >> 4 & 3, code >> 6];
        if (0..4).any(|i| !order.contains(&i)) {
            continue;
        }
        let mut copy = vec![0f64; 4];
        for &i in &order {
            let before = f(&copy);
            copy[i] = x[i];
            values[i] += f(&copy) - before;
        }
        count += 1.;
    }
    Tensor::from_slice(&values) / count
}

#[test]
fn exact_methods_stay_below_the_bounds() {
    let (a, b) = (drawn_of(21, &[4, 3]), drawn_of(22, &[3]));
    let model = Of(|x: &Tensor| x.matmul(&a).tanh().matmul(&b));
    let f = |x: &[f64]| {
        Tensor::from_slice(x).unsqueeze(0).matmul(&a).tanh().matmul(&b).double_value(&[0])
    };
    let x = drawn_of(23, &[3, 1, 2, 2]).abs();
    let batch = Batch::new(&x, &Target::logit(&Tensor::zeros([3], (Kind::Int64, Device::Cpu))));
    let spelled = "bounds-tan23:samples=6,radius=0.5,lambda=0.25,width=2";
    let found = measured(spelled, &model, &batch);
    for n in 0..3 {
        let x: Vec<f64> = Vec::try_from(&batch.x.get(n as i64).flatten(0, -1)).unwrap();
        for s in 0..200 {
            let u = drawn_of(1000 + s, &[4]);
            let far = 0.5 * (s as f64 + 1.) / 200.;
            let u = Vec::<f64>::try_from(&(&u * (far / size(&u)))).unwrap();
            let there: Vec<f64> = x.iter().zip(&u).map(|(x, u)| x + u).collect();
            let rate = |a: Tensor, b: Tensor| size(&(a - b)) / far;
            let lime =
                |width| rate(exact_lime(&f, &x, 0.25, width), exact_lime(&f, &there, 0.25, width));
            assert!(lime(2.) <= found["lime-bound"][n], "{found:?}");
            assert!(lime(1e9) <= found["uniform-lime-bound"][n], "{found:?}");
            assert!(rate(exact_shap(&f, &x), exact_shap(&f, &there)) <= found["shap-bound"][n]);
        }
    }
}

fn drawn_of(key: u64, shape: &[i64]) -> Tensor {
    super::drawn(key, shape)
}
