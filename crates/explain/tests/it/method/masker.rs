//! RT-Sal: its decoder, gradient and loss against PyTorch (tests/reference/explain/masker.py), what a
//! training finds, and which files are refused.

use explain::{
    Batch,
    masker::{Masker, Training, fit, spread},
};
use models::{
    Activation, Classifier, Model, Ops, Target, noise,
    zoo::{self, Shape},
};
use std::{collections::BTreeMap, path::Path};
use tch::{Device, Kind, Tensor};
use tensorfile::TensorFile;
use testkit::rule::{distance, filled, images};

const IMAGE: [i64; 3] = [3, 8, 8];
const FLOAT: (Kind, Device) = (Kind::Float, Device::Cpu);

fn resnet20() -> Classifier {
    filled(zoo::arch("resnet20").unwrap()).in_f64().frozen()
}

fn taps() -> Vec<String> {
    vec!["layer3".into(), "layer2".into()]
}

/// The tensors of layers, taken out.
fn layers(file: &mut TensorFile) -> BTreeMap<String, Tensor> {
    let all = std::mem::take(&mut file.tensors);
    let (layers, rest) = all.into_iter().partition(|(name, _)| name.contains('.'));
    file.tensors = rest;
    layers
}

/// The masker of the reference, and what it found.
fn reference() -> (Masker, TensorFile) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/masker.safetensors");
    let mut file = TensorFile::read(&path).unwrap();
    let masker = Masker::of(taps(), layers(&mut file)).unwrap();
    (masker, file)
}

/// A file of the masker in a folder of its own.
fn written(masker: &Masker, model: &dyn Model, image: [i64; 3]) -> (tempfile::TempDir, String) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("masker.safetensors");
    masker.write(&path, (model, image), BTreeMap::new()).unwrap();
    let spelled = format!("rtsal:masker={}", path.display());
    (folder, spelled)
}

#[test]
fn masks_their_gradient_and_loss_are_those_of_pytorch() {
    let (model, (masker, mut found)) = (resnet20(), reference());
    let mut golden = |name: &str| found.take(name).unwrap();
    let x = images(2, &Shape { image: IMAGE, classes: 10 }).to_kind(Kind::Double);
    let class = golden("class");
    let (_folder, spelled) = written(&masker, &model, IMAGE);
    let method = explain::parse(&spelled).unwrap();
    method.check(&model, IMAGE).unwrap();
    let cotangent = golden("cotangent").to_kind(Kind::Double);
    // A map has the mask once a channel: all channels together have the cotangent once.
    let back = |_: &Tensor| cotangent.expand_as(&x) / 3.;
    let batch = Batch { chunk: 1, ..Batch::new(&x, &Target::logit(&class)) };
    let differentiable = method.differentiable().unwrap();
    let (map, gradient) = differentiable.pullback(&model, &batch, &back);
    let whole = golden("mask").to_kind(Kind::Double).expand_as(&x);
    assert!(distance(&map, &whole) < 1e-6, "{}", distance(&map, &whole));
    let expected = golden("back").to_kind(Kind::Double);
    assert!(distance(&gradient, &expected) < 1e-6, "{}", distance(&gradient, &expected));
    let how = Training::default();
    let (mask, _) = tch::no_grad(|| masker.mask(&model, &x, &class));
    let equation = how.equation(&model, (&x, &x.full_like(0.5)), &mask, &class);
    let loss = (equation.of_mask + equation.of_class).to_kind(Kind::Float);
    let expected = golden("loss");
    assert!(((&loss - &expected) / &expected).abs().max().double_value(&[]) < 1e-5);
}

/// Looks for a striped square of 4 × 4 pixels: how much pixels differ from the next one in their row is
/// the logit of class 0, in their column that of class 1. Its tap has both, two by two pixels.
struct Stripes;

impl Model for Stripes {
    fn forward(&self, x: &Tensor, ops: &dyn Ops) -> Tensor {
        let along = |dim| (x - x.roll([1], [dim])).abs();
        let rough = Tensor::cat(&[along(3), along(2)], 1);
        let small = rough.avg_pool2d([2, 2], [2, 2], [0, 0], false, true, None);
        ops.tap("small", small).flatten(2, -1).mean_dim(2, false, None) * 120.
    }

    fn activation(&self) -> Option<Activation> {
        Some(Activation::Relu)
    }

    fn taps(&self) -> Vec<&str> {
        vec!["small"]
    }
}

