//! Attacks in a row, and the warnings that their counts give.

use super::stored::{Stored, golden, images, keys, most, share, wrong};
use attack::{
    Adversary, AttackInput, Ball, NamedAdversary, Norm, Summary, adversary,
    prediction::autoattack::{SELECTIONS, Tally, check, run, selection, warnings},
};
use models::{Activation, Model, Ops, noise};
use std::cell::Cell;
use tch::{Device, Kind, Tensor};

const N: i64 = 60;
const BALL: Ball = Ball { norm: Norm::Linf, eps: 0.035 };

fn named(text: &str) -> NamedAdversary {
    let adversary = adversary(registry::parse(text).unwrap()).unwrap();
    NamedAdversary { name: text.split(':').next().unwrap().into(), adversary }
}

fn attacks() -> Vec<NamedAdversary> {
    ["fgsm", "apgd-ce:steps=10", "square:queries=200"].map(named).into()
}

#[test]
fn each_attack_gets_what_the_ones_before_left() {
    let model = Stored::new(&golden());
    let (x, y) = images(N);
    let ticks = Cell::new(0);
    let found = run(&AttackInput::new(&model, (&x, &y), BALL, &keys(N)), &attacks(), || {
        ticks.set(ticks.get() + 1)
    });
    assert_eq!(ticks.get(), 3);
    let summary = &found.summary;
    assert_eq!((summary.images, summary.clean), (N as u64, count(&found.clean)));
    let mut left = summary.clean;
    for tally in &summary.attacks {
        assert_eq!(tally.given, left, "{}", tally.name);
        left -= tally.broke;
    }
    assert!(summary.attacks[0].broke > 0 && summary.attacks[1].broke > 0, "{summary:?}");
    assert_eq!((summary.robust, count(&found.robust)), (left, left));
    assert!(left > 0, "or the rest shows nothing");
    let robust = wrong(&model, &found.adversarial, &y).logical_not();
    assert!(robust.equal(&found.robust), "the images do not show what is counted");
    let far = most(&BALL.distance(&x, &found.adversarial));
    assert!(far <= BALL.eps + 1e-6, "{far}");
    assert_eq!((summary.no_gradient, summary.random_output), (0, false));
}

fn count(which: &Tensor) -> u64 {
    which.sum(Kind::Int64).int64_value(&[]) as u64
}

#[test]
fn batches_add_up() {
    let model = Stored::new(&golden());
    let (x, y) = images(N);
    let whole = run(&AttackInput::new(&model, (&x, &y), BALL, &keys(N)), &attacks(), || ()).summary;
    let mut parts = Summary::default();
    for (from, n) in [(0, 25), (25, 35)] {
        let part = |t: &Tensor| t.narrow(0, from, n);
        let keys = &keys(N)[from as usize..(from + n) as usize];
        parts.merge(
            &run(&AttackInput::new(&model, (&part(&x), &part(&y)), BALL, keys), &attacks(), || ())
                .summary,
        );
    }
    assert_eq!(parts, whole);
}

#[test]
fn selections_are_attacks_with_their_defaults() {
    for (name, members) in SELECTIONS {
        let attacks = selection(name).unwrap();
        let names: Vec<&str> = attacks.iter().map(|a| a.name.as_str()).collect();
        assert_eq!(&names[..], *members);
        check(&attacks, 10).unwrap();
    }
    for (name, attack, classes) in [("standard", "`apgd-t`", 4), ("quick", "`apgd-dlr`", 3)] {
        let attacks = selection(name).unwrap();
        check(&attacks, classes).unwrap();
        let told = format!("{:#}", check(&attacks, classes - 1).unwrap_err());
        assert!(told.contains(attack) && told.contains(&format!("{classes} classes")), "{told}");
    }
    assert!(selection("pgd").is_none());
}

/// The network with something done to its logits.
struct Changed(Stored, fn(&Tensor, u64) -> Tensor, Cell<u64>);

