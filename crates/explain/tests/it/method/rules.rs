//! Methods with rules of their own backwards: guided, deconvnet, deeplift, fgvis, gradcam, lrp, against
//! captum (tests/reference/explain/rules.py), plain arithmetic on tiny networks, and what they promise.

mod tiny;

use explain::{Attribution, Batch};
use models::{
    Activation, Classifier, Model, Ops, Score, Target, noise,
    zoo::{self, Normalisation, Shape},
};
use std::path::Path;
use tch::{Device, Kind, Tensor};
use tensorfile::TensorFile;
use testkit::rule::{distance, filled, images};

const METHODS: [&str; 5] = ["deconvnet", "deeplift", "gradcam", "guided", "lrp"];

fn method(text: &str) -> Box<dyn Attribution> {
    explain::parse(text).unwrap()
}

fn refused(text: &str) -> String {
    format!("{:#}", explain::parse(text).err().unwrap())
}

/// The architecture in f64, filled by the rule.
fn network(name: &str) -> Classifier {
    filled(zoo::arch(name).unwrap()).in_f64().frozen()
}

/// The same without normalisation and without biases, running means among them.
fn unbiased(name: &str) -> Classifier {
    let arch = zoo::arch(name).unwrap();
    let mut tensors = filled(arch).params().tensors();
    for (name, t) in &mut tensors {
        if name.ends_with("running_mean") || (name.ends_with("bias") && t.dim() == 1) {
            *t = t.zeros_like();
        }
    }
    let none = Normalisation::parse("none", arch.shape.image[0]).unwrap();
    let model = Classifier::new(arch, arch.shape, none, 0, Device::Cpu);
    model.params().fill(&tensors).unwrap();
    model.in_f64().frozen()
}

fn pixels(n: i64, image: [i64; 3]) -> Tensor {
    images(n, &Shape { image, classes: 10 }).to_kind(Kind::Double)
}

fn predicted(model: &dyn Model, x: &Tensor, score: Score) -> Batch {
    Batch::new(x, &Target::predicted(model, x, score))
}

fn logits(model: &dyn Model, x: &Tensor) -> Tensor {
    tch::no_grad(|| model.logits(x))
}

fn total(map: &Tensor) -> Tensor {
    map.sum_dim_intlist([1, 2, 3].as_slice(), false, None::<Kind>)
}

fn largest(t: &Tensor) -> f64 {
    t.abs().max().double_value(&[])
}

#[test]
fn maps_agree_with_captum() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/rules.safetensors");
    let mut golden = TensorFile::read(&path).unwrap();
    let mut wrong = vec![];
    let mut check = |key: &str, model: &Classifier, text: &str, n: i64| {
        let x = pixels(n, model.shape.image);
        let expected = golden.take(key).unwrap().expand(x.size(), false);
        let map = method(text).attribute(model, &predicted(model, &x, Score::Logit));
        let far = distance(&map, &expected);
        if far.is_nan() || far > 1e-4 {
            wrong.push(format!("{key}: {far:e} off"));
        }
    };
    for name in ["cnn", "googlenet", "resnet20", "vgg16"] {
        let model = network(name);
        for method in METHODS {
            check(&format!("{name}.{method}"), &model, method, if name == "cnn" { 2 } else { 1 });
        }
    }
    check("resnet20.gradcam-layer2", &network("resnet20"), "gradcam:layer=layer2", 1);
    check("cnn.deeplift-baseline", &network("cnn"), "deeplift:baseline=0.5", 2);
    check("cnn.lrp-epsilon", &network("cnn"), "lrp:epsilon=0.25", 2);
    for (name, n) in [("cnn", 2), ("resnet20", 1)] {
        check(&format!("{name}.fgvis"), &network(name), "fgvis:steps=12,lambda=1e-4", n);
        check(
            &format!("{name}.fgvis-free"),
            &network(name),
            "fgvis:steps=12,lambda=1e-4,defended=false",
            n,
        );
    }
    check("cnn.lrp-gamma", &unbiased("cnn"), "lrp:gamma=0.25", 1);
    assert!(wrong.is_empty(), "{}", wrong.join("; "));
}

