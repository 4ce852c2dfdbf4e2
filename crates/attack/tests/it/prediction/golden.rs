//! Attacks on predictions against torchattacks 3.5.1 on the same network, images and, for APGD,
//! starts. Reference: tests/reference/attack/attacks.py.

use super::stored::{Stored, golden, images, keys, most, rule, share, wrong};
use attack::{
    Adversary, AttackInput, AutoPgd, Ball, Loss, Norm, Pgd, Square, Step, Walk, function::maximise,
};
use models::{
    Model,
    grad::{cross_entropy, value_and_grad},
};
use std::cell::RefCell;
use tch::{Kind, Tensor};

const COUNT: i64 = 256;
const BALLS: [(&str, Ball); 2] =
    [("linf", Ball { norm: Norm::Linf, eps: 0.04 }), ("l2", Ball { norm: Norm::L2, eps: 0.5 })];

#[test]
fn fgsm_and_pgd_find_the_same_images() {
    let mut expected = golden();
    let model = Stored::new(&expected);
    let cross_entropy = |y: &Tensor| {
        let y = y.shallow_clone();
        let model = &model;
        move |x: &Tensor| value_and_grad(x, |x| cross_entropy(&model.logits(x), &y))
    };
    let pgd = |ball: Ball| Pgd {
        norm: ball.norm,
        eps: ball.eps,
        steps: 10,
        step_size: Some(ball.eps / 4.),
        random_start: false,
        restarts: 1,
        best: false,
    };
    let attacks = [
        ("fgsm", Pgd::fgsm(&BALLS[0].1)),
        ("pgd-linf", pgd(BALLS[0].1)),
        ("pgd-l2", pgd(BALLS[1].1)),
    ];
    for (name, attack) in attacks {
        let theirs = expected.take(name).unwrap();
        let n = theirs.size()[0];
        let (x, y) = images(n);
        let far = most(&(attack.climb(&cross_entropy(&y), &x, &keys(n)) - theirs));
        assert!(far < 1e-7, "{name}: a pixel is {far:e} off");
    }
}

#[test]
fn apgd_climbs_as_high_from_the_same_start() {
    let mut expected = golden();
    let model = Stored::new(&expected);
    let (x, y) = images(COUNT);
    for (norm, ball) in BALLS {
        for (name, loss) in [("ce", Loss::Ce), ("dlr", Loss::Dlr)] {
            let d = rule("start", COUNT) * 2 - 1;
            let length = match ball.norm {
                Norm::Linf => d.abs().amax([1, 2, 3].as_slice(), true),
                Norm::L2 => {
                    d.square().sum_dim_intlist([1, 2, 3].as_slice(), true, None::<Kind>).sqrt()
                }
            };
            let start = ball.project(&x, &(&x + d / length * ball.eps));
            let mistakes = RefCell::new(y.zeros_like().to_kind(Kind::Bool));
            let objective = |x: &Tensor| {
                value_and_grad(x, |x| {
                    let logits = model.logits(x);
                    let wrong = logits.argmax(1, false).ne_tensor(&y);
                    let seen = mistakes.borrow().logical_or(&wrong);
                    *mistakes.borrow_mut() = seen;
                    loss.untargeted(&logits, &y)
                })
            };
            let walk = Walk {
                x: &x,
                ball,
                start,
                start_value: None,
                steps: 50,
                step: Step::Same(0.),
                keys: &[],
            };
            let value = -maximise(&AutoPgd::default(), &objective, &walk).loss;
            let key = format!("apgd-{name}-{norm}");
            let losses = expected.take(&format!("{key}.loss")).unwrap();
            let theirs = expected.take(&format!("{key}.wrong")).unwrap().to_kind(Kind::Bool);
            let differ = share(&mistakes.borrow().ne_tensor(&theirs));
            assert!(differ < 0.005, "{key}: {differ} of the outcomes differ");
            // beyond a mistake DLR has poles, near which rounding decides
            let robust = theirs.logical_not();
            let far = (&value - &losses).abs() / losses.abs().clamp_min(1.);
            let differ = share(&far.gt(1e-9).masked_select(&robust));
            assert!(differ == 0., "{key}: {differ} of the losses differ");
        }
    }
}

#[test]
fn apgd_from_its_own_start_breaks_as_many() {
    let mut expected = golden();
    let model = Stored::new(&expected);
    let (x, y) = images(COUNT);
    for (norm, ball) in BALLS {
        for name in ["apgd-ce", "apgd-dlr"] {
            let table = registry::parse(&format!("{name}:steps=50")).unwrap();
            let attack = attack::adversary(table).unwrap();
            let found = attack.attack(&AttackInput::new(&model, (&x, &y), ball, &keys(COUNT)));
            let theirs = expected.take(&format!("{name}-{norm}.wrong")).unwrap();
            let (ours, theirs) = (share(&wrong(&model, &found, &y)), share(&theirs));
            // other starts move this by a point either way
            assert!(ours > theirs - 0.02, "{name}, {norm}: {ours} broken instead of {theirs}");
        }
    }
}

#[test]
fn square_breaks_as_many_with_as_many_queries() {
    let mut expected = golden();
    let model = Stored::new(&expected);
    let (x, y) = images(COUNT);
    for (norm, ball) in BALLS {
        let found =
            Square { queries: 400 }.attack(&AttackInput::new(&model, (&x, &y), ball, &keys(COUNT)));
        let theirs = expected.take(&format!("square-{norm}.wrong")).unwrap();
        let (ours, theirs) = (share(&wrong(&model, &found, &y)), share(&theirs));
        assert!(theirs > 0.1, "or nothing is compared");
        assert!((ours - theirs).abs() < 0.05, "{norm}: {ours} broken instead of {theirs}");
    }
}

#[test]
fn fab_finds_mistakes_as_near() {
    let mut expected = golden();
    let model = Stored::new(&expected);
    let fab = attack::adversary(registry::parse("fab-t:steps=20").unwrap()).unwrap();
    for (norm, ball) in BALLS {
        let theirs = expected.take(&format!("fab-t-{norm}.distance")).unwrap();
        let n = theirs.size()[0];
        let (x, y) = images(n);
        let everywhere = Ball { eps: 1e3, ..ball };
        let found = fab.attack(&AttackInput::new(&model, (&x, &y), everywhere, &keys(n)));
        let far = most(&(ball.distance(&x, &found) - &theirs));
        assert!(far < 1e-6, "{norm}: a mistake is {far:e} nearer or farther");

        let theirs = expected.take(&format!("fab-t-{norm}.wrong")).unwrap();
        let (x, y) = images(COUNT);
        let found = fab.attack(&AttackInput::new(&model, (&x, &y), ball, &keys(COUNT)));
        let differ = share(&wrong(&model, &found, &y).ne_tensor(&theirs.to_kind(Kind::Bool)));
        assert!(differ < 0.005, "{norm}: {differ} of the outcomes differ");
        let far = most(&ball.distance(&x, &found));
        assert!(far <= ball.eps * (1. + 1e-9), "{norm}: {far} is outside of the ball");
    }
}
