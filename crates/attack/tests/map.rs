//! Attacks on maps: what every line of the registry must do, the surrogate's gradient against
//! finite differences, a step against the paper's formulas, and strength on a trained network.
#![allow(clippy::unwrap_used)] // helpers of tests are tests

mod tiny;

#[path = "../../explain/tests/few/mod.rs"]
mod few;
#[path = "../../models/tests/rule/mod.rs"]
mod rule;

use attack::{
    ATTACKS, Ball, MapAttack, MapLoss, Norm, Outcome, Reference,
    objective::{check_k, default_k},
};
use explain::{Attribution, Batch, Differentiable, heat, similarity::top_intersection};
use few::few;
use models::{
    Activation, Classifier, Model, Ops, Score, Target, noise, softened,
    zoo::{self, Shape},
};
use rule::{distance, filled, images};
use std::cell::Cell;
use tch::{Device, Kind, Tensor};
use tiny::Tiny;
use toml::Table;

const K: i64 = 12;

fn all_attacks() -> Vec<(&'static str, Box<dyn MapLoss>)> {
    ATTACKS.iter().map(|a| (a.name, (a.build)(Table::new()).unwrap())).collect()
}

/// Superpixels jump with an image's rounding; a grid does not.
fn all_methods() -> Vec<(&'static str, Box<dyn Attribution>)> {
    few(&[("groups", "grid")]).into_iter().filter(|(_, m)| m.differentiable().is_some()).collect()
}

fn method(name: &str) -> Box<dyn Attribution> {
    explain::method(models::registry::parse(name).unwrap()).unwrap()
}

fn smooth(method: &dyn Attribution) -> &dyn Differentiable {
    method.differentiable().expect("only such methods are asked for")
}

/// A ResNet-20 and four 8×8 images, in f64: rounding moves no activation across a ReLU's bend.
fn subject() -> (Classifier, Tensor, Target) {
    let model = filled(zoo::arch("resnet20").unwrap()).in_f64().frozen();
    let x = images(4, &Shape { image: [3, 8, 8], classes: 10 }).to_kind(Kind::Double);
    let target = Target::predicted(&model, &x, Score::Logit);
    (model, x, target)
}

fn linf(eps: f64) -> Ball {
    Ball::new(Norm::Linf, eps).unwrap()
}

fn attack<'a>(
    model: &'a dyn Model,
    method: &'a dyn Differentiable,
    loss: &'a dyn MapLoss,
) -> MapAttack<'a> {
    MapAttack { model, method, loss, beta: 20., iterations: 3, step: 0.01 }
}

fn flags(t: &Tensor) -> Vec<bool> {
    t.try_into().unwrap()
}

fn same(a: &Outcome, b: &Outcome) -> bool {
    let pairs = [
        (&a.adversarial, &b.adversarial),
        (&a.maps, &b.maps),
        (&a.attacked_maps, &b.attacked_maps),
        (&a.success, &b.success),
        (&a.measure, &b.measure),
    ];
    pairs.iter().all(|(a, b)| a.equal(b))
}

/// What holds for every outcome of an attack on the images `x`.
fn holds(told: &str, by: &MapAttack, outcome: &Outcome, x: &Tensor, target: &Target, ball: &Ball) {
    let (adversarial, clean) =
        (&outcome.adversarial, by.method.attribute(by.model, &Batch::new(x, target)));
    assert!(outcome.maps.equal(&clean), "{told}: the clean maps");
    let far = ball.distance(x, adversarial).max().double_value(&[]);
    assert!(far <= ball.eps + 1e-6, "{told}: {far} from the image");
    assert!(adversarial.min().double_value(&[]) >= 0., "{told}");
    assert!(adversarial.max().double_value(&[]) <= 1., "{told}");
    let predicted = |x: &Tensor| tch::no_grad(|| by.model.logits(x)).argmax(1, false);
    assert!(predicted(adversarial).equal(&predicted(x)), "{told}: a prediction changed");
    let maps = by.method.attribute(by.model, &Batch::new(adversarial, target));
    assert!(distance(&outcome.attacked_maps, &maps) < 1e-9, "{told}: maps of other images");
    let reference = Reference::new(heat(&clean), K);
    let measure = by.loss.measure(&heat(&maps), &reference);
    assert!((&outcome.measure - measure).abs().max().double_value(&[]) < 1e-9, "{told}: measure");
    let before = by.loss.measure(&reference.heat, &reference);
    let stronger = outcome.measure.less_tensor(&before);
    assert_eq!(flags(&outcome.success), flags(&stronger), "{told}: success means stronger");
    for (i, success) in flags(&outcome.success).into_iter().enumerate() {
        let row = |t: &Tensor| t.get(i as i64);
        if !success {
            assert!(row(adversarial).equal(&row(x)), "{told}: image {i} failed and moved");
            assert!(row(&outcome.attacked_maps).equal(&row(&clean)), "{told}: map {i}");
        }
    }
    for t in [adversarial, &outcome.maps, &outcome.attacked_maps, &outcome.measure] {
        assert!(!t.requires_grad(), "{told}: something has a graph");
    }
}

