//! What makes the usual attack strong: a sharpness in units of the network that grows, losses near
//! the measure, steps that fit the ball, and several walks.

use super::formulas::{knowing, two_maps};
use super::tiny::{self, Tiny};
use super::victims::{
    Always, K, all_attacks, all_methods, attack, flags, goal, linf, method, rule, run, subject,
};
use attack::{Ball, Beta, Descent, Ensemble, MapAttack, Norm, Objective, Outcome, Step, Walk};
use explain::{Batch, heat};
use models::{Activation, Model, Ops, Score, Target, softened, softened_by, spreads};
use std::{cell::Cell, sync::Mutex};
use tch::{Device, Kind, Tensor};

#[test]
fn sharpness_is_a_number_or_a_growth() {
    assert_eq!(Beta::parse("20").unwrap(), Beta::fixed(20.));
    let growing = Beta { start: 10., end: 100., relative: false };
    assert_eq!(Beta::parse("10:100").unwrap(), growing);
    let relative = Beta { relative: true, ..growing };
    assert_eq!(Beta::parse("10:100/spread").unwrap(), relative);
    for beta in [growing, relative, Beta::fixed(20.), Beta::USUAL] {
        assert_eq!(Beta::parse(&beta.to_string()).unwrap(), beta);
    }
    for wrong in ["0", "-1", "10:", "a", "10:0", "inf", "10/spreads", "/spread", "10:/spread"] {
        assert!(Beta::parse(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn a_growing_sharpness_is_that_of_each_iteration() {
    let (model, x, target) = subject();
    let (batch, method, topk, sign) =
        (Batch::new(&x, &target), method("gxi"), goal("topk"), rule("sign"));
    let by = |beta| MapAttack { beta, ..attack(&model, &*method, &*topk, &*sign) };
    let at = |beta, iterations, from: Option<&Outcome>| {
        let by = MapAttack { iterations, step: Step::Same(1e-5), ..by(beta) };
        let always = Always(&*topk, Mutex::new(from.map_or(0., |_| -9.)));
        let by = MapAttack { objective: &always, ..by };
        by.run(&batch, &by.reference(&batch, K), &linf(0.1), from, &|| ())
    };
    // Of two iterations from 2 to 32, the second is at 2 · (32 / 2)^(1/2) = 8.
    let grown = at(Beta { end: 32., ..Beta::fixed(2.) }, 2, None);
    let first = at(Beta::fixed(2.), 1, None);
    let second = at(Beta::fixed(8.), 1, Some(&first));
    let far = (&grown.adversarial - &second.adversarial).abs().max().double_value(&[]);
    assert!(far < 1e-12, "{far:e}");
}

/// The same function with its hidden numbers in other units.
struct Rescaled(Tiny, f64);

impl Model for Rescaled {
    fn forward(&self, x: &Tensor, ops: &dyn Ops) -> Tensor {
        self.0.forward(x, &Units(ops, self.1))
    }

    fn activation(&self) -> Option<Activation> {
        self.0.activation()
    }
}

struct Units<'a>(&'a dyn Ops, f64);

impl Ops for Units<'_> {
    fn act(&self, activation: &Activation, x: &Tensor) -> Tensor {
        self.0.act(activation, &(x * self.1)) / self.1
    }
}

#[test]
fn a_relative_sharpness_does_not_depend_on_units() {
    let (one, other) = (Tiny::new(7), Rescaled(Tiny::new(7), 1000.));
    let x = Tensor::rand([6, 1, 3, 4], (Kind::Double, Device::Cpu));
    let each = |model: &dyn Model| spreads(model, [x.shallow_clone()]);
    let target = Target::logit(&Tensor::from_slice(&[0i64; 6]));
    let (method, batch) = (method("gxi"), Batch::new(&x, &target));
    let map = |model: &dyn Model| heat(&method.attribute(model, &batch));
    let apart = |a: Tensor, b: Tensor| (a - b).abs().max().double_value(&[]);
    let relative = |model: &dyn Model| map(&softened_by(model, 5., &each(model)));
    assert!(apart(relative(&one), relative(&other)) < 1e-12);
    assert!(apart(map(&softened(&one, 5.)), map(&softened(&other, 5.))) > 1e-3);
    let spread = each(&one);
    let same = map(&softened_by(&one, 5., &spread));
    assert!(apart(same, map(&softened(&one, 5. / spread[0]))) < 1e-12);
}

#[test]
fn spreads_are_standard_deviations_however_images_are_cut() {
    let (model, x, _) = subject();
    let whole = spreads(&model, [x.shallow_clone()]);
    let cut = spreads(&model, [x.narrow(0, 0, 1), x.narrow(0, 1, 3)]);
    assert!(whole.len() > 15, "one for each ReLU: {}", whole.len());
    for (a, b) in whole.iter().zip(&cut) {
        assert!((a / b - 1.).abs() < 1e-9, "{a} {b}");
    }
    let (tiny, seen) = (Tiny::new(7), Seen(Cell::new(0.)));
    let _ = tiny.forward(&x.narrow(1, 0, 1).narrow(2, 0, 3).narrow(3, 0, 4), &seen);
    let found = spreads(&tiny, [x.narrow(1, 0, 1).narrow(2, 0, 3).narrow(3, 0, 4)]);
    assert!((found[0] - seen.0.get()).abs() < 1e-12, "{found:?} {}", seen.0.get());
    assert_eq!(spreads(&tiny, [Tensor::zeros([2, 1, 3, 4], (Kind::Double, Device::Cpu))]), [1.]);
}

/// Notes the standard deviation of what is bent.
struct Seen(Cell<f64>);

impl Ops for Seen {
    fn act(&self, activation: &Activation, x: &Tensor) -> Tensor {
        let all = Vec::<f64>::try_from(x.flatten(0, -1)).unwrap();
        let mean = all.iter().sum::<f64>() / all.len() as f64;
        let square = all.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / all.len() as f64;
        self.0.set(square.sqrt());
        activation.apply(x)
    }
}

#[test]
fn losses_of_topk_are_what_they_say() {
    let (clean, other) = two_maps();
    let known = knowing(&clean);
    let heat = Vec::<f64>::try_from(other.flatten(0, -1)).unwrap();
    // The three largest of the first map are pixels 0, 5 and 11; of the others in the second 6, 2
    // and one of equal ones.
    let (own, others) = ([heat[0], heat[5], heat[11]], [heat[6], heat[2], heat[1]]);
    let pairs = own.iter().flat_map(|a| others.map(|b| (1. + (a / b).powi(10)).ln()));
    let sum = |of: &[f64]| of.iter().sum::<f64>();
    let expected = [
        (Descent::Published, "sum", sum(&own)),
        (Descent::Near, "rank", pairs.sum::<f64>() / 9.),
        (Descent::Other, "share", sum(&own) / (sum(&own) + sum(&others))),
    ];
    for (descent, name, expected) in expected {
        let usual = goal("topk").descended(&other, &known, descent).double_value(&[0]);
        assert!((usual - expected).abs() < 1e-9, "{name}: {usual} {expected}");
        let named = goal(&format!("topk:loss={name}")).loss(&other, &known).double_value(&[0]);
        assert!((named - expected).abs() < 1e-9, "{name}: {named} {expected}");
    }
}

/// A slope of one everywhere.
struct Up;

impl Objective for Up {
    fn value_and_grad(&self, x: &Tensor, _iteration: u32) -> (Tensor, Tensor) {
        (self.value(x), x.ones_like())
    }

    fn value(&self, x: &Tensor) -> Tensor {
        x.sum_dim_intlist([1i64, 2, 3].as_slice(), false, Kind::Double)
    }
}

#[test]
fn steps_fall_by_equal_differences() {
    let x = Tensor::zeros([1, 1, 2, 2], (Kind::Double, Device::Cpu));
    let end = |step| {
        let (start, ball) = (x.shallow_clone(), linf(0.9));
        let walk = Walk { x: &x, ball, start, start_value: None, steps: 4, step, keys: &[0] };
        rule("sign").climb(&Up, &walk).max().double_value(&[])
    };
    assert!((end(Step::Same(0.1)) - 0.4).abs() < 1e-12);
    assert!((end(Step::Falling(0.1)) - 0.1 * (1. + 0.75 + 0.5 + 0.25)).abs() < 1e-12);
}

#[test]
fn the_published_attack_is_signs_down_sums() {
    let (model, x, target) = subject();
    let (batch, method, topk, sign) =
        (Batch::new(&x, &target), method("gxi"), goal("topk"), rule("sign"));
    for ball in [linf(4. / 255.), Ball::new(Norm::L2, 0.4).unwrap()] {
        let spreads = spreads(&model, [x.shallow_clone()]);
        let usual = MapAttack::fast(&model, &*method, &*topk, &spreads, &ball);
        let usual = MapAttack { iterations: 5, ..usual };
        let step = if ball.norm == Norm::Linf { 0.5 / 255. } else { 0.2 };
        let by = attack(&model, &*method, &*topk, &*sign);
        let by = MapAttack { iterations: 5, step: Step::Same(step), ..by };
        let [found, expected] = [usual.published(&ball), by].map(|by| run(&by, &batch, &ball));
        assert!(found.adversarial.equal(&expected.adversarial), "{:?}", ball.norm);
    }
}

#[test]
fn on_a_trained_network_it_is_stronger_than_the_published_one() {
    let (model, _, x) = tiny::trained();
    let (target, topk) = (Target::predicted(&model, &x, Score::Logit), goal("topk"));
    let (batch, method, spreads) =
        (Batch::new(&x, &target), method("gxi"), spreads(&model, [x.shallow_clone()]));
    let ball = linf(2. / 255.);
    let usual = MapAttack::fast(&model, &*method, &*topk, &spreads, &ball);
    let clean = usual.reference(&batch, 10);
    let of = |found: Outcome| found.measure.mean(Kind::Double).double_value(&[]);
    let one = of(usual.run(&batch, &clean, &ball, None, &|| ()));
    let published = of(usual.published(&ball).run(&batch, &clean, &ball, None, &|| ()));
    let all = of(Ensemble::standard(usual, &ball).run(&batch, &clean, &ball, None, &|| ()));
    assert!(one < published - 0.02, "{one} and {published} as published");
    assert!(all < one, "{all} by all, {one} by one");
}

fn standard(by: &MapAttack, batch: &Batch, ball: &Ball, smaller: Option<&Outcome>) -> Outcome {
    let ensemble = Ensemble::standard(*by, ball);
    let (clean, ticks) = (by.reference(batch, K), Cell::new(0));
    ensemble.check([3, 8, 8]).unwrap();
    let found = ensemble.run(batch, &clean, ball, smaller, &|| ticks.set(ticks.get() + 1));
    assert_eq!(ticks.get(), ensemble.iterations());
    found
}

#[test]
fn several_walks_are_never_weaker_than_one_for_any_attack() {
    let (model, x, target) = subject();
    let batch = Batch::new(&x.narrow(0, 0, 2), &target.narrow(0, 2));
    let spreads = spreads(&model, [x]);
    let (small, large) = (linf(1. / 255.), linf(4. / 255.));
    for (name, goal) in all_attacks() {
        let method = method("gxi");
        let by = MapAttack::fast(&model, &*method, &*goal, &spreads, &small);
        let found = standard(&by, &batch, &small, None);
        let one = run(&MapAttack { iterations: 48, ..by }, &batch, &small);
        let weaker = |a: &Outcome, b: &Outcome| flags(&a.measure.greater_tensor(&b.measure));
        assert!(!weaker(&found, &one).contains(&true), "{name}");
        let larger = standard(&by, &batch, &large, Some(&found));
        assert!(!weaker(&larger, &found).contains(&true), "{name}");
        let far = large.distance(&batch.x, &larger.adversarial).max().double_value(&[]);
        assert!(far <= large.eps + 1e-6, "{name}: {far}");
    }
}

#[test]
fn methods_without_gradients_are_searched() {
    let (model, x, target) = subject();
    let batch = Batch::new(&x.narrow(0, 0, 1), &target.narrow(0, 1));
    let (method, topk, spreads) = (method("mask:steps=1"), goal("topk"), spreads(&model, [x]));
    let ball = linf(0.1);
    let by = MapAttack::fast(&model, &*method, &*topk, &spreads, &ball);
    by.check([3, 8, 8]).unwrap_err();
    let found = standard(&by, &batch, &ball, None);
    assert!(flags(&found.success)[0]);
}

#[test]
fn the_usual_walk_fits_every_method() {
    let (model, x, target) = subject();
    let batch = Batch::new(&x.narrow(0, 0, 1), &target.narrow(0, 1));
    let (topk, ball, spreads) = (goal("topk"), linf(0.05), spreads(&model, [x]));
    for (name, method) in all_methods() {
        let by = MapAttack::fast(&model, &*method, &*topk, &spreads, &ball);
        let found = run(&MapAttack { iterations: 4, ..by }, &batch, &ball);
        assert!(flags(&found.has_map)[0] && flags(&found.success)[0], "{name}");
    }
}

#[test]
fn the_trace_is_the_best_measure_after_every_iteration() {
    let (model, x, target) = subject();
    let (batch, method, ball) = (Batch::new(&x, &target), method("gxi"), linf(4. / 255.));
    let spreads = spreads(&model, [x.shallow_clone()]);
    for (name, goal) in all_attacks() {
        let by = MapAttack::fast(&model, &*method, &*goal, &spreads, &ball);
        let by = MapAttack { iterations: 6, restarts: 2, ..by };
        let found = run(&by, &batch, &ball);
        assert_eq!(found.trace.size(), [4, 1 + 2 * 6], "{name}");
        let clean = by.reference(&batch, K);
        let at = |i: i64| found.trace.select(1, i);
        assert!(at(0).equal(&goal.measure(&clean.heat, &clean)), "{name}");
        assert!(at(12).equal(&found.measure), "{name}");
        for i in 0..12 {
            let rises = at(i + 1).greater_tensor(&at(i));
            assert!(!flags(&rises).contains(&true), "{name}: it rises in {i}");
        }
    }
}

/// Of an average of draws the step differs from that of the draws that judge; the judge's do not.
#[test]
fn fresh_draws_are_those_of_steps_alone() {
    let (model, x, target) = subject();
    let (batch, topk, sign) = (Batch::new(&x, &target), goal("topk"), rule("sign"));
    for (name, drawn) in [("smoothgrad:samples=2", true), ("gxi", false)] {
        let method = method(name);
        let by = attack(&model, &*method, &*topk, &*sign);
        let [held, fresh] = [false, true].map(|fresh| {
            let found = run(&MapAttack { fresh, ..by }, &batch, &linf(0.05));
            let heat = heat(&method.attribute(&model, &batch.at(&found.adversarial)));
            let measure = topk.measure(&heat, &by.reference(&batch, K));
            assert!(found.measure.equal(&measure), "{name}");
            found
        });
        assert_eq!(held.adversarial.equal(&fresh.adversarial), !drawn, "{name}");
    }
}
