//! Attacks on maps: what every line of the registries must do, whatever it is combined with.

use super::victims::{
    K, all_attacks, all_methods, attack, flags, goal, linf, method, rule, run, subject,
};
use attack::{Ball, Beta, MapAttack, Norm, OPTIMIZERS, Objective, Optimizer, Outcome, Step, Walk};
use explain::{Batch, heat};
use models::{Activation, Model, Ops, Target};
use std::{cell::Cell, sync::Mutex};
use tch::Tensor;
use testkit::rule::distance;
use toml::Table;

fn same(a: &Outcome, b: &Outcome) -> bool {
    let pairs = [
        (&a.adversarial, &b.adversarial),
        (&a.success, &b.success),
        (&a.has_map, &b.has_map),
        (&a.measure, &b.measure),
        (&a.loss, &b.loss),
    ];
    pairs.iter().all(|(a, b)| a.equal(b))
}

/// What holds for every outcome of an attack on the images of `batch`.
fn holds(told: &str, by: &MapAttack, outcome: &Outcome, batch: &Batch, ball: &Ball) {
    let (adversarial, x) = (&outcome.adversarial, &batch.x);
    let far = ball.distance(x, adversarial).max().double_value(&[]);
    assert!(far <= ball.eps + 1e-6, "{told}: {far} from the image");
    assert!(adversarial.min().double_value(&[]) >= 0., "{told}");
    assert!(adversarial.max().double_value(&[]) <= 1., "{told}");
    let predicted = |x: &Tensor| tch::no_grad(|| by.model.logits(x)).argmax(1, false);
    assert!(predicted(adversarial).equal(&predicted(x)), "{told}: a prediction changed");
    let reference = by.reference(batch, K);
    let attacked = heat(&by.method.attribute(by.model, &batch.at(adversarial)));
    let measure = by.objective.measure(&attacked, &reference);
    assert!((&outcome.measure - measure).abs().max().double_value(&[]) < 1e-9, "{told}: measure");
    let before = by.objective.measure(&reference.heat, &reference);
    let stronger = outcome.measure.less_tensor(&before);
    assert_eq!(flags(&outcome.success), flags(&stronger), "{told}: success means stronger");
    for (i, success) in flags(&outcome.success).into_iter().enumerate() {
        let row = |t: &Tensor| t.get(i as i64);
        let moved = !row(adversarial).equal(&row(x));
        assert_eq!(moved, success, "{told}: image {i} moves if and only if it falls");
    }
    for t in [adversarial, &outcome.measure, &outcome.loss] {
        assert!(!t.requires_grad(), "{told}: something has a graph");
    }
}

#[test]
fn every_attack_conforms_on_every_method() {
    let (model, x, target) = subject();
    let (batch, sign) = (Batch::new(&x, &target), rule("sign"));
    for (attack_name, loss) in all_attacks() {
        for (method_name, method) in all_methods() {
            let (ball, by) = (linf(8. / 255.), attack(&model, &*method, &*loss, &*sign));
            let by = MapAttack { step: Step::Same(ball.eps / 2.), ..by };
            conforms(&format!("{attack_name} on {method_name}"), &by, &batch, &ball);
        }
    }
}

#[test]
fn every_rule_conforms() {
    let (model, x, target) = subject();
    let (batch, method) = (Batch::new(&x, &target), method("gxi"));
    for entry in OPTIMIZERS {
        let rule = (entry.build)(Table::new()).unwrap();
        for (attack_name, loss) in all_attacks() {
            for ball in [linf(8. / 255.), Ball::new(Norm::L2, 0.4).unwrap()] {
                let by = attack(&model, &*method, &*loss, &*rule);
                let by =
                    MapAttack { iterations: 8, restarts: 2, step: Step::Same(ball.eps / 4.), ..by };
                conforms(&format!("{attack_name} by {}", entry.name), &by, &batch, &ball);
            }
        }
    }
}

fn conforms(told: &str, by: &MapAttack, batch: &Batch, ball: &Ball) {
    let told = &format!("{told}, {:?}", ball.norm);
    let (clean, ticks) = (by.reference(batch, K), Cell::new(0));
    let outcome = by.run(batch, &clean, ball, None, &|| ticks.set(ticks.get() + 1));
    assert_eq!(ticks.get(), by.iterations * by.restarts, "{told}");
    holds(told, by, &outcome, batch, ball);
    assert!(!flags(&outcome.has_map).contains(&false), "{told}: every image has a map");
    let some = flags(&outcome.success).contains(&true);
    assert!(some || by.objective.gradient_free(), "{told}: nothing was attacked");
    assert!(same(&outcome, &run(by, batch, ball)), "{told}: not repeatable");
    let target = clean.heat.roll([-1], [0]);
    for i in 0..2 {
        let one = batch.narrow(i, 1);
        let clean = by.reference(&one, K).aiming_at(&target.narrow(0, i, 1));
        let alone = by.run(&one, &clean, ball, None, &|| ());
        let far = distance(&alone.adversarial, &outcome.adversarial.narrow(0, i, 1));
        assert!(far < 1e-9, "{told}: image {i} alone is {far:e} off");
        let measure = outcome.measure.narrow(0, i, 1);
        assert!((alone.measure - measure).abs().max().double_value(&[]) < 1e-9, "{told}");
    }
}

