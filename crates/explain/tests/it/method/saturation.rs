//! Probabilities near 1: maps and metrics in f32 are those in f64.

use explain::{
    Batch, METHODS,
    metric::{Case, Memo, metric},
};
use models::{Classifier, Model, Ops, Score, Target, zoo, zoo::Shape};
use registry::few;
use tch::{Kind, Tensor};
use testkit::rule::{distance, filled, images};

/// A network that is as sure as its logits are large.
struct Sure(Classifier, f64);

impl Model for Sure {
    fn forward(&self, x: &Tensor, ops: &dyn Ops) -> Tensor {
        self.0.forward(x, ops) * self.1
    }

    fn activation(&self) -> Option<models::Activation> {
        self.0.activation()
    }

    fn taps(&self) -> Vec<&str> {
        self.0.taps()
    }

    fn nonlinear_only_in_ops(&self) -> bool {
        self.0.nonlinear_only_in_ops()
    }
}

fn network(double: bool) -> Classifier {
    let model = filled(zoo::arch("resnet20").unwrap());
    if double { model.in_f64().frozen() } else { model.frozen() }
}

/// Images, and the factor that makes the first one's odds these.
fn pixels(odds: f64) -> (Tensor, Target, f64) {
    let x = images(3, &Shape { image: [3, 8, 8], classes: 10 });
    let model = network(true);
    let target = Target::predicted(&model, &x.to_kind(Kind::Double), Score::Logit);
    let own = target.log_odds(&model.logits(&x.to_kind(Kind::Double)));
    (x, target, odds.ln() / own.double_value(&[0]))
}

#[test]
fn maps_of_sure_networks_are_those_of_f64() {
    for odds in [1e4, 1e7, 1e10, 1e14] {
        let (x, target, by) = pixels(odds);
        let (single, double) = (Sure(network(false), by), Sure(network(true), by));
        let xx = x.to_kind(Kind::Double);
        for score in [Score::Prob, Score::Logprob] {
            let target = Target { class: target.class.shallow_clone(), score };
            let (batch, precise) = (Batch::new(&x, &target), Batch::new(&xx, &target));
            for (name, method) in few(METHODS, &[]) {
                let expected = method.attribute(&double, &precise);
                let found = method.attribute(&single, &batch);
                let nothing = |map: &Tensor| map.abs().max().double_value(&[]) == 0.;
                let far = distance(&found, &expected);
                let same = far < 1e-4 || nothing(&expected) && nothing(&found);
                assert!(same, "{name} of {score:?} at odds of {odds:e}: {far:e} off");
            }
        }
    }
}

/// f64 `[N]` of each column.
fn measured(spelled: &str, model: &dyn Model, batch: &Batch) -> Vec<f64> {
    let method = explain::parse("saliency").unwrap();
    let (model_cache, map_cache) = (Memo::default(), Memo::default());
    let case = Case {
        model,
        method: &*method,
        batch,
        maps: &method.attribute(model, batch),
        labels: &batch.target.class,
        masks: None,
        attacked: None,
        randomised: &[],
        model_cache: &model_cache,
        map_cache: &map_cache,
        spreads: &[],
    };
    let columns = metric(registry::parse(spelled).unwrap()).unwrap().measure(&case);
    columns.iter().flat_map(|column| Vec::<f64>::try_from(column).unwrap()).collect()
}

#[test]
fn metrics_of_sure_networks_are_those_of_f64() {
    for odds in [1e4, 1e7, 1e10] {
        let (x, target, by) = pixels(odds);
        let target = Target { class: target.class, score: Score::Prob };
        let (single, double) = (Sure(network(false), by), Sure(network(true), by));
        let (batch, precise) =
            (Batch::new(&x, &target), Batch::new(&x.to_kind(Kind::Double), &target));
        for spelled in ["faithfulness:cells=4", "infidelity:samples=3", "lipschitz:samples=3"] {
            let expected = measured(spelled, &double, &precise);
            for (found, expected) in measured(spelled, &single, &batch).iter().zip(expected) {
                let far = (found - expected).abs() / expected.abs().max(f64::MIN_POSITIVE);
                assert!(far < 2e-4, "{spelled} at odds of {odds:e}: {found} for {expected}");
            }
        }
    }
}
