//! Backward rules and tangents of a network with several nonlinearities, against plain arithmetic.

use explain::{Attribution, Batch};
use models::{
    Activation, Affine, Builder, Model, Ops, Target,
    grad::{Graph, pull},
    jvp::LinearisedPass,
    noise, softened,
};
use std::{collections::BTreeMap, rc::Rc};
use tch::{Device, Kind, Tensor};

/// Two pixels; three hidden units under one nonlinearity; two under another; two logits.
struct Mixed {
    layers: [Affine; 3],
    activations: [Activation; 2],
}

const X: [f64; 2] = [0.5, 0.75];
const W: [[f64; 2]; 3] = [[1., -0.5], [3., -2.5], [-1., 2.]];
const B: [f64; 3] = [0.5, -0.25, -0.125];
const U: [[f64; 3]; 2] = [[0.5, -1., 0.75], [-0.5, 1.5, -0.25]];
const V: [[f64; 2]; 2] = [[2., 1.5], [-1., -2.]];

impl Mixed {
    fn new(activations: [Activation; 2]) -> Self {
        let built = |b: &Builder| {
            [
                Affine::linear(b, "a", 2, 3),
                Affine::linear_with(b, "b", 3, 2, false),
                Affine::linear_with(b, "c", 2, 2, false),
            ]
        };
        let b = Builder::new(0, Device::Cpu);
        let _ = built(&b);
        let given = [
            ("a.weight", Tensor::from_slice2(&W)),
            ("a.bias", Tensor::from_slice(&B)),
            ("b.weight", Tensor::from_slice2(&U)),
            ("c.weight", Tensor::from_slice2(&V)),
        ];
        let given: BTreeMap<_, _> = given.map(|(n, t)| (n.to_owned(), t)).into();
        b.params().fill(&given).unwrap();
        b.params().convert(Kind::Double);
        Mixed { layers: built(&Builder::frozen(&b.params())), activations }
    }
}

impl Model for Mixed {
    fn forward(&self, x: &Tensor, ops: &dyn Ops) -> Tensor {
        let ([a, b, c], [f, g]) = (&self.layers, &self.activations);
        let x = ops.act(f, &ops.affine(a, &x.flatten(1, -1)));
        ops.affine(c, &ops.act(g, &ops.affine(b, &x)))
    }

    fn nonlinear_only_in_ops(&self) -> bool {
        true
    }
}

fn every() -> Vec<Activation> {
    let slope = Rc::new(Tensor::from_slice(&[0.3f64]));
    vec![
        Activation::Relu,
        Activation::Clip { low: -0.5, high: 0.5 },
        Activation::LeakyRelu { slope: 0.1 },
        Activation::PRelu { slope },
        Activation::HardSigmoid { scale: 0.2, shift: 0.5 },
        Activation::HardSwish,
        Activation::Elu { alpha: 0.5 },
        Activation::Selu,
        Activation::Sigmoid,
        Activation::Silu,
        Activation::Tanh,
        Activation::Gelu,
        Activation::GeluTanh,
        Activation::Mish,
        Activation::Softplus { beta: 3. },
    ]
}

fn method(text: &str) -> Box<dyn Attribution> {
    explain::parse(text).unwrap()
}

fn value(a: &Activation, z: f64) -> f64 {
    a.apply(&Tensor::from_slice(&[z])).double_value(&[0])
}

fn slope(a: &Activation, z: f64) -> f64 {
    a.slope(&Tensor::from_slice(&[z])).double_value(&[0])
}

/// What enters both layers of units at x.
fn entering(x: [f64; 2], f: &Activation) -> ([f64; 3], [f64; 2]) {
    let z = [0, 1, 2].map(|j| W[j][0] * x[0] + W[j][1] * x[1] + B[j]);
    let h = z.map(|z| value(f, z));
    (z, [0, 1].map(|k| (0..3).map(|j| U[k][j] * h[j]).sum()))
}

