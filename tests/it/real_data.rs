//! On real data, where GRADPROOF_DATA names a folder with `cifar-10-lossless-subset-bin`: the
//! shipped network is as accurate as its card says, and its maps fall to the top-k attack.

use attack::{Ball, MapAttack, Norm, map_objective};
use data::{Dataset, Split};
use explain::{Batch, heat, similarity::top_intersection};
use models::{Classifier, Precision, Score, Target, checkpoint};
use std::path::Path;
use tch::Kind;

/// Radii of the area under the curve, and the largest area that counts as a strong attack.
const RADII: [f64; 4] = [2., 4., 8., 16.];
const STRONG: f64 = 0.05;

fn shipped() -> Option<(Classifier, Dataset)> {
    let folder = std::env::var("GRADPROOF_DATA").ok()?;
    let weights =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("weights/resnet20-cifar10-natural.safetensors");
    let loaded = checkpoint::load(&weights, &checkpoint::Hints::default()).unwrap();
    let spec = format!("cifar10:{folder}/cifar-10-lossless-subset-bin");
    let test = data::load(&spec, &Split::Test.into()).unwrap();
    Some((loaded.classifier.folded(Precision::F32), test))
}

#[test]
fn the_shipped_network_is_as_accurate_as_its_card_says() {
    let Some((model, test)) = shipped() else { return };
    let accuracy = train::accuracy(&model, &test, 200, |_| {}).unwrap().fraction;
    assert!(accuracy >= MEASURED - 0.005, "{accuracy}");
}

/// Test accuracy on the card of the shipped weights.
const MEASURED: f64 = 0.8810;

#[test]
fn the_shipped_networks_maps_fall_to_the_topk_attack() {
    let Some((model, test)) = shipped() else { return };
    let (x, _) = test.slice(0, Some(16)).unwrap().ordered(16).next().unwrap().unwrap();
    let target = Target::predicted(&model, &x, Score::Logit);
    let method = explain::parse("gxi").unwrap();
    let objective = map_objective(registry::parse("topk").unwrap()).unwrap();
    let spreads = models::spreads(&model, [x.shallow_clone()]);
    let attack = |ball: &Ball| MapAttack::fast(&model, &*method, &*objective, &spreads, ball);
    let batch = Batch::new(&x, &target);
    let k_in = |eps: f64| {
        let ball = Ball::new(Norm::Linf, eps / 255.).unwrap();
        let attack = attack(&ball);
        let clean = attack.reference(&batch, 20);
        let found = attack.run(&batch, &clean, &ball, None, &|| ());
        let maps = method.attribute(&model, &batch.at(&found.adversarial));
        let kept = top_intersection(&clean.heat, &heat(&maps), 20);
        kept.mean(Kind::Double).double_value(&[])
    };
    let means: Vec<f64> = RADII.iter().map(|&eps| k_in(eps)).collect();
    let area: f64 = means.windows(2).map(|m| (m[0] + m[1]) / 2.).sum();
    assert!(area < STRONG, "area {area} under {means:?}");
}
