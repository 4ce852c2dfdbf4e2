//! Projected gradient ascent: what holds for every objective, on a small trained network.

use super::stored::{Stored, golden, images, keys, most, wrong};
use attack::{Ball, Loss, Norm, Pgd, pgd::ascent};
use models::{Model, grad::value_and_grad};
use std::cell::Cell;
use tch::{Kind, Tensor};

const N: i64 = 20;
const NORMS: [(Norm, f64); 2] = [(Norm::Linf, 0.03), (Norm::L2, 0.4)];

fn pgd(norm: Norm, eps: f64) -> Pgd {
    let (step_size, random_start) = (None, true);
    Pgd { norm, eps, steps: 5, step_size, random_start, restarts: 1, best: false }
}

/// Climbs the cross-entropy; images and their values.
fn climb(pgd: &Pgd, x: &Tensor, y: &Tensor, keys: &[u64]) -> (Tensor, Tensor) {
    let model = Stored::new(&golden());
    let value = |x: &Tensor| Loss::Ce.untargeted(&model.logits(x), y);
    let found = pgd.climb(&|x| value_and_grad(x, value), x, keys);
    let value = value(&found);
    (found, value)
}

#[test]
fn images_stay_in_the_ball_and_in_the_pixels() {
    let (x, y) = images(N);
    let x = (x - 0.5) * 3. + 0.5; // many pixels at the ends of the range
    let x = x.clamp(0., 1.);
    for (norm, eps) in NORMS {
        for step_size in [None, Some(10. * eps)] {
            let (found, _) = climb(&Pgd { step_size, ..pgd(norm, eps) }, &x, &y, &keys(N));
            let ball = Ball::new(norm, eps).unwrap();
            let far = ball.distance(&x, &found);
            assert!(most(&far) <= eps * (1. + 1e-6), "{norm:?}: {}", most(&far));
            assert!(most(&far) > 0.9 * eps, "{norm:?}: hardly moved");
            let (least, largest) = (found.min().double_value(&[]), found.max().double_value(&[]));
            assert!(least >= 0. && largest <= 1., "{norm:?}: pixels from {least} to {largest}");
        }
    }
}

#[test]
fn a_ball_of_radius_zero_changes_nothing() {
    let (x, y) = images(N);
    for (norm, _) in NORMS {
        for attack in [pgd(norm, 0.), Pgd::fgsm(&Ball { norm, eps: 0. })] {
            assert!(climb(&attack, &x, &y, &keys(N)).0.equal(&x), "{norm:?}");
        }
    }
}

#[test]
fn an_image_is_attacked_alone_as_in_a_batch() {
    let (x, y) = images(N);
    for (norm, eps) in NORMS {
        let attack = Pgd { restarts: 2, ..pgd(norm, eps) };
        let whole = climb(&attack, &x, &y, &keys(N)).0;
        assert!(climb(&attack, &x, &y, &keys(N)).0.equal(&whole), "{norm:?}: not repeatable");
        for i in [0, 7, N - 1] {
            let key = [keys(N)[i as usize]];
            let alone = climb(&attack, &x.narrow(0, i, 1), &y.narrow(0, i, 1), &key).0;
            assert!(most(&(alone - whole.narrow(0, i, 1))) < 1e-9, "{norm:?}, image {i}");
        }
        let others: Vec<u64> = keys(N).iter().map(|key| key + 1).collect();
        assert!(most(&(climb(&attack, &x, &y, &others).0 - &whole)) > 1e-3, "{norm:?}: keys");
    }
}

#[test]
fn more_is_never_worse() {
    let (x, y) = images(N);
    for (norm, eps) in NORMS {
        let short = Pgd { steps: 2, step_size: Some(2. * eps), ..pgd(norm, eps) };
        let value = |attack: Pgd| climb(&attack, &x, &y, &keys(N)).1;
        let worst = |a: &Tensor, b: &Tensor| (a - b).min().double_value(&[]);
        for best in [false, true] {
            let once = value(Pgd { best, ..short });
            let often = value(Pgd { restarts: 4, best, ..short });
            assert!(worst(&often, &once) > -1e-9, "{norm:?}: a restart lost");
            assert!(most(&(often - once)) > 1e-3, "{norm:?}: restarts are all the same");
        }
        let (last, best) = (value(short), value(Pgd { best: true, ..short }));
        assert!(worst(&best, &last) > -1e-9, "{norm:?}: the best is below the last");
    }
}