/// Grey noise with the square at columns and rows that are drawn, its stripes up or across by turns.
fn squares(n: u64) -> (Tensor, Vec<[i64; 2]>) {
    let keys: Vec<u64> = (0..n).map(|image| noise::key(3, image, 0)).collect();
    let x = noise::uniform(&keys, &[1, 16, 16], Device::Cpu) * 0.1 + 0.45;
    let stripes = Tensor::arange(4, FLOAT).remainder(2.);
    let at = |image: u64| {
        let u = noise::uniform(&[noise::key(4, image, 0)], &[2], Device::Cpu).view([-1]) * 12.;
        [0, 1].map(|i| u.double_value(&[i]) as i64)
    };
    let places: Vec<[i64; 2]> = (0..n).map(at).collect();
    for (i, [row, column]) in places.iter().enumerate() {
        let square = x.get(i as i64).get(0).narrow(0, *row, 4).narrow(1, *column, 4);
        square.shallow_clone().copy_(&if i % 2 == 0 {
            stripes.view([1, 4])
        } else {
            stripes.view([4, 1])
        });
    }
    (x, places)
}

fn short() -> Training {
    let (epochs, batch, width) = (30, 32, 16);
    Training {
        epochs,
        batch,
        width,
        learning_rate: 0.01,
        area: 1.,
        left: 2.,
        power: 1.,
        ..Training::default()
    }
}

#[test]
fn a_trained_masker_finds_what_shows_the_class() {
    let (x, places) = squares(256);
    let mut said = vec![];
    let seen = std::cell::RefCell::new(&mut said);
    let say = |_: u32, found: &explain::masker::Found| seen.borrow_mut().push(*found);
    let (masker, found) = fit(&Stripes, &x, &short(), &|_| (), &say).unwrap();
    assert!(said.len() == 30 && said[29].loss < said[0].loss, "{said:?}");
    assert!(found.kept > 0.85 && found.left < 0.9 && found.area < 0.3, "{found:?}");
    assert!(found.other_area < 0.75 * found.area, "{found:?}");
    let target = Target::predicted(&Stripes, &x, models::Score::Logit);
    let (mask, _) = tch::no_grad(|| masker.mask(&Stripes, &x, &target.class));
    let whole = spread(&mask, &x);
    let (mut inside, mut all) = (0., 0.);
    for (image, [row, column]) in places.iter().enumerate() {
        let of = whole.get(image as i64).get(0);
        inside += of.narrow(0, *row, 4).narrow(1, *column, 4).mean(Kind::Double).double_value(&[]);
        all += of.mean(Kind::Double).double_value(&[]);
    }
    assert!(inside > 3. * all, "on the square {inside}, everywhere {all}");
}

#[test]
fn the_same_seed_gives_the_same_masks_and_another_does_not() {
    let (x, _) = squares(64);
    let of = |seed| {
        let how = Training { seed, epochs: 1, ..short() };
        let (masker, _) = fit(&Stripes, &x, &how, &|_| (), &|_, _| ()).unwrap();
        let class = Tensor::zeros([64], (Kind::Int64, Device::Cpu));
        tch::no_grad(|| masker.mask(&Stripes, &x, &class).0)
    };
    let first = of(0);
    assert!(first.equal(&of(0)));
    assert!(!first.equal(&of(1)));
}

#[test]
fn a_masker_of_another_network_or_of_no_network_is_refused() {
    let (model, (masker, _)) = (resnet20(), reference());
    let (folder, spelled) = written(&masker, &model, IMAGE);
    let method = explain::parse(&spelled).unwrap();
    let other = Classifier::new(
        zoo::arch("resnet20").unwrap(),
        Shape { image: IMAGE, classes: 10 },
        model.normalisation.clone(),
        1,
        Device::Cpu,
    );
    let told = |e: anyhow::Error| format!("{e:#}");
    assert!(told(method.check(&other, IMAGE).unwrap_err()).contains("another network"));
    let large = method.check(&model, [3, 32, 32]).unwrap_err();
    assert!(told(large).contains("images of 3x8x8, not 3x32x32"));
    let refused = |spelled: &str| told(explain::parse(spelled).err().unwrap());
    assert!(refused("rtsal").contains("masker"));
    let path = folder.path().join("empty.safetensors");
    TensorFile::default().write(&path).unwrap();
    let none = explain::parse(&format!("rtsal:masker={}", path.display())).unwrap();
    let none = told(none.check(&model, IMAGE).unwrap_err());
    assert!(none.contains("is no masker") && none.contains("gradproof masker"), "{none}");
    let mut short =
        layers(&mut TensorFile::read(&folder.path().join("masker.safetensors")).unwrap());
    short.remove("merge1.bias");
    assert!(told(Masker::of(taps(), short).unwrap_err()).contains("merge1.bias"));
    let none = Training { others: 1., ..Training::default() }.check().unwrap_err();
    assert!(told(none).contains("not in [0, 1)"));
}
