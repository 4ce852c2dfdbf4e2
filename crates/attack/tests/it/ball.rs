//! Balls: projections and steepest ascent over many random images, radii and scales.

use attack::{Ball, Norm};
use models::noise;
use tch::{Device, Kind, Tensor};

const SIZE: [i64; 4] = [6, 3, 5, 7];
const NORMS: [Norm; 2] = [Norm::Linf, Norm::L2];

fn clean(seed: u64) -> Tensor {
    noise::uniform(&[noise::key(seed, 0, 0)], &SIZE, Device::Cpu).squeeze_dim(0)
}

fn normal(seed: u64) -> Tensor {
    noise::normal(&[noise::key(seed, 0, 1)], &SIZE, Device::Cpu).squeeze_dim(0)
}

fn most(t: &Tensor) -> f64 {
    t.abs().max().double_value(&[])
}

fn ball(norm: Norm, eps: f64) -> Ball {
    Ball::new(norm, eps).unwrap()
}

/// Each length, computed in f64 and plainly.
fn lengths(d: &Tensor, norm: Norm) -> Vec<f64> {
    let flat = d.to_kind(Kind::Double).flatten(1, -1);
    let rows = (0..flat.size()[0]).map(|i| Vec::<f64>::try_from(flat.get(i)).unwrap());
    let length = |row: Vec<f64>| match norm {
        Norm::Linf => row.iter().fold(0., |m: f64, v| m.max(v.abs())),
        Norm::L2 => row.iter().map(|v| v * v).sum::<f64>().sqrt(),
    };
    rows.map(length).collect()
}

#[test]
fn projections_end_in_the_ball_and_in_the_pixels_and_stay_there() {
    for norm in NORMS {
        for (seed, eps) in (0..40).zip([0., 1e-4, 8. / 255., 0.3, 2., 50.].into_iter().cycle()) {
            let (x0, far) = (clean(seed), [1e-6, 0.01, 0.3, 1e4][seed as usize % 4]);
            let ball = ball(norm, eps);
            let once = ball.project(&x0, &(&x0 + normal(seed) * far));
            let told = format!("{norm:?}, radius {eps}, from {far} away");
            for length in lengths(&(&once - &x0), norm) {
                assert!(length <= eps + 1e-6, "{told}: {length} away");
            }
            assert!(once.min().double_value(&[]) >= 0., "{told}");
            assert!(once.max().double_value(&[]) <= 1., "{told}");
            assert!(most(&(ball.project(&x0, &once) - &once)) < 1e-6, "{told}: not idempotent");
            let distances = Vec::<f64>::try_from(ball.distance(&x0, &once).to_kind(Kind::Double));
            for (found, expected) in distances.unwrap().iter().zip(lengths(&(&once - &x0), norm)) {
                assert!((found - expected).abs() < 1e-6, "{told}: distance {found}");
            }
        }
    }
}

#[test]
fn what_is_allowed_already_stays() {
    for norm in NORMS {
        let x0 = clean(1);
        let near = (&x0 + normal(2) * 0.001).clamp(0., 1.);
        assert!(most(&(ball(norm, 0.5).project(&x0, &near) - near)) < 1e-7, "{norm:?}");
    }
}

#[test]
fn a_ball_of_radius_zero_holds_its_centre_only() {
    for norm in NORMS {
        let x0 = clean(3);
        let ball = ball(norm, 0.);
        for x in [&x0 + normal(4), x0.shallow_clone(), &x0 + normal(5) * 1e-8] {
            assert!(ball.project(&x0, &x).equal(&x0), "{norm:?}");
        }
    }
}

#[test]
fn the_nearest_image_of_the_ball_is_found() {
    // inside the unit cube, so that only the ball binds
    let x0 = clean(6) * 0.2 + 0.4;
    let d = normal(7) * 0.05;
    let eps = 0.1;
    let cut = ball(Norm::Linf, eps).project(&x0, &(&x0 + &d));
    assert!(most(&(cut - (&x0 + d.clamp(-eps, eps)))) < 1e-7);
    let cut = ball(Norm::L2, eps).project(&x0, &(&x0 + &d));
    for (i, length) in lengths(&d, Norm::L2).into_iter().enumerate() {
        assert!(length > eps, "or nothing is cut");
        let expected = x0.get(i as i64) + d.get(i as i64) * (eps / length);
        assert!(most(&(cut.get(i as i64) - expected)) < 1e-7);
    }
}

#[test]
fn ascent_has_length_one_at_every_scale() {
    for norm in NORMS {
        let ball = ball(norm, 1.);
        for scale in [1e-25, 1e-8, 1., 1e8, 1e25] {
            let g = normal(8) * scale;
            let up = ball.ascent(&g);
            for length in lengths(&up, norm) {
                assert!((length - 1.).abs() < 1e-5, "{norm:?}, scale {scale}: {length}");
            }
            assert!((&up * normal(8)).min().double_value(&[]) >= 0., "{norm:?}: not upwards");
        }
    }
}

#[test]
fn ascent_climbs_as_fast_as_any_direction() {
    let g = normal(9);
    for norm in NORMS {
        let rise = |d: &Tensor| {
            (&g * d).to_kind(Kind::Double).sum_dim_intlist(
                [1, 2, 3].as_slice(),
                false,
                Kind::Double,
            )
        };
        let best = rise(&ball(norm, 1.).ascent(&g));
        for seed in 10..30 {
            let other = normal(seed);
            let unit = match norm {
                Norm::Linf => other.sign(),
                Norm::L2 => ball(norm, 1.).ascent(&other),
            };
            assert!((rise(&unit) - &best).max().double_value(&[]) < 0., "{norm:?}");
        }
    }
}

#[test]
fn ascent_is_zero_where_the_gradient_is() {
    for norm in NORMS {
        let g = normal(31);
        let _ = g.get(2).zero_();
        let up = ball(norm, 1.).ascent(&g);
        assert_eq!(most(&up.get(2)), 0., "{norm:?}");
        assert!(bool::try_from(up.isfinite().all()).unwrap(), "{norm:?}");
        let expected = [1., 1., 0., 1., 1., 1.];
        for (length, expected) in lengths(&up, norm).iter().zip(expected) {
            assert!((length - expected).abs() < 1e-5, "{norm:?}");
        }
    }
}

#[test]
fn every_image_is_treated_alone() {
    for norm in NORMS {
        let (ball, x0, d) = (ball(norm, 0.07), clean(32), normal(33));
        let x = &x0 + &d;
        for i in 0..SIZE[0] {
            let one = |t: &Tensor| t.narrow(0, i, 1);
            let alone = ball.project(&one(&x0), &one(&x));
            assert!(most(&(alone - one(&ball.project(&x0, &x)))) < 1e-7, "{norm:?}");
            assert!(most(&(ball.ascent(&one(&d)) - one(&ball.ascent(&d)))) < 1e-7, "{norm:?}");
        }
    }
}

#[test]
fn a_radius_is_finite_and_not_negative() {
    for eps in [-1e-9, f64::NAN, f64::INFINITY] {
        let told = Ball::new(Norm::L2, eps).unwrap_err().to_string();
        assert!(told.contains("`eps`"), "{told}");
    }
}
