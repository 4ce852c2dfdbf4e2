//! Intervals and chances are those of SciPy and statsmodels (tests/reference/inference.py).

use results::inference::{Evidence, holm, of_matched, of_mean, of_median, of_share, rank_chance};
use serde_json::Value;

fn golden(name: &str) -> Value {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/inference.json");
    let mut all: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    all[name].take()
}

fn list(of: &Value) -> Vec<f64> {
    of.as_array().unwrap().iter().map(|v| v.as_f64().unwrap()).collect()
}

/// The ends and the chance of `found` are those of `wanted`.
fn same(found: &Evidence, wanted: &Value, within: f64) {
    for (name, found) in [("low", found.low), ("high", found.high), ("above", found.above)] {
        let wanted = wanted[name].as_f64().unwrap();
        assert!((found - wanted).abs() <= within, "{name}: {found}, not {wanted}");
    }
}

#[test]
fn a_mean_is_that_of_scipys_bootstrap_on_the_same_resamples() {
    for case in golden("means").as_array().unwrap() {
        let found = of_mean(&list(&case["values"]), case["seed"].as_u64().unwrap()).unwrap();
        same(&found, case, 1e-9);
    }
}

#[test]
fn a_median_is_that_of_scipys_quantile_test() {
    for case in golden("medians").as_array().unwrap() {
        same(&of_median(&list(&case["values"])).unwrap(), case, 1e-9);
    }
}

#[test]
fn shares_are_those_of_statsmodels() {
    let number = |of: &Value, name: &str| of[name].as_f64().unwrap();
    for case in golden("shares").as_array().unwrap() {
        let n = case["n"].as_u64().unwrap() as usize;
        let found = of_share(number(case, "share"), n, number(case, "limit")).unwrap();
        same(&found, case, 1e-9);
    }
    for case in golden("matched").as_array().unwrap() {
        let count = |name: &str| case[name].as_u64().unwrap() as usize;
        let (more, fewer) = (count("more"), count("fewer"));
        let none = count("n") - more - fewer;
        let differences = [vec![1.; more], vec![-1.; fewer], vec![0.; none]].concat();
        same(&of_matched(&differences).unwrap(), case, 1e-9);
    }
}

#[test]
fn chances_of_orders_and_of_many_claims_are_theirs() {
    for case in golden("ranks").as_array().unwrap() {
        let (n, least) = (case["n"].as_u64().unwrap(), case["least"].as_f64().unwrap());
        let found = rank_chance(n as usize, least);
        assert!((found - case["chance"].as_f64().unwrap()).abs() < 1e-12, "{n}: {found}");
    }
    let case = golden("holm");
    for (found, wanted) in holm(&list(&case["chances"])).iter().zip(list(&case["adjusted"])) {
        assert!((found - wanted).abs() < 1e-12);
    }
}
