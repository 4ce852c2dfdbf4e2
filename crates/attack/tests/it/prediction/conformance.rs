//! What every attack on predictions must do, and what each promises beyond.

use super::stored::{Stored, golden, images, keys, most, share, wrong};
use attack::{
    ADVERSARIES, Adversary, AttackInput, Ball, Loss, Norm, OPTIMIZERS, Square, adversary, optimizer,
};
use models::{Activation, Model, Ops, grad::cross_entropy};
use std::cell::Cell;
use tch::{Kind, Tensor};

const N: i64 = 24;
const BALLS: [Ball; 2] = [Ball { norm: Norm::Linf, eps: 0.04 }, Ball { norm: Norm::L2, eps: 0.5 }];

fn build(text: &str) -> Box<dyn Adversary> {
    adversary(parsed(text)).unwrap()
}

fn parsed(text: &str) -> toml::Table {
    registry::parse(text).unwrap()
}

/// Every line of the registry with a small budget.
fn all() -> Vec<(&'static str, Box<dyn Adversary>)> {
    let budget = |name: &str| match name {
        "fgsm" => "",
        "square" => ":queries=250",
        "pgd" => ":steps=5",
        _ => ":steps=12",
    };
    ADVERSARIES.iter().map(|a| (a.name, build(&format!("{}{}", a.name, budget(a.name))))).collect()
}

#[test]
fn images_stay_in_the_ball_and_in_the_pixels() {
    let model = Stored::new(&golden());
    let (x, y) = images(N);
    let x = ((x - 0.5) * 2. + 0.5).clamp(0., 1.);
    for (name, attack) in all() {
        for ball in BALLS {
            let found = attack.attack(&AttackInput::new(&model, (&x, &y), ball, &keys(N)));
            let far = most(&ball.distance(&x, &found));
            assert!(far <= ball.eps + 1e-6, "{name}, {ball:?}: {far}");
            assert!(far > ball.eps * 0.5, "{name}, {ball:?}: hardly moved");
            let (least, largest) = (found.min().double_value(&[]), found.max().double_value(&[]));
            assert!(least >= 0. && largest <= 1., "{name}: pixels from {least} to {largest}");
        }
    }
}

#[test]
fn a_ball_of_radius_zero_changes_nothing() {
    let model = Stored::new(&golden());
    let (x, y) = images(N);
    for (name, attack) in all() {
        for norm in [Norm::Linf, Norm::L2] {
            let found = attack.attack(&AttackInput::new(
                &model,
                (&x, &y),
                Ball { norm, eps: 0. },
                &keys(N),
            ));
            assert!(most(&(found - &x)) == 0., "{name}, {norm:?}");
        }
    }
}

#[test]
fn an_image_is_attacked_alone_as_in_a_batch() {
    let model = Stored::new(&golden());
    let (x, y) = images(N);
    for (name, attack) in all() {
        for ball in BALLS {
            let whole = attack.attack(&AttackInput::new(&model, (&x, &y), ball, &keys(N)));
            let again = attack.attack(&AttackInput::new(&model, (&x, &y), ball, &keys(N)));
            assert!(again.equal(&whole), "{name}: not repeatable");
            for (from, n) in [(0, 1), (5, 3), (N - 2, 2)] {
                let part = |t: &Tensor| t.narrow(0, from, n);
                let keys = &keys(N)[from as usize..(from + n) as usize];
                let alone =
                    attack.attack(&AttackInput::new(&model, (&part(&x), &part(&y)), ball, keys));
                assert!(most(&(alone - part(&whole))) < 1e-6, "{name}, {ball:?}, image {from}");
            }
        }
    }
}

#[test]
fn every_attack_breaks_images_and_leaves_wrong_ones_alone() {
    let model = Stored::new(&golden());
    let (x, y) = images(N);
    let mistaken = (&y + 1).remainder(10); // labels that the network does not agree with
    for (name, attack) in all() {
        for ball in BALLS {
            let found = attack.attack(&AttackInput::new(&model, (&x, &y), ball, &keys(N)));
            let (before, broken) =
                (share(&wrong(&model, &x, &y)), share(&wrong(&model, &found, &y)));
            assert!(broken > before + 0.05, "{name}, {ball:?}: {before} wrong, then {broken}");
            let found = attack.attack(&AttackInput::new(&model, (&x, &mistaken), ball, &keys(N)));
            assert!(found.equal(&x), "{name}: moved an image that is wrong already");
        }
    }
}

