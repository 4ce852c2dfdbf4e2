//! What several methods or metrics ask of the network about the same images is asked once.

use explain::{
    Batch,
    metric::{Case, Memo, metric},
};
use models::{Activation, Model, Ops, Score, Target, noise};
use registry::parse;
use std::cell::Cell;
use tch::{Device, Kind, Tensor};

/// Two logits, and how many images they were asked of.
struct Counted(Cell<i64>);

impl Model for Counted {
    fn forward(&self, x: &Tensor, _ops: &dyn Ops) -> Tensor {
        self.0.set(self.0.get() + x.size()[0]);
        let row = x.flatten(1, -1);
        let of = |t: Tensor| t.sum_dim_intlist([1].as_slice(), false, None::<Kind>);
        Tensor::stack(&[of(row.square()), of(row.sin())], 1)
    }

    fn activation(&self) -> Option<Activation> {
        Some(Activation::Relu)
    }
}

/// What each metric says of each method, and how many images the network saw for it.
fn asked(metrics: &[&str], methods: &[&str]) -> Vec<(Vec<f64>, i64)> {
    let keys: Vec<u64> = (0..3).collect();
    let x = noise::uniform(&keys, &[3, 4, 4], Device::Cpu).to_kind(Kind::Double);
    let class = Tensor::from_slice(&[0i64, 1, 0]);
    let batch = Batch::new(&x, &Target { class, score: Score::Logit });
    let (model, model_cache) = (Counted(Cell::new(0)), Memo::default());
    let mut found = vec![];
    for method in methods {
        let method = explain::parse(method).unwrap();
        let (maps, map_cache) = (method.attribute(&model, &batch), Memo::default());
        for spelled in metrics {
            let case = Case {
                model: &model,
                method: &*method,
                batch: &batch,
                maps: &maps,
                labels: &batch.target.class,
                masks: None,
                attacked: None,
                randomised: &[],
                model_cache: &model_cache,
                map_cache: &map_cache,
                spreads: &[],
            };
            let before = model.0.get();
            let columns = metric(parse(spelled).unwrap()).unwrap().measure(&case);
            let numbers = columns.iter().flat_map(|column| Vec::<f64>::try_from(column).unwrap());
            found.push((numbers.collect(), model.0.get() - before));
        }
    }
    found
}

#[test]
fn a_second_method_asks_nothing_that_is_known_of_the_network() {
    for spelled in [
        "faithfulness:cells=2",
        "infidelity:samples=9",
        "infidelity:samples=9,perturbation=square,units=contribution,largest=2",
    ] {
        let both = asked(&[spelled], &["random", "saliency"]);
        assert!(both[0].1 > 0, "{spelled}: nothing was asked");
        assert_eq!(both[1].1, 0, "{spelled}: asked again");
        assert_eq!(both[1].0, asked(&[spelled], &["saliency"])[0].0, "{spelled}");
        assert_ne!(both[0].0, both[1].0, "{spelled}");
    }
    // Points of the ball are each explained anew, their perturbations not seen anew.
    let robust =
        asked(&["infidelity:samples=9,robust=0.1,robust_samples=4"], &["random", "saliency"]);
    assert_eq!(robust.iter().map(|found| found.1).collect::<Vec<_>>(), [3 * 5 * 10, 3 * 4]);
}

#[test]
fn a_second_metric_asks_only_for_what_is_new() {
    let alone = asked(&["relevance:steps=4"], &["saliency"]);
    let shared = asked(&["deletion:steps=4", "relevance:steps=4"], &["saliency"]);
    assert_eq!((alone[0].1, shared[0].1, shared[1].1), (30, 15, 15));
    assert_eq!(alone[0].0, shared[1].0);
    // Other settings are other curves; another map too.
    assert_eq!(asked(&["deletion:steps=4", "deletion:steps=2"], &["saliency"])[1].1, 9);
    assert_eq!(asked(&["deletion:steps=4"], &["saliency", "random"])[1].1, 15);
    let scaled = ["infidelity:samples=9", "infidelity:samples=9,scaling=none"];
    assert_eq!(asked(&scaled, &["saliency"])[1].1, 0);
}