#[test]
fn every_attack_conforms() {
    let (model, x, target) = subject();
    for (attack_name, loss) in all_attacks() {
        for (method_name, method) in all_methods() {
            let by = attack(&model, smooth(&*method), &*loss);
            for ball in [linf(8. / 255.), Ball::new(Norm::L2, 0.4).unwrap()] {
                let by = MapAttack { step: ball.eps / 2., ..by };
                let told = format!("{attack_name} on {method_name}, {:?}", ball.norm);
                let mut ticks = 0;
                let outcome = by.run(&Batch::new(&x, &target), &ball, K, || ticks += 1);
                assert_eq!(ticks, 3, "{told}");
                holds(&told, &by, &outcome, &x, &target, &ball);
                assert!(flags(&outcome.success).contains(&true), "{told}: nothing was attacked");
                let again = by.run(&Batch::new(&x, &target), &ball, K, || ());
                assert!(same(&outcome, &again), "{told}: not repeatable");
                one_by_one(&told, &by, &outcome, &x, &target, &ball);
            }
        }
    }
}

fn one_by_one(told: &str, by: &MapAttack, all: &Outcome, x: &Tensor, target: &Target, ball: &Ball) {
    for i in 0..2 {
        let alone = by.run(&Batch::new(x, target).narrow(i, 1), ball, K, || ());
        let far = distance(&alone.adversarial, &all.adversarial.narrow(0, i, 1));
        assert!(far < 1e-9, "{told}: image {i} alone is {far:e} off");
        let measure = all.measure.narrow(0, i, 1);
        assert!((alone.measure - measure).abs().max().double_value(&[]) < 1e-9, "{told}");
    }
}

#[test]
fn no_room_means_no_change() {
    let (model, x, target) = subject();
    for (name, loss) in all_attacks() {
        let method = method("gxi");
        for norm in [Norm::Linf, Norm::L2] {
            let ball = Ball::new(norm, 0.).unwrap();
            let outcome = attack(&model, smooth(&*method), &*loss).run(
                &Batch::new(&x, &target),
                &ball,
                K,
                || (),
            );
            assert!(outcome.adversarial.equal(&x), "{name}, {norm:?}");
            assert!(outcome.attacked_maps.equal(&outcome.maps), "{name}, {norm:?}");
            assert!(!flags(&outcome.success).contains(&true), "{name}, {norm:?}");
        }
    }
}

/// The same logits for every image.
struct Constant;

impl Model for Constant {
    fn forward(&self, x: &Tensor, _ops: &dyn Ops) -> Tensor {
        Tensor::from_slice(&[1., 2.]).expand([x.size()[0], 2], false)
    }

    fn activation(&self) -> Activation {
        Activation::Relu
    }

    fn taps(&self) -> &'static [&'static str] {
        &[]
    }
}

#[test]
fn maps_without_mass_are_left_alone() {
    let (_, x, _) = subject();
    let target = Target::logit(&Tensor::from_slice(&[1i64; 4]));
    for (name, loss) in all_attacks() {
        let method = method("gxi");
        for ball in [linf(0.1), Ball::new(Norm::L2, 1.).unwrap()] {
            let by = attack(&Constant, smooth(&*method), &*loss);
            let outcome = by.run(&Batch::new(&x, &target), &ball, K, || ());
            assert!(outcome.adversarial.equal(&x), "{name}");
            assert!(outcome.maps.equal(&x.zeros_like()), "{name}");
            assert!(bool::try_from(outcome.measure.isfinite().all()).unwrap(), "{name}");
        }
    }
}