/// The pass back of logit 0: `rule(gradient, place of the unit, layer)` at every unit.
fn back(rule: impl Fn(f64, usize, usize) -> f64) -> [f64; 2] {
    let top = [0, 1].map(|k| rule(V[0][k], k, 1));
    let units: [f64; 3] = [0, 1, 2].map(|j| rule((0..2).map(|k| U[k][j] * top[k]).sum(), j, 0));
    [0, 1].map(|i| (0..3).map(|j| W[j][i] * units[j]).sum())
}

fn close(map: &Tensor, expected: [f64; 2], told: &str) {
    let found = Vec::<f64>::try_from(map.flatten(0, -1)).unwrap();
    let near = found.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-8 * (1. + b.abs()));
    assert!(near, "{told}: {found:?}, not {expected:?}");
}

#[test]
fn rules_hold_for_every_pair_of_nonlinearities() {
    let x = Tensor::from_slice(&X).view([1, 1, 1, 2]);
    let batch = Batch::new(&x, &Target::logit(&Tensor::from_slice(&[0i64])));
    for f in every() {
        for g in every() {
            let model = Mixed::new([f.clone(), g.clone()]);
            let of = |layer: usize| if layer == 0 { &f } else { &g };
            let ((z, y), (z_b, y_b)) = (entering(X, &f), entering([0.125; 2], &f));
            let at = |i: usize, layer: usize| if layer == 0 { z[i] } else { y[i] };
            let base = |i: usize, layer: usize| if layer == 0 { z_b[i] } else { y_b[i] };
            let told = format!("{f:?}, {g:?}");
            let map = |text: &str| method(text).attribute(&model, &batch);
            let expected = back(|v, i, layer| v.max(0.) * slope(of(layer), at(i, layer)));
            close(&map("guided"), expected, &format!("guided {told}"));
            close(&map("deconvnet"), back(|v, _, _| v.max(0.)), &format!("deconvnet {told}"));
            let secant = |v: f64, i: usize, layer: usize| {
                let (z, b, a) = (at(i, layer), base(i, layer), of(layer));
                if (z - b).abs() < 1e-7 {
                    return v * slope(a, z);
                }
                v * (value(a, z) - value(a, b)) / (z - b)
            };
            let m = back(secant);
            let expected = [0, 1].map(|i| (X[i] - 0.125) * m[i]);
            close(&map("deeplift:baseline=0.125"), expected, &format!("deeplift {told}"));
            // without its value at 0, which is a bias, a nonlinearity passes all relevance
            let share = |v: f64, i: usize, layer: usize| {
                let (z, a) = (at(i, layer), of(layer));
                v * (value(a, z) - value(a, 0.)) / z
            };
            let m = back(share);
            let found = map("lrp:epsilon=1e-15");
            let expected = [0, 1].map(|i| X[i] * m[i]);
            close(&found, expected, &format!("lrp {told}"));
        }
    }
}

#[test]
fn tangents_of_mixed_networks_are_differentiated_gradients() {
    let x = Tensor::from_slice(&X).view([1, 1, 1, 2]);
    let direction = noise::normal(&[3], &[1, 1, 2], Device::Cpu).to_kind(Kind::Double);
    for f in every() {
        for g in every() {
            let model = Mixed::new([f.clone(), g.clone()]);
            let soft = softened(&model, 7.);
            for model in [&model as &dyn Model, &soft] {
                let leaf = x.copy().set_requires_grad(true);
                let pass = LinearisedPass::of(model, &leaf).unwrap();
                let along = pass.along(&direction).select(1, 0).sum(Kind::Double);
                let ours = pull(&along, &leaf, Graph::Keep);
                let score = model.logits(&leaf).select(1, 0).sum(Kind::Double);
                let slope = (pull(&score, &leaf, Graph::Keep) * &direction).sum(Kind::Double);
                let theirs = pull(&slope, &leaf, Graph::Free);
                let off = |a: &Tensor, b: &Tensor| (a - b).abs().max().double_value(&[]);
                assert!(off(&along, &slope) < 1e-9, "{f:?}, {g:?}");
                assert!(off(&ours, &theirs) < 1e-8, "{f:?}, {g:?}");
            }
        }
    }
}
