//! Φ, Φ⁻¹, binomial tails and bounds against scipy (tests/reference/explain/certificate.py), and
//! each other.

use explain::certificate::{
    prediction_radius,
    probability::{at_least, lower_bound, normal, quantile, upper_bound},
};
use std::path::Path;
use tch::Kind;
use tensorfile::TensorFile;

fn numbers(golden: &TensorFile, name: &str) -> Vec<f64> {
    Vec::try_from(&golden.tensors[name].to_kind(Kind::Double)).unwrap()
}

/// Equal to `digits` digits, small numbers too.
fn close(found: f64, wanted: f64, digits: i32, what: &str) {
    let apart = (found - wanted).abs();
    assert!(apart <= 10f64.powi(-digits) * wanted.abs(), "{what}: {found} and {wanted}");
}

#[test]
fn numbers_are_those_of_scipy() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/certificate.safetensors");
    let golden = TensorFile::read(&path).unwrap();
    let of = |name: &str| numbers(&golden, name);
    for (z, wanted) in of("z").into_iter().zip(of("normal")) {
        close(normal(z), wanted, 12, &format!("Φ({z})"));
    }
    for (p, wanted) in of("p").into_iter().zip(of("quantile")) {
        close(quantile(p), wanted, 11, &format!("Φ⁻¹({p})"));
    }
    let [k, n, q, tail, alpha, low, high] = ["k", "n", "q", "tail", "alpha", "low", "high"].map(of);
    for i in 0..k.len() {
        let (k, n, case) = (k[i] as u64, n[i] as u64, format!("{} of {}", k[i], n[i]));
        close(at_least(k, n, q[i]), tail[i], 8, &case);
        close(lower_bound(k, n, alpha[i]), low[i], 8, &case);
        close(upper_bound(k, n, alpha[i]), high[i], 8, &case);
    }
}

/// Sums over all outcomes, by products.
#[test]
fn tails_are_sums_of_products() {
    let n = 9u64;
    for p in [0.03f64, 0.4, 0.5, 0.81] {
        let choose = |k: u64| (0..k).fold(1., |c, i| c * (n - i) as f64 / (i + 1) as f64);
        let mass = |k: u64| choose(k) * p.powi(k as i32) * (1. - p).powi((n - k) as i32);
        for k in 0..=n {
            let slow: f64 = (k..=n).map(mass).sum();
            close(at_least(k, n, p), slow, 12, &format!("{k}, {p}"));
        }
    }
    assert_eq!([at_least(3, 2, 0.5), at_least(0, 2, 0.), at_least(2, 2, 1.)], [0., 1., 1.]);
    assert_eq!([lower_bound(0, 5, 0.1), upper_bound(5, 5, 0.1)], [0., 1.]);
    assert_eq!([quantile(0.), quantile(0.5), quantile(1.)], [f64::NEG_INFINITY, 0., f64::INFINITY]);
}

/// All of n agree: σ Φ⁻¹(α^(1/n)), as Cohen et al. say below their Theorem 1.
#[test]
fn the_radius_of_a_prediction_is_cohens() {
    let (n, sigma, alpha) = (100, 0.25, 0.001f64);
    let wanted = sigma * quantile(alpha.powf(1. / 100.));
    close(prediction_radius(n, n, sigma, alpha), wanted, 9, "all agree");
    assert_eq!(prediction_radius(55, n, sigma, alpha), 0., "it is not certain that most agree");
}
