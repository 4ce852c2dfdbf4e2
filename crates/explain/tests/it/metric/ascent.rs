//! Maxima found by ascent: closed forms, and never below what sampling finds.

use super::known::{D, batch, bent, close, drawn, linear, number};
use super::robust::{bowl, measured, symmetric};
use models::noise;
use tch::{Device, Kind, Tensor};

fn found(spelled: &str, of: &str) -> [Vec<f64>; 2] {
    measured(spelled, &bowl(), of, &batch(2)).try_into().expect("two columns")
}

#[test]
fn the_slope_of_a_line_is_found() {
    let slope = number(&drawn(1, &[D]).norm());
    let found = measured("lipschitz:samples=2,search=ascent", &linear(), "saliency", &batch(2));
    close(&found[0], &[0., 0.], "the gradient does not move");
    assert!(found[1].iter().all(|&l| (l / slope - 1.).abs() < 1e-5), "{found:?} {slope}");
}

fn largest(a: &Tensor) -> f64 {
    number(&a.linalg_eigvalsh("L").abs().max())
}

/// The gradient of ½ xᵀAx is Ax: its Lipschitz constant is A's largest singular value.
#[test]
fn the_largest_singular_value_is_found() {
    let largest = largest(&symmetric());
    let [sampled, _] = found("lipschitz:samples=50", "saliency");
    let [ascended, _] = found("lipschitz:samples=50,search=ascent", "saliency");
    for (sampled, ascended) in sampled.iter().zip(&ascended) {
        assert!(ascended <= &(largest * (1. + 1e-9)), "{ascended} of {largest}");
        assert!(*ascended > 0.97 * largest && *sampled < 0.9 * ascended, "{sampled} {ascended}");
    }
}

/// max |Aδ| over a box, convex with many local maxima at corners: nearly the best of a thousand corners,
/// within what the largest singular value allows.
#[test]
fn a_corner_of_the_box_is_found_that_few_beat() {
    let (a, radius) = (symmetric(), 0.2);
    let corner = |key| {
        let signs = noise::sign(&[key], &[D], Device::Cpu).squeeze_dim(0).to_kind(Kind::Double);
        number(&(a.matmul(&signs) * radius).norm())
    };
    let many = (0..1000).map(corner).fold(0., f64::max);
    let bound = largest(&a) * radius * (D as f64).sqrt();
    let spelled = "sensitivity:samples=8,radius=0.2";
    let [sampled, mean] = found(spelled, "saliency");
    let [ascended, same] = found(&format!("{spelled},search=ascent"), "saliency");
    assert_eq!(mean, same, "a mean is sampled");
    for n in 0..2 {
        let here = number(&a.matmul(&batch(2).x.get(n as i64).flatten(0, -1)).norm());
        let (sampled, ascended) = (sampled[n], ascended[n]);
        assert!(
            ascended * here <= bound && ascended * here > 0.9 * many,
            "{} {many} {bound}",
            ascended * here
        );
        assert!(sampled < 0.9 * ascended, "{sampled} {ascended}");
    }
}

#[test]
fn it_never_finds_less_than_sampling_for_any_setting() {
    for metric in ["lipschitz:samples=4", "sensitivity:samples=4"] {
        for options in ["", ",draws=fresh"] {
            for of in ["gxi", "smoothgrad:samples=2", "random", "occlusion:size=2,stride=1"] {
                let spelled = format!("{metric}{options}");
                let sampled = measured(&spelled, &bent(), of, &batch(2));
                let both = measured(&format!("{spelled},search=ascent"), &bent(), of, &batch(2));
                let more = sampled[0].iter().zip(&both[0]).map(|(a, b)| b - a);
                assert!(more.clone().all(|more| more >= 0.), "{spelled} of {of}");
                let climbs = of == "gxi" && options.is_empty();
                assert!(!climbs || more.fold(0., f64::max) > 0., "{spelled} of {of}");
            }
        }
    }
    for norm in ["l1", "l2"] {
        let spelled = format!("lipschitz:samples=4,channels=mean,norm={norm},ratio=false");
        let sampled = measured(&spelled, &bent(), "gxi", &batch(2));
        let both = measured(&format!("{spelled},search=ascent"), &bent(), "gxi", &batch(2));
        assert!(sampled[0].iter().zip(&both[0]).all(|(a, b)| a <= b), "{norm}");
    }
}
