//! Every nonlinearity in f64: its formula in plain arithmetic, its slope against autograd, and the
//! softened form, which is smooth and tends to it.

use models::{
    Activation,
    grad::{Graph, grad, pull},
};
use std::rc::Rc;
use tch::{Device, Kind, Tensor};

/// log(1 + eᶻ), with no overflow.
fn soft(z: f64) -> f64 {
    z.max(0.) + (-z.abs()).exp().ln_1p()
}

fn logistic(z: f64) -> f64 {
    1. / (1. + (-z).exp())
}

/// Φ(x) by Simpson's rule from −12.
fn normal(x: f64) -> f64 {
    let (n, density) = (20_000, |t: f64| (-t * t / 2.).exp() / std::f64::consts::TAU.sqrt());
    let step = (x + 12.) / f64::from(n);
    let weight = |i: i32| if i == 0 || i == n { 1. } else { f64::from(2 + 2 * (i % 2)) };
    (0..=n).map(|i| weight(i) * density(f64::from(i) * step - 12.)).sum::<f64>() * step / 3.
}

type Case = (Activation, fn(f64) -> f64);

/// Each nonlinearity and its formula.
fn cases() -> Vec<Case> {
    let slope = Rc::new(Tensor::from_slice(&[0.3f64]));
    let inf = f64::INFINITY;
    vec![
        (Activation::Relu, |x| x.max(0.)),
        (Activation::RELU6, |x| x.clamp(0., 6.)),
        (Activation::Clip { low: -1.5, high: 2.25 }, |x| x.clamp(-1.5, 2.25)),
        (Activation::Clip { low: -1., high: inf }, |x| x.max(-1.)),
        (Activation::Clip { low: -inf, high: 1. }, |x| x.min(1.)),
        (Activation::LeakyRelu { slope: 0.1 }, |x| if x > 0. { x } else { 0.1 * x }),
        (Activation::PRelu { slope }, |x| if x > 0. { x } else { 0.3 * x }),
        (Activation::HardSigmoid { scale: 0.2, shift: 0.5 }, |x| (0.2 * x + 0.5).clamp(0., 1.)),
        (Activation::HardSwish, |x| x * (x + 3.).clamp(0., 6.) / 6.),
        (Activation::ELU, |x| if x > 0. { x } else { x.exp_m1() }),
        (Activation::Elu { alpha: 0.5 }, |x| if x > 0. { x } else { 0.5 * x.exp_m1() }),
        (Activation::Selu, |x| {
            1.0507009873554805 * if x > 0. { x } else { 1.6732632423543772 * x.exp_m1() }
        }),
        (Activation::Sigmoid, logistic),
        (Activation::Silu, |x| x * logistic(x)),
        (Activation::Tanh, f64::tanh),
        (Activation::Gelu, |x| x * normal(x)),
        (Activation::GeluTanh, |x| {
            let inner = (2. / std::f64::consts::PI).sqrt() * (x + 0.044715 * x.powi(3));
            x / 2. * (1. + inner.tanh())
        }),
        (Activation::Mish, |x| x * soft(x).tanh()),
        (Activation::Softplus { beta: 3. }, |x| soft(3. * x) / 3.),
    ]
}

/// From −8 to 8, on no bend.
fn points() -> Vec<f64> {
    (0..320).map(|i| f64::from(i) * 0.05 - 7.987).collect()
}

fn largest(t: &Tensor) -> f64 {
    t.abs().max().double_value(&[])
}

#[test]
fn values_are_those_of_the_formula() {
    let x = Tensor::from_slice(&points());
    for (activation, formula) in cases() {
        let expected: Vec<f64> = points().into_iter().map(formula).collect();
        let off = largest(&(activation.apply(&x) - Tensor::from_slice(&expected)));
        assert!(off < 1e-9, "{activation:?}: {off}");
    }
}

#[test]
fn slopes_are_those_of_autograd_softened_or_not_and_can_be_differentiated() {
    let x = Tensor::from_slice(&points());
    for (activation, _) in cases() {
        for activation in [activation.softened(4.), activation] {
            let leaf = x.copy().set_requires_grad(true);
            let first = pull(&activation.apply(&leaf).sum(Kind::Double), &leaf, Graph::Keep);
            let slope = activation.slope(&leaf);
            assert!(largest(&(&first - &slope)) < 1e-10, "{activation:?}");
            let second = pull(&first.sum(Kind::Double), &leaf, Graph::Free);
            let of_slope = pull(&slope.sum(Kind::Double), &leaf, Graph::Free);
            assert!(bool::try_from(second.isfinite().all()).unwrap(), "{activation:?}");
            assert!(largest(&(second - of_slope)) < 1e-9, "{activation:?}: the second derivative");
        }
    }
}

#[test]
fn softened_forms_tend_to_what_they_stand_for() {
    // bends are among these points
    let x = Tensor::arange(161, (Kind::Double, Device::Cpu)) * 0.1 - 8.;
    for (activation, _) in cases() {
        let exact = activation.apply(&x);
        let far = |beta: f64| largest(&(activation.softened(beta).apply(&x) - &exact));
        if activation.softened(1.) == activation {
            continue;
        }
        let steps = [2., 20., 200., 2000.].map(far);
        assert!(steps.windows(2).all(|w| w[1] < w[0] * 0.2), "{activation:?}: {steps:?}");
        // a hinge is off by log 2 / β at most; HardSwish has it times 3, SELU times 0.7 λ
        assert!(steps[3] < 4. * 2f64.ln() / 2000., "{activation:?}: {steps:?}");
    }
}

#[test]
fn exactly_those_with_a_jump_of_their_slope_are_softened() {
    let sides = Tensor::arange(1601, (Kind::Double, Device::Cpu)) * 0.01 - 8.;
    for (activation, _) in cases() {
        let rise = activation.slope(&(&sides + 1e-7)) - activation.slope(&(&sides - 1e-7));
        let jumps = largest(&rise) > 1e-3;
        assert_eq!(jumps, activation.softened(1.) != activation, "{activation:?}");
    }
}

#[test]
fn clipped_and_leaky_ones_have_pytorchs_slope_at_the_bend() {
    let zero = Tensor::zeros([1], (Kind::Double, Device::Cpu));
    let slope = |activation: Activation| {
        let by_graph = grad(&zero, |x| activation.apply(x)).double_value(&[0]);
        (by_graph, activation)
    };
    assert_eq!(slope(Activation::Relu).0, 0.);
    assert_eq!(slope(Activation::RELU6).0, 0.);
    assert_eq!(slope(Activation::LeakyRelu { slope: 0.1 }).0, 0.1);
}

#[test]
fn slopes_of_prelu_are_trained_softened_or_not() {
    let slope = Tensor::from_slice(&[0.25f64, -0.5]).view([2, 1, 1]).set_requires_grad(true);
    let x = (Tensor::arange(16, (Kind::Double, Device::Cpu)) - 7.3).view([2, 2, 2, 2]);
    let prelu = Activation::PRelu { slope: Rc::new(slope.shallow_clone()) };
    let g = pull(&prelu.apply(&x).sum(Kind::Double), &slope, Graph::Free);
    let expected = x.clamp_max(0.).sum_dim_intlist([0, 2, 3].as_slice(), false, Kind::Double);
    assert!(largest(&(g.view([2]) - &expected)) < 1e-12);
    let soft = prelu.softened(50.);
    let g = pull(&soft.apply(&x).sum(Kind::Double), &slope, Graph::Free);
    assert!(largest(&(g.view([2]) - expected)) < 0.1);
}
