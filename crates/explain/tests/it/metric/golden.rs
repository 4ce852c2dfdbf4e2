//! Metrics against captum and Quantus on one network, with the same perturbations on both sides:
//! tests/reference/explain/metrics.py, which says where a definition was converted.

use explain::{
    Batch,
    metric::{Case, Memo, metric},
};
use models::{
    Score, Target,
    zoo::{self, Shape},
};
use registry::parse;
use std::path::Path;
use tch::Kind;
use tensorfile::TensorFile;
use testkit::rule::{distance, filled, images};

/// Asked for, and the names of its columns in the golden file.
const METRICS: &[(&str, &[&str])] = &[
    ("infidelity:samples=20", &["infidelity"]),
    ("infidelity:samples=20,scaling=none", &["infidelity.unscaled"]),
    ("lipschitz:samples=20,sigma=0.03", &["lipschitz"]),
    ("sensitivity:samples=20,radius=0.1", &["max-sensitivity", "avg-sensitivity"]),
    ("sensitivity:samples=20,radius=0.1", &["max-sensitivity.quantus"]),
    ("deletion:steps=16", &["deletion"]),
    ("deletion:steps=16,baseline=1/2", &["deletion.grey"]),
    ("deletion:steps=16,signed=true", &["deletion.signed"]),
    ("preservation:steps=16", &["preservation"]),
    ("localisation", &["mass", "pointing", "rank"]),
    ("complexity:threshold=0.3", &["entropy", "sparseness", "effective"]),
];

/// Measured, in units of the largest number of a column: at most 3e-16, but lipschitz 2.3e-10 (Quantus adds
/// 1e-10 to distances of 0.4), entropy 1.6e-11 (1e-12 in its logarithm) and sparseness 3e-13 (1e-7).
#[test]
fn metrics_agree_with_captum_and_quantus() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/metrics.safetensors");
    let mut golden = TensorFile::read(&path).unwrap();
    let model = filled(zoo::arch("resnet20").unwrap()).in_f64().frozen();
    let method = explain::parse("saliency").unwrap();
    let all = images(8, &Shape { image: [3, 8, 8], classes: 10 }).to_kind(Kind::Double);
    let (x, masks) = (all.narrow(0, 0, 4), all.narrow(0, 4, 4).select(1, 0).lt(0.4));
    let logits = tch::no_grad(|| models::Model::logits(&model, &x));
    let second = Target { class: logits.argsort(1, true).select(1, 1), score: Score::Logit };
    let batch = Batch::new(&x, &second);
    let case = Case {
        model: &model,
        method: method.as_ref(),
        batch: &batch,
        maps: &method.attribute(&model, &batch),
        labels: &second.class,
        masks: Some(&masks),
        attacked: None,
        randomised: &[],
        model_cache: &Memo::default(),
        map_cache: &Memo::default(),
        spreads: &[],
    };
    for (asked, names) in METRICS {
        let found = metric(parse(asked).unwrap()).unwrap().measure(&case);
        for (column, name) in found.iter().zip(*names) {
            let far = distance(column, &golden.take(name).unwrap());
            assert!(far < 1e-8, "{asked}, `{name}`: {far:e} off");
        }
    }
}
