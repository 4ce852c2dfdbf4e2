//! Another network in place of the one that is named, and the right sides of theorems.

use crate::place::{Place, SHAPES, mean, rows, says};

#[test]
fn a_softplus_or_a_smoothed_network_is_asked_in_its_place() {
    let place = Place::with_model("stand-in");
    let line = format!(
        "measure lipschitz:samples=2 --weights model.safetensors --data {SHAPES} --limit 2 --method \
         saliency --json"
    );
    let of = |rest: &str| {
        let run = place.ok(&format!("{line} {rest}"));
        (mean(&run.json(), &[("quantity", "lipschitz")]), run.stderr)
    };
    let (plain, _) = of("");
    let (same, said) = of("--smoothed sigma=0,samples=1");
    assert!((plain - same).abs() <= 1e-6 * plain.abs(), "{plain}, {same}");
    says(&said, &["in place of the network", "1 copies", "sigma 0"]);
    let (soft, said) = of("--softplus 2");
    assert!(soft < plain, "{soft}, {plain}");
    says(&said, &["softplus, beta 2"]);
    let (smooth, _) = of("--smoothed sigma=0.3,samples=8 --softplus 2");
    assert!(smooth < soft, "{smooth}, {soft}");
    says(&place.refused(&format!("{line} --softplus 0")), &["--softplus", "above 0"]);
    says(&place.refused(&format!("{line} --smoothed samples=0")), &["`samples` is 0"]);
    says(&place.refused(&format!("{line} --smoothed mean=1")), &["mean", "sigma"]);
    let attack = format!(
        "attack --weights model.safetensors --data {SHAPES} --limit 1 --method saliency --attack topk \
         --eps 8/255 --iters 2 --smoothed samples=2 --json"
    );
    place.ok(&attack);
}

#[test]
fn right_sides_of_theorems_stand_beside_what_is_found() {
    let place = Place::with_model("bounds");
    let metrics = "bounds-agarwal21:samples=2,repeats=2,bounds-lim21:samples=2,steps=3,\
                   bounds-tan23:samples=1,copies=4,draws=1,sigmas=3,bounds-wang20:samples=2,draws=2,\
                   bounds-yeh19:samples=2,points=2,draws=2,size:attacked=false";
    let said = place.ok(&format!(
        "measure {metrics} --weights model.safetensors --data {SHAPES} --limit 2 --method saliency \
         --json"
    ));
    let said = said.json();
    for quantity in ["shap-bound", "loss-bound-whole", "mask-size", "smoothgrad-samples-bound"] {
        assert!(!rows(&said, &[("quantity", quantity)]).is_empty(), "{quantity}");
    }
    for tight in
        ["saliency-tightness", "robust-infidelity-tightness", "smooth-sensitivity-tightness"]
    {
        assert!(mean(&said, &[("quantity", tight)]) <= 1.0001, "{tight}");
    }
}