#[test]
fn the_stronger_of_two_outcomes_is_never_weaker_than_either() {
    let (model, x, target) = subject();
    let loss = attack::map_loss(models::registry::parse("topk").unwrap()).unwrap();
    let method = method("gxi");
    let by = attack(&model, smooth(&*method), &*loss);
    let ball = linf(8. / 255.);
    let run = |iterations, step| {
        let by = MapAttack { iterations, step, ..attack(&model, smooth(&*method), &*loss) };
        by.run(&Batch::new(&x, &target), &ball, K, || ())
    };
    let (short, long, none) = (run(1, 0.002), run(3, 0.015), run(0, 0.1));
    assert!(!flags(&none.success).contains(&true), "no step, no success");
    for (first, second) in [((1, 0.002), (3, 0.015)), ((3, 0.015), (1, 0.002))] {
        let both = run(first.0, first.1).or_stronger(&run(second.0, second.1));
        assert!(both.measure.equal(&short.measure.minimum(&long.measure)));
        holds("the stronger of two", &by, &both, &x, &target, &ball);
    }
    assert!(same(&run(0, 0.1).or_stronger(&long), &long), "anything beats nothing");
    assert!(same(&run(3, 0.015).or_stronger(&none), &long), "nothing beats nothing");
}

/// Another attack's loss with a measure that makes every iterate the best so far.
struct Always<'a>(&'a dyn MapLoss, Cell<f64>);

impl MapLoss for Always<'_> {
    fn loss(&self, heat: &Tensor, clean: &Reference) -> Tensor {
        self.0.loss(heat, clean)
    }

    fn measure(&self, heat: &Tensor, _clean: &Reference) -> Tensor {
        self.1.set(self.1.get() - 1.);
        Tensor::full([heat.size()[0]], self.1.get(), (Kind::Double, heat.device()))
    }
}

/// `Tiny` that predicts another class where its score is more than `width` from that at its image.
struct Edge {
    tiny: Tiny,
    width: f64,
}

impl Model for Edge {
    fn forward(&self, x: &Tensor, ops: &dyn Ops) -> Tensor {
        let score = |x: &Tensor| self.tiny.forward(x, ops).select(1, 0);
        let (here, there) = (score(x), score(&self.tiny.tensor(&self.tiny.image())));
        let other = &here + (&here - there).abs() - self.width;
        Tensor::stack(&[here, other], 1)
    }

    fn activation(&self) -> Activation {
        self.tiny.activation()
    }

    fn taps(&self) -> &'static [&'static str] {
        &[]
    }
}

#[test]
fn an_iterate_that_changes_the_prediction_is_refused() {
    let target = Target::logit(&Tensor::from_slice(&[0i64]));
    for (name, loss) in all_attacks() {
        for (width, kept) in [(1e-5, false), (1e3, true)] {
            let edge = Edge { tiny: Tiny::new(7), width };
            let x = edge.tiny.tensor(&edge.tiny.image());
            let (method, always) = (method("gxi"), Always(&*loss, Cell::new(0.)));
            let by = attack(&edge, smooth(&*method), &always);
            let outcome = by.run(&Batch::new(&x, &target), &linf(0.05), 4, || ());
            assert_eq!(flags(&outcome.success), [kept], "{name}, {width}");
            assert_eq!(outcome.adversarial.equal(&x), !kept, "{name}, {width}");
        }
    }
}

#[test]
fn the_step_follows_the_objective_as_finite_differences_do() {
    let (model, x, target) = subject();
    let (x, target) = (x.narrow(0, 0, 1) * 0.6 + 0.2, target.narrow(0, 1));
    let target = Target { score: Score::Logprob, ..target };
    let (beta, step, n) = (4., 1e-7, 16);
    for (attack_name, loss) in all_attacks() {
        for (method_name, method) in all_methods() {
            let always = Always(&*loss, Cell::new(0.));
            let by = MapAttack {
                beta,
                step,
                iterations: 1,
                ..attack(&model, smooth(&*method), &always)
            };
            let room = Ball::new(Norm::L2, 1.).unwrap();
            let outcome = by.run(&Batch::new(&x, &target), &room, K, || ());
            let slope = (&x - outcome.adversarial) / step; // the gradient, but for its length
            let surrogate = softened(&model, beta);
            let clean =
                Reference::new(heat(&method.attribute(&model, &Batch::new(&x, &target))), K);
            let objective = |x: &Tensor| {
                let target = Target { class: target.class.expand([n], false), score: target.score };
                let batch = Batch::new(x, &target);
                // All are the one image: what is drawn for it stays.
                let batch = Batch { keys: vec![batch.keys[0]; n as usize], ..batch };
                loss.loss(&heat(&method.attribute(&surrogate, &batch)), &clean)
            };
            let along = noise::sign(&[5], &[n, 3, 8, 8], Device::Cpu).squeeze_dim(0);
            let along = along.to_kind(Kind::Double);
            let at = |steps: f64| objective(&(&x + &along * (steps * 1e-6)));
            let found = ((at(1.) - at(-1.)) * 8. - (at(2.) - at(-2.))) / 12e-6;
            let expected =
                (slope * along).sum_dim_intlist([1, 2, 3].as_slice(), false, Kind::Double);
            let unit = |t: &Tensor| t / t.norm();
            let far = (unit(&found) - unit(&expected)).abs().max().double_value(&[]);
            assert!(far < 1e-5, "{attack_name} on {method_name}: {far:e} off");
        }
    }
}

