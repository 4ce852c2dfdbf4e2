//! Networks so small that their maps are written out in plain arithmetic.

use super::{largest, method};
use explain::Batch;
use models::{Activation, Affine, Builder, Model, Ops, Pool, Target};
use std::collections::BTreeMap;
use tch::{Device, Tensor};

/// Two pixels, three hidden units, two logits.
struct Tiny {
    hidden: Affine,
    out: Affine,
    activation: Activation,
}

const X: [f32; 2] = [0.5, 0.75];
const W: [[f32; 2]; 3] = [[1., -0.5], [3., -2.5], [-1., 2.]];
const B: [f32; 3] = [0.5, -0.25, -0.125];
const V: [[f32; 3]; 2] = [[2., -1., 1.5], [-1., 4., -2.]];
const C: [f32; 2] = [0.25, -0.5];

impl Tiny {
    fn new(activation: Activation) -> Self {
        let b = Builder::new(0, Device::Cpu);
        let (hidden, out) = (Affine::linear(&b, "hidden", 2, 3), Affine::linear(&b, "out", 3, 2));
        let given = [
            ("hidden.weight", Tensor::from_slice2(&W)),
            ("hidden.bias", Tensor::from_slice(&B)),
            ("out.weight", Tensor::from_slice2(&V)),
            ("out.bias", Tensor::from_slice(&C)),
        ];
        let given: BTreeMap<_, _> = given.map(|(name, t)| (name.to_owned(), t)).into();
        b.params().fill(&given).unwrap();
        Tiny { hidden, out, activation }
    }

    /// The map of the logit of `class` at `X`.
    fn map(&self, text: &str, class: i64) -> [f32; 2] {
        let x = Tensor::from_slice(&X).view([1, 1, 1, 2]);
        let target = Target::logit(&Tensor::from_slice(&[class]));
        let map = method(text).attribute(self, &Batch::new(&x, &target));
        Vec::<f32>::try_from(map.flatten(0, -1)).unwrap().try_into().unwrap()
    }
}

impl Model for Tiny {
    fn forward(&self, x: &Tensor, ops: &dyn Ops) -> Tensor {
        ops.affine(
            &self.out,
            &ops.act(&self.activation, &ops.affine(&self.hidden, &x.flatten(1, -1))),
        )
    }

    fn activation(&self) -> Option<Activation> {
        Some(self.activation.clone())
    }
}

fn close(found: [f32; 2], expected: [f32; 2], told: &str) {
    let near = found.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-5 * (1. + b.abs()));
    assert!(near, "{told}: {found:?}, not {expected:?}");
}

/// What enters each hidden unit at x.
fn entering(x: [f32; 2]) -> [f32; 3] {
    [0, 1, 2].map(|j| W[j][0] * x[0] + W[j][1] * x[1] + B[j])
}

/// Σ over hidden units of the weight to pixel i times `through(unit)`.
fn back(through: impl Fn(usize) -> f32) -> [f32; 2] {
    [0, 1].map(|i| (0..3).map(|j| W[j][i] * through(j)).sum())
}

#[test]
fn tiny_networks_have_the_maps_that_plain_arithmetic_gives() {
    let relu = Tiny::new(Activation::Relu);
    let z = entering(X);
    assert!(z[0] > 0. && z[1] < 0. && z[2] > 0., "an open and a shut unit");
    for class in [0, 1] {
        let v = V[class];
        let map = |text: &str| relu.map(text, class as i64);
        let open = |j: usize| if z[j] > 0. { v[j].max(0.) } else { 0. };
        close(map("guided"), back(open), "guided");
        close(map("deconvnet"), back(|j| v[j].max(0.)), "deconvnet");
        for baseline in [0., 0.125, 0.875] {
            let before = entering([baseline; 2]);
            let slope = |j: usize| (z[j].max(0.) - before[j].max(0.)) / (z[j] - before[j]);
            let m = back(|j| v[j] * slope(j));
            let expected = [0, 1].map(|i| (X[i] - baseline) * m[i]);
            close(map(&format!("deeplift:baseline={baseline}")), expected, "deeplift");
        }
    }
    let elu = Tiny::new(Activation::ELU);
    let slope = |j: usize| if z[j] > 0. { 1. } else { z[j].exp() };
    close(elu.map("guided", 1), back(|j| V[1][j].max(0.) * slope(j)), "guided of ELU");
    close(elu.map("deconvnet", 1), back(|j| V[1][j].max(0.)), "deconvnet of ELU");
}

/// `t` away from zero by `epsilon`.
fn stable(t: f32, epsilon: f32) -> f32 {
    if t < 0. { t - epsilon } else { t + epsilon }
}