#[test]
fn deeplift_sums_to_the_rise_from_the_baseline() {
    let images = [("cnn", [1, 28, 28]), ("googlenet", [3, 8, 8]), ("resnet20", [3, 8, 8])];
    let others = [("mlp", [2, 1, 1]), ("resnet18-imagenet", [3, 32, 32]), ("vgg16", [3, 32, 32])];
    for (name, image) in images.into_iter().chain(others) {
        let model = network(name);
        let x = pixels(2, image);
        for (score, baseline) in
            [(Score::Logit, 0.), (Score::Logit, 0.5), (Score::Prob, 0.5), (Score::Logprob, 0.)]
        {
            let deeplift = method(&format!("deeplift:baseline={baseline}"));
            let batch = predicted(&model, &x, score);
            let map = deeplift.attribute(&model, &batch);
            let f = |x: &Tensor| batch.target.of(&logits(&model, x));
            let rise = f(&x) - f(&x.full_like(baseline));
            let gap = deeplift.convergence_delta(&model, &batch, &map).unwrap();
            assert!(largest(&(&gap - (&rise - total(&map)))) < 1e-9, "{name}");
            let far = largest(&gap) / largest(&rise);
            assert!(far < 1e-5, "{name}, {score:?}, from {baseline}: a gap of {far:e}");
        }
    }
}

#[test]
fn deeplift_does_not_depend_on_the_chunk() {
    let model = network("resnet20");
    let x = pixels(5, [3, 8, 8]);
    let batch = predicted(&model, &x, Score::Logit);
    let whole = method("deeplift").attribute(&model, &batch);
    for chunk in [1, 2, 4] {
        let part = method("deeplift").attribute(&model, &Batch { chunk, ..batch.at(&x) });
        let far = distance(&part, &whole);
        assert!(far < 1e-9, "chunks of {chunk}: {far:e} off");
    }
    // an image that is its own baseline: nothing to explain, nothing divided by zero
    let grey = x.full_like(0.5);
    let map = method("deeplift:baseline=0.5").attribute(&model, &batch.at(&grey));
    assert_eq!(largest(&map), 0.);
}

#[test]
fn relevance_is_conserved_where_there_are_no_biases() {
    for (name, image) in [("cnn", [1, 28, 28]), ("googlenet", [3, 8, 8]), ("resnet20", [3, 8, 8])] {
        let model = unbiased(name);
        let x = pixels(2, image);
        let batch = predicted(&model, &x, Score::Logit);
        let f = batch.target.of(&logits(&model, &x));
        for text in ["lrp:epsilon=1e-12", "lrp:epsilon=1e-12,gamma=0.25"] {
            let far = distance(&total(&method(text).attribute(&model, &batch)), &f);
            assert!(far < 1e-6, "{name}, {text}: {far:e} off");
        }
        let absorbed = distance(&total(&method("lrp:epsilon=0.1").attribute(&model, &batch)), &f);
        assert!(absorbed > 1e-3, "{name}: a large epsilon absorbs nothing");
    }
}

#[test]
fn relevance_tends_to_gradient_times_input_in_relu_networks() {
    let model = network("resnet20");
    let batch = predicted(&model, &pixels(2, [3, 8, 8]), Score::Logit);
    let gxi = method("gxi").attribute(&model, &batch);
    assert!(distance(&method("lrp:epsilon=1e-12").attribute(&model, &batch), &gxi) < 1e-6);
    assert!(distance(&method("lrp:gamma=0.5").attribute(&model, &batch), &gxi) > 0.1);
}

/// Logits v₀ · a² and v₁ · a² of the tap a: 2×2 means of the image; or, without taps, of its pixels.
struct Squares {
    v: Tensor, // [2, C, h, w]
    taps: &'static [&'static str],
}

impl Squares {
    fn new(shape: [i64; 3], taps: &'static [&'static str]) -> Self {
        let v = noise::normal(&[1, 2], &shape, Device::Cpu).to_kind(Kind::Double);
        Squares { v, taps }
    }
}

impl Model for Squares {
    fn forward(&self, x: &Tensor, ops: &dyn Ops) -> Tensor {
        let a = match self.taps {
            [] => x.shallow_clone(),
            taps => ops.tap(taps[0], x.avg_pool2d([2, 2], [2, 2], [0, 0], false, true, None)),
        };
        let products = a.square().unsqueeze(1) * &self.v;
        products.flatten(2, -1).sum_dim_intlist([2].as_slice(), false, None::<Kind>)
    }

    fn activation(&self) -> Option<Activation> {
        Some(Activation::Relu)
    }

    fn taps(&self) -> Vec<&str> {
        self.taps.to_vec()
    }
}