#[test]
fn steps_agree_with_the_formulas_of_the_paper() {
    let tiny = Tiny::new(7);
    let target = Target::logit(&Tensor::from_slice(&[0i64]));
    let (method, ball, k) = (method("gxi"), linf(0.05), 4);
    let topk = attack::map_loss(models::registry::parse("topk").unwrap()).unwrap();
    for iterations in [1, 3] {
        let always = Always(&*topk, Cell::new(0.));
        let by = MapAttack {
            model: &tiny,
            method: smooth(&*method),
            loss: &always,
            beta: 5.,
            iterations,
            step: 0.02,
        };
        let x0 = tiny.image();
        let outcome = by.run(&Batch::new(&tiny.tensor(&x0), &target), &ball, k, || ());
        let clean = tiny.heat(&x0, None);
        let mut x = x0.clone();
        for _ in 0..iterations {
            let slope = tiny.slope_of_mass(&x, &clean, k as usize, 5.);
            for (p, (x, slope)) in x.iter_mut().zip(slope).enumerate() {
                let moved = *x - 0.02 * slope.signum();
                *x = moved.clamp(x0[p] - 0.05, x0[p] + 0.05).clamp(0., 1.);
            }
        }
        let expected = tiny.tensor(&x);
        let far = (&outcome.adversarial - expected).abs().max().double_value(&[]);
        assert!(far < 1e-12, "after {iterations} steps: {far:e} off");
        let found = heat(&outcome.attacked_maps).contiguous().view(-1);
        let found = Vec::<f64>::try_from(found).unwrap();
        for (found, expected) in found.iter().zip(tiny.heat(&x, None)) {
            assert!((found - expected).abs() < 1e-12, "the heat on the real network");
        }
    }
}

#[test]
fn k_is_within_the_map() {
    for (side, k) in [(4, 16), (28, 20), (32, 20), (64, 80), (224, 1000)] {
        assert_eq!(default_k(side, side), k);
        assert!(check_k(k, side, side).is_ok());
    }
    assert!(check_k(1, 5, 7).is_ok() && check_k(35, 5, 7).is_ok());
    for k in [0, -1, 36] {
        let told = check_k(k, 5, 7).unwrap_err().to_string();
        assert!(told.contains(&format!("`k` is {k}; the maps have 1 to 35 pixels")), "{told}");
    }
    let told = attack::map_loss(models::registry::parse("topk:k=3").unwrap()).err().unwrap();
    assert!(format!("{told:#}").contains("attack `topk`"), "{told:#}");
}

#[test]
fn on_a_trained_network_it_beats_random_signs_by_far() {
    let (model, accuracy, x) = tiny::trained();
    assert!(accuracy > 0.9, "the network learns its task: {accuracy}");
    let target = Target::predicted(&model, &x, Score::Logit);
    let topk = attack::map_loss(models::registry::parse("topk").unwrap()).unwrap();
    let (method, ball, k) = (method("gxi"), linf(8. / 255.), 10);
    let by = attack(&model, smooth(&*method), &*topk);
    let by = MapAttack { iterations: 15, step: ball.eps / 4., ..by };
    let outcome = by.run(&Batch::new(&x, &target), &ball, k, || ());
    let clean = heat(&outcome.maps);
    let mean = |t: Tensor| t.mean(Kind::Double).double_value(&[]);
    let attacked = mean(top_intersection(&clean, &heat(&outcome.attacked_maps), k));
    let signs = noise::sign(&[1], &x.size(), Device::Cpu).squeeze_dim(0);
    let noisy = ball.project(&x, &(&x + signs * ball.eps));
    let noisy = method.attribute(&model, &Batch::new(&noisy, &target));
    let random = mean(top_intersection(&clean, &heat(&noisy), k));
    assert!((mean(outcome.measure) - attacked).abs() < 1e-12, "topk is judged by k-in");
    assert!(attacked < random - 0.2, "k-in is {attacked} attacked, {random} with random signs");
}