#[test]
fn the_loss_rises_and_a_target_comes_nearer() {
    let model = Stored::new(&golden());
    let (x, y) = images(N);
    let target = (&y + 3).remainder(10);
    for (norm, eps) in NORMS {
        let attack = pgd(norm, eps);
        for loss in [Loss::Ce, Loss::Dlr] {
            let away = |x: &Tensor| loss.untargeted(&model.logits(x), &y);
            let found = attack.climb(&|x| value_and_grad(x, away), &x, &keys(N));
            assert!((away(&found) - away(&x)).min().double_value(&[]) > 0., "{norm:?} {loss:?}");
            let near = |x: &Tensor| loss.targeted(&model.logits(x), &y, &target);
            let found = attack.climb(&|x| value_and_grad(x, near), &x, &keys(N));
            let rise = near(&found) - near(&x);
            assert!(rise.min().double_value(&[]) > 0., "{norm:?} {loss:?}: {rise:?}");
        }
        let wrong_before = wrong(&model, &x, &y).sum(Kind::Int64).int64_value(&[]);
        assert!(wrong_before < N / 4, "the network is no good");
    }
}

#[test]
fn a_larger_ball_is_the_same_attack_scaled() {
    let attack = Pgd { step_size: Some(0.01), ..pgd(Norm::Linf, 0.04) };
    let half = attack.scaled(0.5);
    assert_eq!((half.eps, half.step_size), (0.02, Some(0.005)));
}

#[test]
fn the_last_iterate_is_asked_about_only_where_its_value_counts() {
    let (x, y) = images(2);
    let model = Stored::new(&golden());
    let (norm, eps) = NORMS[0];
    for (restarts, best, calls) in [(1, false, 5), (1, true, 6), (3, false, 18), (3, true, 18)] {
        let asked = Cell::new(0);
        let function = |x: &Tensor| {
            asked.set(asked.get() + 1);
            value_and_grad(x, |x| Loss::Ce.untargeted(&model.logits(x), &y))
        };
        let _ = Pgd { restarts, best, ..pgd(norm, eps) }.climb(&function, &x, &keys(2));
        assert_eq!(asked.get(), calls, "{restarts} restarts, best: {best}");
    }
}

#[test]
fn a_training_attack_may_take_another_rule() {
    let table = |text: &str| {
        let mut table = registry::parse(text).unwrap();
        table.remove("name");
        table
    };
    let (x, y) = images(N);
    let model = Stored::new(&golden());
    let climbed = |text: &str| {
        let (pgd, optimizer) = ascent(table(text)).unwrap();
        let value = |x: &Tensor| Loss::Ce.untargeted(&model.logits(x), &y);
        let found = pgd.climb_by(&*optimizer, &|x| value_and_grad(x, value), &x, &keys(N));
        assert!((value(&found) - value(&x)).min().double_value(&[]) > 0., "{text}");
        found
    };
    let plain = climbed("x:eps=8/255,steps=5");
    assert!(climbed("x:eps=8/255,steps=5,rule=sign").equal(&plain));
    for rule in ["adam", "apgd"] {
        assert!(!climbed(&format!("x:eps=8/255,steps=5,rule={rule}")).equal(&plain), "{rule}");
    }
    for (text, expected) in [
        ("x:eps=8/255,steps=5,rule=square", "must follow gradients"),
        ("x:eps=8/255,steps=5,rule=2", "`rule` is 2"),
        ("x:eps=8/255,steps=5,rule=sgn", "unknown rule `sgn`"),
    ] {
        let told = ascent(table(text)).err().unwrap().to_string();
        assert!(told.contains(expected), "{text}: {told}");
    }
}

#[test]
fn settings_out_of_range_are_told() {
    let cases = [
        ("x:eps=8/255,steps=0", "`steps` is 0"),
        ("x:eps=-1,steps=5", "`eps` is -1"),
        ("x:eps=0.1,steps=5,step_size=0", "`step_size` must be positive"),
        ("x:eps=0.1,steps=5,restarts=0", "`restarts` is 0"),
        ("x:eps=0.1,steps=5,restarts=3,random_start=false", "all the same"),
        ("x:eps=0.1,steps=5,size=3", "unknown field `size`"),
        ("x:eps=nonsense,steps=5", "`nonsense` is not a number"),
    ];
    for (text, expected) in cases {
        let mut table = registry::parse(text).unwrap();
        table.remove("name");
        let told = Pgd::parse(table).unwrap_err().to_string();
        assert!(told.contains(expected), "{text}: {told}");
    }
}
