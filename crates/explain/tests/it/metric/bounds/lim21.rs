//! Against loops, and where the score is linear: there the shortest change is known.

use super::{Bent, batch, drawn, near, size, step, told};
use crate::metric::{known::D, linear::Linear};
use models::Target;
use std::f64::consts::LN_2;
use tch::{Kind, Tensor};

/// A mask for each image.
fn masks(x: &Tensor) -> Tensor {
    drawn(11, &x.size()).abs().clamp(0., 1.)
}

#[test]
fn constants_and_bounds_are_those_of_loops() {
    let (batch, model) = (batch(3), Bent::drawn());
    let (masks, method) = (masks(&batch.x), explain::parse("saliency").unwrap());
    let spelled = "bounds-lim21:mask=raw,samples=3,radius=0.2";
    let found = told(spelled, &model, &*method, &batch, &masks);
    for (n, &key) in batch.keys.iter().enumerate() {
        let (x, mask) = (batch.x.get(n as i64), masks.get(n as i64));
        let (loss, g) = (
            |x: &Tensor| model.loss(&(x * &mask)),
            |x: &Tensor| -model.loss_gradient(&(x * &mask)),
        );
        let whole = mask.sum(Kind::Double).double_value(&[]);
        let (mut turned, mut allowed, mut high, mut bound) = (0f64, 0f64, 0f64, 0f64);
        for s in 0..3 {
            let at = &x + step(key, "bounds-lim21", s, 0.2);
            let change = g(&at) - g(&x);
            turned = turned.max(size(&(&change * &mask)));
            allowed = allowed.max(whole * size(&change));
            high = high.max(loss(&at));
            bound = bound.max(0.2 * whole * (size(&change) / 2. + size(&g(&x))));
        }
        let wanted = [
            ("mask-size", whole),
            ("gradient-found", turned),
            ("gradient-bound", allowed),
            ("gradient-tightness", turned / allowed),
            ("loss-found", high),
            ("loss-bound", bound),
            ("loss-bound-whole", bound + loss(&x)),
        ];
        near(&found, n, &wanted, 1e-9);
        assert!(found["gradient-tightness"][n] <= 1.);
    }
}

/// Where f = w · x, the class under the mask is lost first against w ⊙ m.
#[test]
fn the_shortest_change_of_a_line_is_found() {
    let batch = batch(4);
    let weights = drawn(5, &[1, D]);
    let model = Linear(Tensor::cat(&[&weights, &weights.zeros_like()], 0));
    let target = Target::predicted(&model, &(&batch.x * masks(&batch.x)), Default::default());
    let batch = explain::Batch { target, ..batch.at(&batch.x) };
    let (masks, method) = (masks(&batch.x), explain::parse("saliency").unwrap());
    let spelled = "bounds-lim21:mask=raw,reach=20,steps=40";
    let found = told(spelled, &model, &*method, &batch, &masks);
    for n in 0..4 {
        let (x, mask) = (batch.x.get(n).flatten(0, -1), masks.get(n).flatten(0, -1));
        let w = weights.get(0);
        let f = (&w * &x * &mask).sum(Kind::Double).double_value(&[]).abs();
        let shortest = f / size(&(&w * &mask));
        let whole = mask.sum(Kind::Double).double_value(&[]);
        let p = 1. / (1. + (-f).exp());
        let slope = [1. - p, 0.5].map(|rate| rate * size(&w));
        let least = 2. * (LN_2 + p.ln()) / (whole * (slope[1] - slope[0] + 2. * slope[0]));
        let wanted = [("gamma", shortest), ("gamma-bound", least)];
        near(&found, n as usize, &wanted, 1e-6);
        assert!(found["gamma-tightness"][n as usize] <= 1.);
    }
    let found = told("bounds-lim21:mask=raw,reach=1e-6", &model, &*method, &batch, &masks);
    assert!(found["gamma"].iter().all(|gamma| gamma.is_nan()), "out of reach");
}
