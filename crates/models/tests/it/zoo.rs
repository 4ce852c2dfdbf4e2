//! What every architecture must do, checked for each line of the registry.

use models::{
    Activation, Classifier, Model, Ops, Precision, Training, softened,
    zoo::{self, ARCHS},
};
use std::{cell::RefCell, collections::BTreeMap};
use tch::{Kind, Tensor};
use testkit::rule::{distance, filled, images};

macro_rules! conformance {
    ($($test:ident: $name:literal has $count:literal;)*) => {
        $(#[test]
        fn $test() {
            conforms($name, $count);
        })*

        #[test]
        fn the_whole_registry_is_here_and_sorted() {
            let names: Vec<_> = ARCHS.iter().map(|arch| arch.name).collect();
            assert_eq!(names, [$($name),*]);
            assert!(names.is_sorted());
        }
    };
}

// trained parameters, as published (wrn28-10: of the usual implementation)
conformance! {
    cnn: "cnn" has 3_274_634;
    googlenet: "googlenet" has 6_166_250;
    mlp: "mlp" has 162;
    resnet18: "resnet18" has 11_173_962;
    resnet18_imagenet: "resnet18-imagenet" has 11_689_512;
    resnet20: "resnet20" has 269_722;
    resnet32: "resnet32" has 464_154;
    resnet44: "resnet44" has 658_586;
    resnet50: "resnet50" has 23_520_842;
    resnet50_imagenet: "resnet50-imagenet" has 25_557_032;
    resnet56: "resnet56" has 853_018;
    swin_t: "swin-t" has 26_598_646;
    vgg16: "vgg16" has 14_728_266;
    vit_b16: "vit-b16" has 86_429_416;
    vit_s16: "vit-s16" has 21_981_544;
    vit_ti16: "vit-ti16" has 5_682_856;
    wrn28_10: "wrn28-10" has 36_479_194;
}

fn conforms(name: &str, count: i64) {
    let model = filled(zoo::arch(name).expect("in the registry"));
    let x = images(4, &model.shape);
    assert_eq!(model.params().count(), count);
    let before = snapshot(&model);
    let logits = tch::no_grad(|| model.logits(&x));
    assert_eq!(logits.size(), [4, model.shape.classes]);
    assert!(finite(&logits));
    one_by_one(&model, &x, &logits);
    folding(&model, &x, &logits);
    softplus(&model, &x, &logits);
    taps(&model, &x, &logits);
    assert_eq!(moved(&model, &before), Vec::<String>::new(), "evaluation moved something");
    training(&model, &x);
    let statistics = moved(&model, &before);
    assert!(statistics.iter().all(|name| name.contains("running_")), "{statistics:?}");
    let all = before.keys().filter(|name| name.contains("running_")).count();
    assert_eq!(statistics.len(), all, "training moves every running statistic");
}

fn finite(tensor: &Tensor) -> bool {
    tensor.isfinite().all().int64_value(&[]) == 1
}

fn snapshot(model: &Classifier) -> BTreeMap<String, Tensor> {
    let tensors = model.params().tensors();
    tensors.into_iter().map(|(name, tensor)| (name, tensor.copy())).collect()
}

fn moved(model: &Classifier, before: &BTreeMap<String, Tensor>) -> Vec<String> {
    let now = model.params().tensors();
    let changed = now.iter().filter(|(name, tensor)| !tensor.equal(&before[*name]));
    changed.map(|(name, _)| name.clone()).collect()
}

fn one_by_one(model: &Classifier, x: &Tensor, logits: &Tensor) {
    let single = |i| tch::no_grad(|| model.logits(&x.narrow(0, i, 1)));
    let rows: Vec<Tensor> = (0..x.size()[0]).map(single).collect();
    assert!(distance(&Tensor::cat(&rows, 0), logits) < 1e-4);
}

fn folding(model: &Classifier, x: &Tensor, logits: &Tensor) {
    let _guard = tch::no_grad_guard();
    let folded = model.folded(Precision::F32).logits(x);
    assert!(distance(&folded, logits) < 1e-4, "folded: {}", distance(&folded, logits));
    assert!(distance(&model.frozen().logits(x), logits) < 1e-6);
    let coarse = model.folded(Precision::Bf16).logits(&x.narrow(0, 0, 1));
    assert_eq!(coarse.kind(), Kind::Float);
    let far = distance(&coarse, &logits.narrow(0, 0, 1));
    assert!(far < 0.1, "folded in bf16: {far}");
}

fn softplus(model: &Classifier, x: &Tensor, logits: &Tensor) {
    let _guard = tch::no_grad_guard();
    let soft = distance(&softened(model, 5.).logits(x), logits);
    match model.activation() {
        Some(Activation::Relu) => {
            assert!(soft > 1e-3, "softplus changes nothing");
            let sharp = distance(&softened(model, 1e5).logits(x), logits);
            assert!(sharp < 1e-2, "a sharp softplus is far from ReLU: {sharp}");
        }
        _ => assert_eq!(soft, 0., "a smooth activation was replaced"),
    }
}

/// Notes each tap, and puts zeros in the place of one.
struct Tapped<'a> {
    seen: RefCell<Vec<String>>,
    zeroed: Option<&'a str>,
}

impl Ops for Tapped<'_> {
    fn tap(&self, name: &str, x: Tensor) -> Tensor {
        self.seen.borrow_mut().push(name.to_owned());
        if self.zeroed == Some(name) { x.zeros_like() } else { x }
    }
}

fn taps(model: &Classifier, x: &Tensor, logits: &Tensor) {
    let _guard = tch::no_grad_guard();
    assert!(!model.taps().is_empty());
    for name in model.taps() {
        let ops = Tapped { seen: RefCell::default(), zeroed: Some(name) };
        let without = model.forward(x, &ops);
        assert_eq!(*ops.seen.borrow(), model.taps(), "taps, in the order of the pass");
        assert!(distance(&without, logits) > 1e-3, "nothing depends on the tap `{name}`");
    }
}

fn training(model: &Classifier, x: &Tensor) {
    let ops = |precision| Training { precision };
    let y = Tensor::from_slice(&[0i64, 1, 1, 0]);
    let loss = model.forward(x, &ops(Precision::F32)).cross_entropy_for_logits(&y);
    let weights = model.params().weights();
    let tensors: Vec<&Tensor> = weights.iter().map(|(_, tensor)| tensor).collect();
    let gradients = Tensor::run_backward(&[&loss], &tensors, false, false);
    for ((name, weight), gradient) in weights.iter().zip(&gradients) {
        assert!(gradient.defined(), "`{name}` gets no gradient");
        assert!(finite(gradient), "`{name}`");
        let reached = gradient.abs().max().double_value(&[]) > 0.;
        assert!(reached || weight.dim() == 1, "the gradient of `{name}` is zero");
    }
    let coarse = tch::no_grad(|| model.forward(x, &ops(Precision::Bf16)));
    assert_eq!(coarse.kind(), Kind::Float);
    assert!(finite(&coarse));
}