#[test]
fn more_effort_breaks_no_fewer() {
    let model = Stored::new(&golden());
    let (x, y) = images(100);
    let pairs = [
        ("pgd:steps=3", "pgd:steps=3,restarts=5"),
        ("apgd-ce:steps=3", "apgd-ce:steps=3,restarts=4"),
        ("apgd-dlr:steps=3", "apgd-dlr:steps=3,restarts=4"),
        ("fgsm", "apgd-t:steps=20"),
        ("square:queries=10", "square:queries=600"),
    ];
    for (less, more) in pairs {
        let found = |text: &str| {
            let found =
                build(text).attack(&AttackInput::new(&model, (&x, &y), BALLS[0], &keys(100)));
            wrong(&model, &found, &y)
        };
        let (less_found, more_found) = (found(less), found(more));
        assert!(share(&more_found) >= share(&less_found), "{more} breaks fewer than {less}");
        let restarts = more.contains("restarts");
        let lost = less_found.logical_and(&more_found.logical_not());
        assert!(!restarts || share(&lost) == 0., "{more} loses what {less} found");
    }
}

#[test]
fn a_target_is_approached() {
    let model = Stored::new(&golden());
    let (x, y) = images(N);
    let ball = Ball { norm: Norm::Linf, eps: 0.01 }; // too small for mistakes
    let target = y.full_like(4);
    let found = build("pgd:target=4").attack(&AttackInput::new(&model, (&x, &y), ball, &keys(N)));
    let loss = |x: &Tensor| cross_entropy(&model.logits(x), &target);
    let fall = (loss(&x) - loss(&found)).where_self(&y.ne(4), &loss(&x).ones_like());
    assert!(fall.min().double_value(&[]) > 0., "{fall:?}");
    let own = y.eq(4).nonzero().view(-1);
    assert!(most(&(&found - &x).index_select(0, &own)) == 0., "attacked towards its own class");
    for loss in ["ce", "dlr"] {
        let text = format!("pgd:targeted=true,restarts=9,loss={loss}");
        let found = build(&text).attack(&AttackInput::new(&model, (&x, &y), BALLS[0], &keys(N)));
        assert!(share(&wrong(&model, &found, &y)) > 0.3, "{text}");
    }
}

#[test]
fn settings_and_classes_out_of_range_are_told() {
    let cases = [
        ("apgd:steps=3", "unknown attack `apgd`; known, nearest first: "),
        ("apgd-ce:steps=0", "`steps` is 0"),
        ("apgd-t:restarts=0", "`restarts` is 0"),
        ("fgsm:steps=3", "unknown field `steps`"),
        ("square:queries=0", "`queries` is 0"),
        ("pgd:steps=0", "`steps` is 0"),
        ("pgd:step_size=0", "`step_size` must be positive"),
        ("pgd:loss=hinge", "unknown variant `hinge`"),
        ("pgd:target=-2", "`target` is negative"),
        ("pgd:rule=adm", "unknown rule `adm`; known, nearest first: adam"),
        ("pgd:rule=3", "rule"),
        ("adam:steps=3", "; a rule: `pgd:rule=adam`"),
        ("pgd:restarts=3,random_start=false", "all the same"),
    ];
    for (text, expected) in cases {
        let told = format!("{:#}", adversary(registry::parse(text).unwrap()).err().unwrap());
        assert!(told.contains(expected), "{text}: {told}");
    }
    let cases = [
        ("apgd-dlr", 2, "needs 3 classes, the network has 2"),
        ("apgd-t", 3, "needs 4 classes, the network has 3"),
        ("pgd:targeted=true,loss=dlr", 3, "needs 4 classes, the network has 3"),
        ("pgd:target=10", 10, "`target` is 10; the network's classes are 0 to 9"),
        ("square", 1, "needs 2 classes"),
    ];
    for (text, classes, expected) in cases {
        let told = build(text).check(classes).unwrap_err().to_string();
        assert!(told.contains(expected), "{text}: {told}");
        build(text).check(12).unwrap();
    }
    build("pgd:step_size=2/255");
}

/// Counts the images it is asked about, and whether it is asked for a gradient.
struct Counting(Stored, Cell<i64>, Cell<bool>);

impl Model for Counting {
    fn forward(&self, x: &Tensor, ops: &dyn Ops) -> Tensor {
        self.1.set(self.1.get() + x.size()[0]);
        self.2.set(self.2.get() || x.requires_grad());
        self.0.forward(x, ops)
    }
    fn activation(&self) -> Option<Activation> {
        self.0.activation()
    }
    fn taps(&self) -> Vec<&str> {
        self.0.taps()
    }
}

#[test]
fn a_black_box_attack_asks_for_outputs_only_and_no_more_than_it_may() {
    let (x, y) = images(N);
    for (name, attack) in all() {
        let model = Counting(Stored::new(&golden()), Cell::new(0), Cell::new(false));
        let _ = attack.attack(&AttackInput::new(&model, (&x, &y), BALLS[0], &keys(N)));
        assert_eq!(attack.black_box(), name == "square");
        assert_eq!(attack.black_box(), !model.2.get(), "{name}");
    }
    let model = Counting(Stored::new(&golden()), Cell::new(0), Cell::new(false));
    let ball = Ball { norm: Norm::Linf, eps: 1e-6 }; // nothing breaks
    let found = Square { queries: 130 }.attack(&AttackInput::new(&model, (&x, &y), ball, &keys(N)));
    let right = N - wrong(&model.0, &found, &y).sum(Kind::Int64).int64_value(&[]);
    assert_eq!(model.1.get(), N + right * 130);
}

