//! The functions of two numbers against the papers' own cases, and their gradients by hand.

use models::{grad::value_and_grad, toy};
use tch::Tensor;

/// f and ∇f at (a, b).
fn at(spelled: &str, a: f64, b: f64) -> (f64, [f64; 2]) {
    let model = toy::function(registry::parse(spelled).unwrap()).unwrap();
    let x = Tensor::from_slice(&[a, b]).view([1, 2, 1, 1]);
    let (value, g) = value_and_grad(&x, |x| model.logits(x).select(1, 0));
    (value.double_value(&[0]), [0, 1].map(|i| g.double_value(&[0, i, 0, 0])))
}

#[test]
fn ridges_are_those_of_the_papers() {
    // Yeh et al. 2019, A.5, written as it stands there.
    let paper = |a: f64, b: f64| {
        let n = (a - b).abs().floor();
        if n % 2. == 0. { (a.max(b) - n / 2., true) } else { (a.min(b) + (n + 1.) / 2., false) }
    };
    for i in 0..40 {
        for j in 0..40 {
            let (a, b) = (0.37 * f64::from(i) - 5.01, 0.41 * f64::from(j) - 7.03);
            let across = (a - b).abs();
            if (across - across.round()).abs() < 1e-9 {
                continue; // on the edge of two stripes
            }
            let (value, larger) = paper(a, b);
            let (found, g) = at("ridges", a, b);
            assert!((found - value).abs() < 1e-12, "f({a}, {b}) is {found}, not {value}");
            let first = (a > b) == larger;
            assert_eq!(g, if first { [1., 0.] } else { [0., 1.] }, "({a}, {b})");
            let (tenth, same) = at("ridges:step=0.1", a / 10., b / 10.);
            assert!((tenth - value / 10.).abs() < 1e-12 && same == g, "({a}, {b}) / 10");
        }
    }
    assert!((at("ridges", 20., 11.9).0 - 16.).abs() < 1e-12);
    assert!((at("ridges", 20., 15.9).0 - 18.).abs() < 1e-12);
}

#[test]
fn wrong_functions_are_refused() {
    let told = |spelled: &str| {
        let built = toy::function(registry::parse(spelled).unwrap());
        format!("{:#}", built.err().expect("it is refused"))
    };
    assert!(told("ridge").contains("unknown function `ridge`; known, nearest first: ridges"));
    assert!(told("ridges:step=0").contains("`step` is 0"));
}