#[test]
fn gradcam_is_its_formula() {
    let x = pixels(2, [3, 8, 8]);
    let target = Target::logit(&Tensor::from_slice(&[0i64, 1]));
    for (taps, side) in [(["means"].as_slice(), 4), (&[], 8)] {
        let model = Squares::new([3, side, side], taps);
        let a = x.adaptive_avg_pool2d([side, side]);
        let g = &model.v * &a * 2.; // image n has class n
        let weights = g.mean_dim([2, 3].as_slice(), true, None::<Kind>);
        let cam = (weights * a).sum_dim_intlist([1].as_slice(), true, None::<Kind>);
        let up = |cam: &Tensor| {
            cam.upsample_bilinear2d([8, 8], false, None, None).expand([2, 3, 8, 8], false)
        };
        let map = |text: &str| method(text).attribute(&model, &Batch::new(&x, &target));
        assert!(largest(&(map("gradcam") - up(&cam.relu()))) < 1e-12, "{taps:?}");
        assert!(largest(&(map("gradcam:relu=false") - up(&cam))) < 1e-12, "{taps:?}");
        if let [tap] = taps {
            assert!(map(&format!("gradcam:layer={tap}")).equal(&map("gradcam")));
        }
    }
}

#[test]
fn gradcam_finds_its_layer_in_every_network() {
    let resnet = network("resnet20");
    let batch = predicted(&resnet, &pixels(2, [3, 8, 8]), Score::Logit);
    let map = |text: &str| method(text).attribute(&resnet, &batch);
    assert!(map("gradcam").equal(&map("gradcam:layer=layer3")));
    assert!(distance(&map("gradcam:layer=layer1"), &map("gradcam")) > 0.1);
    // at 4×4 `layer3` has one place
    let small = predicted(&resnet, &pixels(2, [3, 4, 4]), Score::Logit);
    let map = |text: &str| method(text).attribute(&resnet, &small);
    assert!(map("gradcam").equal(&map("gradcam:layer=layer2")));
    // a tap without places has the same value everywhere
    let mlp = network("mlp");
    let table = predicted(&mlp, &pixels(3, [2, 1, 1]), Score::Logit);
    let map = method("gradcam:layer=hidden2,relu=false").attribute(&mlp, &table);
    assert!(map.narrow(1, 0, 1).equal(&map.narrow(1, 1, 1)) && largest(&map) > 0.);
    let asked = method("gradcam:layer=layer9");
    let told = format!("{:#}", asked.check(&resnet, [3, 32, 32]).unwrap_err());
    assert_eq!(told, "no tap `layer9`; the model has stem, layer1, layer2, layer3");
    let bare = Squares::new([3, 8, 8], &[]);
    let told = format!("{:#}", asked.check(&bare, [3, 32, 32]).unwrap_err());
    assert!(told.contains("no tap `layer9`") && told.contains("leave `layer` out"), "{told}");
    method("gradcam").check(&bare, [3, 32, 32]).unwrap();
}

#[test]
fn swin_is_explained() {
    let model = filled(zoo::arch("swin-t").unwrap()).frozen();
    let x = images(2, &Shape::CIFAR10);
    let batch = predicted(&model, &x, Score::Logit);
    for text in METHODS.into_iter().chain(["gradcam:layer=stage2", "lrp:gamma=0.25"]) {
        let method = method(text);
        method.check(&model, [3, 32, 32]).unwrap();
        let map = method.attribute(&model, &batch);
        assert_eq!((map.size(), map.kind()), (x.size(), Kind::Float), "{text}");
        assert!(bool::try_from(map.isfinite().all()).unwrap() && largest(&map) > 0., "{text}");
        if let Some(gap) = method.convergence_delta(&model, &batch, &map) {
            let told = batch.target.of(&logits(&model, &x)).size();
            assert_eq!(gap.size(), told);
            assert!(largest(&gap) > 1e-3, "attention has no rule, and {text} hides it");
        }
    }
    let default = method("gradcam").attribute(&model, &batch);
    assert!(default.equal(&method("gradcam:layer=stage4").attribute(&model, &batch)));
}

#[test]
fn bad_options_are_refused() {
    for (text, parts) in [
        ("deeplift:baseline=1.5", ["`baseline` is 1.5", "in [0, 1]"]),
        ("deeplift:baseline=grey", ["method `deeplift`", "grey"]),
        ("lrp:epsilon=0", ["`epsilon` is 0", "must be positive"]),
        ("lrp:gamma=-0.5", ["`gamma` is -0.5", "0 (off) or positive"]),
        ("gradcam:layer=3", ["method `gradcam`", "expected a string"]),
        ("gradcam:relu=1", ["method `gradcam`", "expected a boolean"]),
        ("guided:relu=true", ["method `guided`", "relu"]),
        ("deconvnet:layer=conv1", ["method `deconvnet`", "layer"]),
    ] {
        let told = refused(text);
        assert!(parts.iter().all(|part| told.contains(part)), "{text}: {told}");
    }
    assert!(method("deeplift:baseline=128/255").differentiable().is_none());
}