/// Counts its passes.
struct Counting<'a>(&'a dyn Model, Cell<u32>);

impl Model for Counting<'_> {
    fn forward(&self, x: &Tensor, ops: &dyn Ops) -> Tensor {
        self.1.set(self.1.get() + 1);
        self.0.forward(x, ops)
    }

    fn activation(&self) -> Option<Activation> {
        self.0.activation()
    }

    fn taps(&self) -> Vec<&str> {
        self.0.taps()
    }
}

/// A step is a pass through the surrogate and one through the network; `apgd` asks for one gradient
/// more, what holds the outputs for a pass a gradient, and `square` judges only. Where β grows the
/// first point is judged too.
#[test]
fn passes_are_as_many_as_steps_need() {
    let (model, x, target) = subject();
    let (batch, method) = (Batch::new(&x, &target), method("gxi"));
    let cases = [
        ("sign", "topk", 20., 2 * 2 * 5),
        ("adam", "topk", 20., 2 * 2 * 5),
        ("apgd", "topk", 20., 2 * (2 * 5 + 1)),
        ("apgd", "topk", 40., 2 * (2 * 5 + 2)),
        ("sign", "topk", 40., 2 * (2 * 5 + 1)),
        ("square", "topk", 40., 2 * 5),
        ("sign", "manipulate", 20., 2 * 3 * 5),
        ("sign", "random", 20., 2 * 5),
        ("apgd", "random", 20., 2 * 5),
    ];
    for (rule_name, goal_name, end, passes) in cases {
        let counting = Counting(&model, Cell::new(0));
        let (rule, goal) = (rule(rule_name), goal(goal_name));
        let by = attack(&counting, &*method, &*goal, &*rule);
        let beta = Beta { end, ..by.beta };
        let by = MapAttack { beta, iterations: 5, restarts: 2, ..by };
        let clean = by.reference(&batch, K);
        counting.1.set(0);
        let _ = by.run(&batch, &clean, &linf(0.03), None, &|| ());
        assert_eq!(counting.1.get(), passes, "{goal_name} by {rule_name}");
    }
}

#[test]
fn no_room_means_no_change() {
    let (model, x, target) = subject();
    let (batch, method) = (Batch::new(&x, &target), method("gxi"));
    for (name, loss) in all_attacks() {
        for entry in OPTIMIZERS {
            let rule = (entry.build)(Table::new()).unwrap();
            for norm in [Norm::Linf, Norm::L2] {
                let ball = Ball::new(norm, 0.).unwrap();
                let outcome = run(&attack(&model, &*method, &*loss, &*rule), &batch, &ball);
                assert!(outcome.adversarial.equal(&x), "{name} by {}, {norm:?}", entry.name);
                assert!(!flags(&outcome.success).contains(&true), "{name} by {}", entry.name);
            }
        }
    }
}

#[test]
fn a_larger_ball_is_never_weaker_and_starts_where_the_smaller_ended() {
    let (model, x, target) = subject();
    let (batch, method) = (Batch::new(&x, &target), method("gxi"));
    for (name, loss) in all_attacks() {
        for entry in OPTIMIZERS {
            let told = format!("{name} by {}", entry.name);
            let rule = (entry.build)(Table::new()).unwrap();
            let by = attack(&model, &*method, &*loss, &*rule);
            let clean = by.reference(&batch, K);
            let small = by.run(&batch, &clean, &linf(0.01), None, &|| ());
            let large = by.run(&batch, &clean, &linf(0.03), Some(&small), &|| ());
            let weaker = large.measure.greater_tensor(&small.measure);
            assert!(!flags(&weaker).contains(&true), "{told}");
            holds(&told, &by, &large, &batch, &linf(0.03));
            // Without room to go on, the smaller ball's result is what is left.
            let stay = MapAttack { step: Step::Same(0.), ..by };
            let stayed = stay.run(&batch, &clean, &linf(0.03), Some(&small), &|| ());
            if entry.name == "sign" {
                assert!(same(&stayed, &small), "{told}");
            }
        }
    }
}

#[test]
fn more_starts_are_never_weaker() {
    let (model, x, target) = subject();
    let (batch, method, sign) = (Batch::new(&x, &target), method("gxi"), rule("sign"));
    let mut changed = 0;
    for (name, loss) in all_attacks() {
        let by = attack(&model, &*method, &*loss, &*sign);
        let once = run(&by, &batch, &linf(0.03));
        let often = run(&MapAttack { restarts: 4, ..by }, &batch, &linf(0.03));
        assert!(!flags(&often.measure.greater_tensor(&once.measure)).contains(&true), "{name}");
        changed += i32::from(!same(&often, &once));
    }
    assert!(changed >= 3, "starts make a difference to {changed} attacks only");
}