impl Model for Changed {
    fn forward(&self, x: &Tensor, ops: &dyn Ops) -> Tensor {
        self.2.set(self.2.get() + 1);
        (self.1)(&self.0.forward(x, ops), self.2.get())
    }
    fn activation(&self) -> Option<Activation> {
        self.0.activation()
    }
    fn taps(&self) -> Vec<&str> {
        self.0.taps()
    }
}

fn summary(change: fn(&Tensor, u64) -> Tensor, attacks: &[NamedAdversary]) -> Summary {
    let model = Changed(Stored::new(&golden()), change, Cell::new(0));
    let (x, y) = images(N);
    run(&AttackInput::new(&model, (&x, &y), BALL, &keys(N)), attacks, || ()).summary
}

fn one_warning(summary: &Summary) -> String {
    let mut told = warnings(summary);
    assert_eq!(told.len(), 1, "{told:?}");
    told.remove(0)
}

#[test]
fn logits_so_large_that_gradients_vanish_are_told() {
    let found = summary(|logits, _| logits * 1e5, &[named("apgd-dlr:steps=10")]);
    assert!(found.no_gradient > found.clean / 2, "{found:?}");
    assert!(found.attacks[0].broke > 0, "the ratio of logits does not mind the scale");
    let told = one_warning(&found);
    assert!(told.contains(&format!("{} of {}", found.no_gradient, found.clean)), "{told}");
}

#[test]
fn outputs_that_change_are_told() {
    let jitter = |logits: &Tensor, pass: u64| {
        let shape = logits.size();
        logits + noise::normal(&[pass], &shape, Device::Cpu).squeeze_dim(0) * 0.1
    };
    let found = summary(jitter, &[named("fgsm")]);
    assert!(found.random_output);
    assert!(one_warning(&found).contains("each time"));
}

#[test]
fn images_that_only_a_black_box_broke_are_told() {
    // rounded logits have no gradient at all, though small steps still change the answer
    let rounded = |logits: &Tensor, _: u64| (logits * 4.).round() / 4.;
    let found = summary(rounded, &[named("fgsm"), named("square:queries=300")]);
    assert_eq!(found.no_gradient, found.clean);
    assert!(found.black_box_only > 0, "{found:?}");
    assert_eq!(found.black_box_only, found.attacks[1].broke);
    assert_eq!(warnings(&found).len(), 2);
    let alone = summary(rounded, &[named("square:queries=300")]);
    assert_eq!(alone.black_box_only, 0, "nothing with gradients came before");
}

#[test]
fn nothing_suspicious_is_no_warning() {
    let tally = Tally { name: "square".into(), black_box: true, given: 5, broke: 0 };
    let summary =
        Summary { images: 9, clean: 8, robust: 5, attacks: vec![tally], ..Summary::default() };
    assert!(warnings(&summary).is_empty());
}

/// An attack that leaves the ball is not possible through the trait's own members; one that finds
/// nothing must not lose what others found.
struct Idle;

impl Adversary for Idle {
    fn attack(&self, case: &AttackInput) -> Tensor {
        case.x.shallow_clone()
    }
    fn check(&self, _: i64) -> anyhow::Result<()> {
        Ok(())
    }
}

#[test]
fn an_idle_attack_changes_no_count() {
    let model = Stored::new(&golden());
    let (x, y) = images(N);
    let idle = || NamedAdversary { name: "idle".into(), adversary: Box::new(Idle) };
    let mixed = [named("fgsm"), idle()];
    let found = run(&AttackInput::new(&model, (&x, &y), BALL, &keys(N)), &mixed, || ());
    let plain = run(&AttackInput::new(&model, (&x, &y), BALL, &keys(N)), &[named("fgsm")], || ());
    assert_eq!(found.summary.robust, plain.summary.robust);
    assert_eq!(found.summary.attacks[1].broke, 0);
    assert!(share(&found.robust) < share(&found.clean));
}