#[test]
fn relevance_of_a_tiny_network_is_what_its_formula_says() {
    let tiny = Tiny::new(Activation::Relu);
    let z = entering(X);
    let h = z.map(|z| z.max(0.));
    for (class, epsilon, gamma) in [(0, 0.125, 0.), (0, 0.125, 0.5), (1, 1e-9, 0.5), (1, 0.5, 0.)] {
        let v = V[class];
        let f: f32 = (0..3).map(|j| v[j] * h[j]).sum::<f32>() + C[class];
        assert!((f > 0.) == (class == 0), "a positive and a negative logit");
        // parts of the sum that have its sign are raised
        let raise = |part: f32, sum: f32| if part * sum > 0. { part * (1. + gamma) } else { part };
        let whole: f32 = (0..3).map(|j| raise(v[j] * h[j], f)).sum::<f32>() + raise(C[class], f);
        let hidden = [0, 1, 2].map(|j| raise(v[j] * h[j], f) / stable(whole, epsilon) * f);
        let part = |i: usize, j: usize| raise(W[j][i] * X[i], z[j]);
        let sums = [0, 1, 2].map(|j| part(0, j) + part(1, j) + raise(B[j], z[j]));
        let expected =
            [0, 1].map(|i| (0..3).map(|j| part(i, j) / stable(sums[j], epsilon) * hidden[j]).sum());
        let text = format!("lrp:epsilon={epsilon:e},gamma={gamma}");
        close(tiny.map(&text, class as i64), expected, &text);
    }
}

/// One minus the mask of FGVis's deletion game on the two pixels, towards black.
fn deleted(class: usize, steps: u32, rate: f32, lambda: f32, defended: bool) -> [f32; 2] {
    let clean = entering(X).map(|z| z.max(0.));
    let mut mask = [1f32; 2];
    for _ in 0..steps {
        let z = entering([X[0] * mask[0], X[1] * mask[1]]);
        let h = z.map(|z| z.max(0.));
        let odds = [0, 1].map(|k| ((0..3).map(|j| V[k][j] * h[j]).sum::<f32>() + C[k]).exp());
        let p = odds.map(|odd| odd / (odds[0] + odds[1]));
        if p[class] < 0.5 {
            break;
        }
        // dp/dlogit: p (1 − p) of the class, minus that of the other
        let through = |j: usize| {
            let held = !defended || (0. ..=clean[j]).contains(&h[j]);
            let dp = p[0] * p[1] * (V[class][j] - V[1 - class][j]);
            if z[j] > 0. && held { dp } else { 0. }
        };
        let g = back(through);
        let g = [0, 1].map(|i| g[i] * X[i] - if mask[i] < 1. { lambda } else { 0. });
        let most = g[0].abs().max(g[1].abs());
        if most == 0. {
            break;
        }
        mask = [0, 1].map(|i| (mask[i] - rate * g[i] / most).clamp(0., 1.));
    }
    mask.map(|m| 1. - m)
}

#[test]
fn fgvis_of_a_tiny_network_is_its_loop() {
    let tiny = Tiny::new(Activation::Relu);
    let mut free = vec![];
    for defended in [true, false] {
        for (steps, rate, lambda) in [(1, 0.25, 0.), (5, 0.0625, 0.), (9, 0.1, 0.3), (40, 0.1, 0.)]
        {
            let text = format!(
                "fgvis:steps={steps},learning_rate={rate},lambda={lambda},defended={defended}"
            );
            let expected = deleted(0, steps, rate, lambda, defended);
            close(tiny.map(&text, 0), expected, &text);
            free.push(expected);
        }
    }
    assert_ne!(free[..4], free[4..], "a shut unit that opens is told apart");
    // The class is not the first from the beginning: nothing has to go.
    close(tiny.map("fgvis", 1), [0., 0.], "another class");
    assert_ne!(tiny.map("fgvis:until_switched=false,steps=3", 1), [0., 0.]);
}

/// The largest pixel of a 2×2 image, in one window.
struct Largest(Pool);

impl Model for Largest {
    fn forward(&self, x: &Tensor, ops: &dyn Ops) -> Tensor {
        ops.max_pool(self.0, x).flatten(1, -1)
    }

    fn activation(&self) -> Option<Activation> {
        Some(Activation::Relu)
    }
}

#[test]
fn deeplift_shares_a_maximum_among_those_that_hold_it() {
    let x = Tensor::from_slice(&[0.125f64, 0.25, 0.5, 0.0625]).view([1, 1, 2, 2]);
    let batch = Batch::new(&x, &Target::logit(&Tensor::from_slice(&[0i64])));
    let longer = Pool { padding: [[0, 1], [1, 0]], ..Pool::square(3, 1, 0) };
    // a rise to 0.5 is the third's; a fall from 1 is everybody's; from 0.5 there is neither
    for (baseline, expected) in [(0., [0., 0., 0.5, 0.]), (1., [-0.125; 4]), (0.5, [0.; 4])] {
        for model in [Largest(Pool::square(2, 2, 0)), Largest(longer)] {
            let map = method(&format!("deeplift:baseline={baseline}")).attribute(&model, &batch);
            let expected = Tensor::from_slice(&expected).view([1, 1, 2, 2]);
            assert!(largest(&(map - expected)) < 1e-12, "{:?} from {baseline}", model.0);
        }
    }
}