/// The same logits for every image.
struct Constant;

impl Model for Constant {
    fn forward(&self, x: &Tensor, _ops: &dyn Ops) -> Tensor {
        Tensor::from_slice(&[1., 2.]).expand([x.size()[0], 2], false)
    }

    fn activation(&self) -> Option<Activation> {
        Some(Activation::Relu)
    }
}

#[test]
fn maps_without_mass_are_left_alone() {
    let (_, x, _) = subject();
    let (target, sign) = (Target::logit(&Tensor::from_slice(&[1i64; 4])), rule("sign"));
    for (name, loss) in all_attacks() {
        let method = method("gxi");
        for ball in [linf(0.1), Ball::new(Norm::L2, 1.).unwrap()] {
            let by = attack(&Constant, &*method, &*loss, &*sign);
            let outcome = run(&by, &Batch::new(&x, &target), &ball);
            assert!(outcome.adversarial.equal(&x), "{name}");
            assert!(!flags(&outcome.has_map).contains(&true), "{name}");
            assert!(bool::try_from(outcome.measure.isnan().all()).unwrap(), "{name}");
        }
    }
}

/// A black image has no map by gradient times input; what is beside it in a batch is not changed by it.
#[test]
fn an_image_without_a_map_is_told_from_one_that_is_robust() {
    let (model, x, target) = subject();
    let (method, ball) = (method("gxi"), linf(0.1));
    let with_black = x.copy();
    let _ = with_black.get(1).fill_(0.);
    for (name, loss) in all_attacks() {
        for entry in OPTIMIZERS {
            let told = format!("{name} by {}", entry.name);
            let rule = (entry.build)(Table::new()).unwrap();
            let by = attack(&model, &*method, &*loss, &*rule);
            let outcome = run(&by, &Batch::new(&with_black, &target), &ball);
            // The one before it aims at its map, where maps are aimed at.
            let expected = [!loss.wants_target(), false, true, true];
            assert_eq!(flags(&outcome.has_map), expected, "{told}");
            assert!(outcome.adversarial.get(1).equal(&with_black.get(1)), "{told}");
            assert!(!flags(&outcome.success)[1], "{told}");
            assert_eq!(flags(&outcome.measure.isnan()), expected.map(|map| !map), "{told}");
            let alone = run(&by, &Batch::new(&x, &target), &ball);
            let far = distance(&outcome.adversarial.get(2), &alone.adversarial.get(2));
            assert!(far < 1e-9 && flags(&alone.has_map) == [true; 4], "{told}: {far}");
        }
    }
}

/// A map that is there where the first pixel is at most a half, and gone beyond.
struct Fading;

impl Model for Fading {
    fn forward(&self, x: &Tensor, ops: &dyn Ops) -> Tensor {
        let flat = x.flatten(1, -1);
        let first = flat.narrow(1, 0, 1);
        let sum = flat.sum_dim_intlist([1].as_slice(), true, None::<tch::Kind>);
        let some = ops.act(&Activation::Relu, &((&first - 0.5) * -4.)) * sum;
        Tensor::cat(&[&some + 1., &some * -1.], 1)
    }

    fn activation(&self) -> Option<Activation> {
        Some(Activation::Relu)
    }
}

/// Judges one image.
struct Visit(Mutex<Tensor>);

impl Optimizer for Visit {
    fn climb(&self, objective: &dyn Objective, _walk: &Walk) -> Tensor {
        let x = self.0.lock().unwrap().shallow_clone();
        let value = objective.value(&x);
        assert_eq!(value.isinf().int64_value(&[0]), 1, "what has no map is no way to go");
        x
    }
}

#[test]
fn an_attack_does_not_win_by_leaving_no_map() {
    let x = Tensor::from_slice(&[0.45, 0.3, 0.6, 0.2]).view([1, 1, 2, 2]);
    let gone = Tensor::from_slice(&[0.55, 0.3, 0.6, 0.2]).view([1, 1, 2, 2]);
    let (target, method) = (Target::logit(&Tensor::from_slice(&[0i64])), method("saliency"));
    for (name, loss) in all_attacks() {
        let rule = Visit(Mutex::new(gone.shallow_clone()));
        let by = attack(&Fading, &*method, &*loss, &rule);
        let batch = Batch::new(&x, &target);
        let outcome = by.run(&batch, &by.reference(&batch, 1), &linf(0.2), None, &|| ());
        assert_eq!((flags(&outcome.has_map), flags(&outcome.success)), (vec![true], vec![false]));
        assert!(outcome.adversarial.equal(&x), "{name}");
    }
}
