//! Keyed noise: distributions, independence, and that a draw depends on its key alone.

use models::noise::{key, name_id, normal, sign, uniform};
use tch::{Device, Kind, Tensor};

const N: i64 = 20_000;

fn numbers(t: &Tensor) -> Vec<f64> {
    t.to_kind(Kind::Double).contiguous().view(-1).try_into().unwrap()
}

fn keys(seed: u64, n: u64) -> Vec<u64> {
    (0..n).map(|image| key(seed, image, 0)).collect()
}

/// The largest distance between the empirical distribution and `cdf` (Kolmogorov–Smirnov).
fn distance(draws: &[f64], cdf: impl Fn(f64) -> f64) -> f64 {
    let mut sorted = draws.to_vec();
    sorted.sort_by(f64::total_cmp);
    let n = sorted.len() as f64;
    let apart = |(i, x): (usize, &f64)| {
        let at = cdf(*x);
        (at - i as f64 / n).abs().max((at - (i as f64 + 1.) / n).abs())
    };
    sorted.iter().enumerate().map(apart).fold(0., f64::max)
}

/// Φ, by Simpson's rule from −8.
fn normal_cdf(x: f64) -> f64 {
    let density = |t: f64| (-0.5 * t * t).exp() / std::f64::consts::TAU.sqrt();
    let (steps, from) = (400, -8.);
    let h = (x.clamp(-8., 8.) - from) / f64::from(steps);
    let weight = |i: i32| if i == 0 || i == steps { 1. } else { f64::from(2 + 2 * (i % 2)) };
    (0..=steps).map(|i| weight(i) * density(from + f64::from(i) * h)).sum::<f64>() * h / 3.
}

fn mean(of: impl Iterator<Item = f64>) -> f64 {
    let all: Vec<f64> = of.collect();
    all.iter().sum::<f64>() / all.len() as f64
}

/// 1.95 / √n: exceeded by one true sample in a thousand; the seeds are fixed.
fn bound(n: usize) -> f64 {
    1.95 / (n as f64).sqrt()
}

#[test]
fn uniform_draws_are_uniform() {
    for draws in [
        numbers(&uniform(&[key(1, 2, 3)], &[N], Device::Cpu)),
        numbers(&uniform(&keys(4, N as u64), &[1], Device::Cpu)), // one draw of many keys
    ] {
        assert!(draws.iter().all(|u| (0. ..1.).contains(u)));
        let far = distance(&draws, |x| x);
        assert!(far < bound(draws.len()), "{far}");
        assert!((mean(draws.iter().copied()) - 0.5).abs() < 0.01);
        assert!((mean(draws.iter().map(|u| (u - 0.5).powi(2))) - 1. / 12.).abs() < 0.003);
    }
}

#[test]
fn normal_draws_are_normal() {
    for draws in [
        numbers(&normal(&[key(1, 2, 3)], &[N], Device::Cpu)),
        numbers(&normal(&keys(4, N as u64), &[1], Device::Cpu)),
    ] {
        assert!(draws.iter().all(|z| z.is_finite()));
        let far = distance(&draws, normal_cdf);
        assert!(far < bound(draws.len()), "{far}");
        for (power, moment, tolerance) in [(1, 0., 0.03), (2, 1., 0.05), (3, 0., 0.1), (4, 3., 0.3)]
        {
            let found = mean(draws.iter().map(|z| z.powi(power)));
            assert!((found - moment).abs() < tolerance, "moment {power} is {found}");
        }
    }
}

#[test]
fn signs_are_fair() {
    let draws = numbers(&sign(&[key(5, 6, 7)], &[N], Device::Cpu));
    assert!(draws.iter().all(|s| s.abs() == 1.));
    assert!(mean(draws.into_iter()).abs() < 0.03);
}

type Draw = fn(&[u64], &[i64], Device) -> Tensor;

#[test]
fn a_draw_depends_on_its_key_alone() {
    for draw in [uniform as Draw, normal, sign] {
        let all = draw(&keys(8, 6), &[3, 5, 7], Device::Cpu);
        assert_eq!((all.size(), all.kind()), (vec![6, 3, 5, 7], Kind::Float));
        assert!(all.equal(&draw(&keys(8, 6), &[3, 5, 7], Device::Cpu)), "repeated");
        for (i, &one) in keys(8, 6).iter().enumerate() {
            let alone = draw(&[one], &[3, 5, 7], Device::Cpu);
            assert!(alone.get(0).equal(&all.get(i as i64)), "key {i} alone");
        }
        let mut backwards = keys(8, 6);
        backwards.reverse();
        let flipped = draw(&backwards, &[3, 5, 7], Device::Cpu).flip([0]);
        assert!(flipped.equal(&all), "in another order");
    }
}

#[test]
fn different_streams_are_uncorrelated() {
    // neighbours in each part of the key, and high or low bits alone
    let pairs = [
        (key(1, 2, 3), key(2, 2, 3)),
        (key(1, 2, 3), key(1, 3, 3)),
        (key(1, 2, 3), key(1, 2, 4)),
        (key(1, 2, 3), key(2, 1, 3)),
        (0, 1),
        (0, 1 << 32),
        (1 << 63, 0),
    ];
    for (a, b) in pairs {
        let draws = normal(&[a, b], &[N], Device::Cpu);
        for lag in [0, 1, 100] {
            let (x, y) = (draws.get(0).narrow(0, 0, N - 100), draws.get(1).narrow(0, lag, N - 100));
            let together = (x * y).mean(Kind::Double).double_value(&[]);
            assert!(together.abs() < 0.03, "{a:x} and {b:x} at {lag}: {together}");
        }
        let own = |lag| {
            (draws.get(0).narrow(0, 0, N - 100) * draws.get(0).narrow(0, lag, N - 100))
                .mean(Kind::Double)
        };
        for lag in [1, 2, 32, 100] {
            assert!(own(lag).double_value(&[]).abs() < 0.03, "{a:x} with itself at {lag}");
        }
    }
}

#[test]
fn keys_do_not_collide() {
    let mut all: Vec<u64> = vec![];
    for seed in 0..20 {
        for image in 0..20 {
            all.extend((0..20).map(|sample| key(seed, image, sample)));
        }
    }
    all.sort_unstable();
    all.dedup();
    assert_eq!(all.len(), 8000);
    assert_eq!(name_id(""), 0xcbf2_9ce4_8422_2325, "FNV-1a's offset");
    assert_eq!(name_id("a"), 0xaf63_dc4c_8601_ec8c);
    assert_ne!(name_id("conv1.weight"), name_id("conv2.weight"));
}

#[test]
fn odd_and_empty_shapes_are_whole() {
    for shape in [vec![1], vec![3], vec![1, 1, 1], vec![0], vec![]] {
        let draws = normal(&[7, 8], &shape, Device::Cpu);
        assert_eq!(draws.size(), [&[2], &shape[..]].concat());
    }
}