#[test]
fn every_optimiser_attacks_predictions() {
    let model = Stored::new(&golden());
    let (x, y) = images(N);
    let before = share(&wrong(&model, &x, &y));
    for entry in OPTIMIZERS {
        let name = entry.name;
        let attack = build(&format!("pgd:steps=250,rule={name}"));
        assert_eq!(attack.black_box(), !optimizer(parsed(name)).unwrap().uses_gradient(), "{name}");
        for ball in BALLS {
            let found = attack.attack(&AttackInput::new(&model, (&x, &y), ball, &keys(N)));
            let far = most(&ball.distance(&x, &found));
            assert!(far <= ball.eps + 1e-6, "{name}, {ball:?}: {far}");
            let (least, largest) = (found.min().double_value(&[]), found.max().double_value(&[]));
            assert!(least >= 0. && largest <= 1., "{name}: pixels from {least} to {largest}");
            let broken = share(&wrong(&model, &found, &y));
            assert!(broken > before + 0.05, "{name}, {ball:?}: {before} wrong, then {broken}");
            let one = |t: &Tensor| t.narrow(0, 5, 1);
            let input = AttackInput::new(&model, (&one(&x), &one(&y)), ball, &keys(N)[5..6]);
            assert!(most(&(attack.attack(&input) - one(&found))) < 1e-6, "{name}, {ball:?}: alone");
        }
    }
    let (ball, keys) = (BALLS[0], keys(N));
    let by = |text: &str| build(text).attack(&AttackInput::new(&model, (&x, &y), ball, &keys));
    assert!(by("pgd:steps=5,rule=sign").equal(&by("pgd:steps=5")));
    let slow = by("pgd:steps=5,rule=\"adam:beta1=0.99\"");
    assert!(most(&(by("pgd:steps=5,rule=adam") - slow)) > 1e-3, "its options count");
}

/// Passes of one image through the network, the clean one included, where nothing breaks.
#[test]
fn passes_are_as_many_as_steps_need() {
    let (x, y) = images(N);
    let ball = Ball { norm: Norm::Linf, eps: 1e-6 };
    let right = N - wrong(&Stored::new(&golden()), &x, &y).sum(Kind::Int64).int64_value(&[]);
    let cases = [
        ("fgsm", 2),
        ("pgd:steps=5", 6),
        ("pgd:steps=5,restarts=3", 18),
        ("apgd-ce:steps=12", 13),
        ("apgd-dlr:steps=12,restarts=2", 26),
        ("square:queries=1", 1),
        ("square:queries=51", 51),
    ];
    for (text, passes) in cases {
        let model = Counting(Stored::new(&golden()), Cell::new(0), Cell::new(false));
        let _ = build(text).attack(&AttackInput::new(&model, (&x, &y), ball, &keys(N)));
        assert_eq!(model.1.get(), N + right * passes, "{text}");
    }
    // One image to count classes; towards each of nine classes a pass that orders them.
    let model = Counting(Stored::new(&golden()), Cell::new(0), Cell::new(false));
    let _ = build("apgd-t:steps=3").attack(&AttackInput::new(&model, (&x, &y), ball, &keys(N)));
    assert_eq!(model.1.get(), N + 1 + right * 9 * (1 + 4));
}

#[test]
fn losses_are_the_papers() {
    let logits = Tensor::from_slice(&[3., 1., 2., -1., 0.5, 4., 1., 0.]).view([2, 4]);
    let (y, target) = (Tensor::from_slice(&[0_i64, 0]), Tensor::from_slice(&[2_i64, 3]));
    let close = |found: Tensor, expected: [f64; 2]| {
        assert!(most(&(found - Tensor::from_slice(&expected))) < 1e-9, "{expected:?}");
    };
    close(Loss::Dlr.untargeted(&logits, &y), [-(3. - 2.) / (3. - 1.), -(0.5 - 4.) / (4. - 0.5)]);
    let ratios = [-(3. - 2.) / (3. - (1. - 1.) / 2.), -(0.5 - 0.) / (4. - (0.5 + 0.) / 2.)];
    close(Loss::Dlr.targeted(&logits, &y, &target), ratios);
    close(attack::prediction::loss::margin(&logits, &y), [-1., 3.5]);
    let sum = |row: [f64; 4]| row.iter().map(|z| z.exp()).sum::<f64>().ln();
    let (a, b) = (sum([3., 1., 2., -1.]), sum([0.5, 4., 1., 0.]));
    close(Loss::Ce.untargeted(&logits, &y), [a - 3., b - 0.5]);
    close(Loss::Ce.targeted(&logits, &y, &target), [2. - a, 0. - b]);
}
