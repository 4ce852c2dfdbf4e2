//! What metrics of robustness say of options they do not have or cannot use.

use explain::{Better, Metric, metric};
use registry::parse;

fn built(spelled: &str) -> Box<dyn Metric> {
    metric::metric(parse(spelled).unwrap()).expect(spelled)
}

#[test]
fn bad_options_are_told() {
    let told = |spelled: &str| {
        format!("{:#}", metric::metric(parse(spelled).unwrap()).err().expect(spelled))
    };
    for (spelled, word) in [
        ("lipschitz:samples=0", "samples"),
        ("lipschitz:sigma=0", "sigma"),
        ("lipschitz:sigma=-1", "sigma"),
        ("lipschitz:norm=l3", "l3"),
        ("lipschitz:channels=red", "red"),
        ("lipschitz:aggregate=median", "median"),
        ("lipschitz:radius=1", "radius"),
        ("lipschitz:aggregate=mean,search=ascent", "maximum"),
        ("sensitivity:search=climb", "climb"),
        ("sensitivity:radius=-0.1", "radius"),
        ("sensitivity:samples=0", "samples"),
        ("sensitivity:sigma=0.1", "sigma"),
        ("gap:samples=1", "samples"),
        ("gap:sigma=0", "sigma"),
        ("random-labels:samples=3", "samples"),
        ("randomisation:samples=3", "samples"),
        ("infidelity:samples=0", "samples"),
        ("infidelity:sigma=0", "sigma"),
        ("infidelity:scale=0.2", "noisy-baseline"),
        ("infidelity:perturbation=square,sigma=0.2", "gaussian"),
        ("infidelity:perturbation=square,largest=0", "largest"),
        ("infidelity:perturbation=square,all=true,samples=3", "leave `samples` out"),
        ("infidelity:perturbation=noisy-baseline,scale=0", "scale"),
        ("infidelity:perturbation=blur", "noisy-baseline"),
        ("infidelity:units=contribution", "square"),
        ("infidelity:scaling=best", "optimal"),
        ("infidelity:robust=-0.1", "robust"),
        ("infidelity:robust=0.1,robust_samples=0", "robust_samples"),
    ] {
        let told = told(spelled);
        assert!(told.contains(word), "{spelled}: {told}");
    }
    for spelled in [
        "gap",
        "infidelity:robust=8/255",
        "lipschitz",
        "random-labels",
        "randomisation",
        "sensitivity",
    ] {
        assert!(built(spelled).columns().iter().all(|c| c.better == Better::Lower), "{spelled}");
    }
}

/// Shares of images have another interval than means of other numbers.
#[test]
fn a_column_knows_whether_it_is_a_share() {
    for spelled in ["retrieval", "retrieval:attacked=false", "localisation", "lipschitz"] {
        let metric = built(spelled);
        let shares: Vec<&str> = metric
            .columns()
            .iter()
            .enumerate()
            .filter(|(i, _)| metric.is_share(*i))
            .map(|(_, c)| c.name)
            .collect();
        let expected: &[&str] = match spelled {
            "retrieval" => &["m0-adv", "madv-adv", "madv-clean", "m0-clean"],
            "retrieval:attacked=false" => &["m0-clean"],
            "localisation" => &["pointing"],
            _ => &[],
        };
        assert_eq!(shares, expected, "{spelled}");
    }
}
