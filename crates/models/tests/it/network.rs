//! Registry, parameters, checkpoints, passes and gradients. (Architectures: zoo.rs and golden.rs;
//! keyed noise: noise.rs.)

use models::{
    Activation, Classifier, Model, Plain, Precision, Score, Target, Training,
    checkpoint::{self, Hints},
    grad::{Graph, grad, pull, swap_gradient},
    noise,
    zoo::{self, Normalisation, Shape},
};
use registry::Named;
use std::{collections::BTreeMap, fs, path::Path};
use tch::{Device, Kind, Tensor};
use tensorfile::TensorFile;
use testkit::rule::{distance, filled, images};

fn mlp(seed: u64) -> Classifier {
    let shape = Shape { image: [2, 1, 1], classes: 2 };
    let none = Normalisation::parse("none", 2).unwrap();
    Classifier::new(zoo::arch("mlp").unwrap(), shape, none, seed, Device::Cpu)
}

fn resnet20() -> Classifier {
    filled(zoo::arch("resnet20").unwrap())
}

fn pixels(n: i64) -> Tensor {
    images(n, &Shape { image: [3, 8, 8], classes: 10 })
}

fn copies(model: &Classifier) -> BTreeMap<String, Tensor> {
    model.params().tensors().into_iter().map(|(name, t)| (name, t.copy())).collect()
}

fn most(t: &Tensor) -> f64 {
    t.abs().max().double_value(&[])
}

#[test]
fn unknown_names_list_the_nearest_first() {
    for (typed, nearest) in [("resnt20", "resnet20"), ("swint", "swin-t"), ("vgg19", "vgg16")] {
        let told = zoo::arch(typed).err().unwrap().to_string();
        let start = format!("unknown architecture `{typed}`; known, nearest first: ");
        let known: Vec<&str> = told.strip_prefix(&start).expect(&told).split(", ").collect();
        assert_eq!(known.len(), zoo::ARCHS.len(), "{told}");
        let at = known.iter().position(|name| *name == nearest).unwrap();
        assert_eq!(at, 0, "{told}");
    }
    let found = registry::find("architecture", zoo::ARCHS, "mlp").unwrap();
    assert_eq!(found.name(), "mlp");
}

#[test]
fn a_network_is_filled_whole_or_not_at_all() {
    let model = mlp(1);
    let before = copies(&model);
    let mut given = copies(&mlp(2));
    given.remove("linear.bias");
    given.remove("hidden1.weight");
    given.insert("hidden2.weight".into(), Tensor::zeros([10, 11], (Kind::Float, Device::Cpu)));
    given.insert("extra".into(), Tensor::zeros([1], (Kind::Float, Device::Cpu)));
    let told = model.params().fill(&given).unwrap_err().to_string();
    for part in [
        "4 keys do not fit",
        "missing `linear.bias`",
        "missing `hidden1.weight`",
        "`hidden2.weight` is [10, 11], not [10, 10]",
        "unexpected `extra`",
    ] {
        assert!(told.contains(part), "{told}");
    }
    for (name, now) in model.params().tensors() {
        assert!(now.equal(&before[&name]), "`{name}` was changed");
    }
    let other = copies(&mlp(2));
    model.params().fill(&other).unwrap();
    assert!(model.params().tensors().iter().all(|(name, now)| now.equal(&other[name])));
}

#[test]
fn the_same_seed_starts_the_same_network() {
    let (a, b, other) = (copies(&mlp(4)), copies(&mlp(4)), copies(&mlp(5)));
    for (name, t) in &a {
        assert!(t.equal(&b[name]), "`{name}`");
        assert!(!t.equal(&other[name]), "`{name}` ignores the seed");
    }
    assert!(!a["hidden1.bias"].equal(&a["hidden2.bias"]), "two tensors from one stream");
}

#[test]
fn a_checkpoint_comes_back_as_it_was_saved() {
    let folder = tempfile::tempdir().unwrap();
    let mut model = resnet20();
    model.classes = (0..10).map(|i| format!("class {i}")).collect();
    model.normalisation = Normalisation::parse("0.5,0.4,0.3/0.25", 3).unwrap();
    let about = BTreeMap::from([("dataset".to_owned(), "cifar10".to_owned())]);
    for (kind, tolerance) in [(Kind::Float, 0.), (Kind::Half, 1e-3)] {
        let path = folder.path().join(format!("{kind:?}.safetensors"));
        checkpoint::save(&path, &model, kind, &about).unwrap();
        let stored = TensorFile::read(&path).unwrap();
        assert!(stored.tensors.values().all(|t| t.kind() == kind));
        let loaded = checkpoint::load(&path, &Hints::default()).unwrap();
        let back = loaded.classifier;
        assert_eq!((back.source.name(), back.shape), ("resnet20", model.shape));
        assert_eq!(back.classes, model.classes);
        assert_eq!(back.normalisation, model.normalisation);
        assert_eq!(loaded.metadata["dataset"], "cifar10");
        assert!(loaded.notes.is_empty(), "{:?}", loaded.notes);
        for (name, t) in back.params().tensors() {
            let was = &model.params().tensors()[&name];
            assert_eq!(t.kind(), Kind::Float);
            assert!(most(&(&t - was)) <= tolerance * most(was), "{kind:?}: `{name}`");
        }
    }
}

#[test]
fn headers_are_believed_only_where_they_fit() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("mlp.safetensors");
    let about = BTreeMap::new();
    checkpoint::save(&path, &mlp(1), Kind::Float, &about).unwrap();
    let arch = |name: &str| Hints { arch: Some(name.into()), ..Hints::default() };
    let told = |path: &Path, hints: &Hints| {
        format!("{:#}", checkpoint::load(path, hints).err().expect("it is refused"))
    };
    let other = told(&path, &arch("cnn"));
    assert!(other.contains("as `cnn`") || other.contains("`cnn` takes"), "{other}");
    assert!(told(&path, &arch("mpl")).contains("unknown architecture `mpl`"));
    let with = |change: &dyn Fn(&mut BTreeMap<String, String>)| {
        let mut file = TensorFile::read(&path).unwrap();
        change(&mut file.metadata);
        let changed = folder.path().join("changed.safetensors");
        file.write(&changed).unwrap();
        changed
    };
    let none = Hints::default();
    let foreign = with(&|header| header.clear());
    assert!(told(&foreign, &none).contains("its tensors fit `mlp`: add `--arch mlp`"));
    let loaded = checkpoint::load(&foreign, &arch("mlp")).unwrap();
    assert_eq!(loaded.classifier.classes, ["0", "1"], "classes without names have numbers");
    assert!(loaded.notes[0].contains("assuming `none`"), "{:?}", loaded.notes);
    for (key, value, expected) in [
        ("classes", "a,b,c", "3 class names, 2 logits"),
        ("image", "2x1", "header `image` is `2x1`, not CxHxW"),
        ("image", "2x-1x1", "sides"),
        ("image", "0x1x1", "channels"),
        ("normalise", "0/0", "a deviation is not positive"),
        ("normalise", "0,0,0/1", "3 numbers for 2 channels"),
        ("arch", "mlp2", "unknown architecture `mlp2`"),
    ] {
        let bad = with(&|header| drop(header.insert(key.into(), value.into())));
        let message = told(&bad, &none);
        assert!(message.contains(expected), "{key} = {value}: {message}");
    }
    let bytes = fs::read(&path).unwrap();
    for length in [0, 7, 8, 100, bytes.len() - 1] {
        fs::write(&foreign, &bytes[..length]).unwrap();
        assert!(told(&foreign, &none).contains("changed.safetensors"), "{length} bytes");
    }
}

#[test]
fn class_names_come_back_whatever_they_are() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.safetensors");
    let mut model = mlp(1);
    for names in [["tench, Tinca tinca", "c"], ["[\"a\"", "b"], ["a", " b"], ["0", "1"]] {
        model.classes = names.map(str::to_owned).to_vec();
        checkpoint::save(&path, &model, Kind::Float, &BTreeMap::new()).unwrap();
        let again = checkpoint::load(&path, &Hints::default()).unwrap();
        assert_eq!(again.classifier.classes, names);
    }
    model.classes = vec!["a".into()];
    let path = folder.path().join("y.safetensors");
    let error = checkpoint::save(&path, &model, Kind::Float, &BTreeMap::new()).unwrap_err();
    assert!(error.to_string().contains("1 class names, 2 logits"), "{error}");
    assert!(!path.exists());
}

#[test]
fn softplus_tends_to_relu() {
    let x = noise::normal(&[1], &[500], Device::Cpu).to_kind(Kind::Double);
    let relu = Activation::Relu.apply(&x);
    let mut before = f64::INFINITY;
    for beta in [0.5, 2., 20., 200.] {
        let far = Activation::Softplus { beta }.apply(&x) - &relu;
        assert!(far.min().double_value(&[]) >= -1e-8, "β = {beta}: below ReLU");
        let most = far.max().double_value(&[]);
        assert!(most <= 2f64.ln() / beta && most < before, "β = {beta}: {most}");
        let expected = ((&x * beta).exp().log1p()) / beta;
        let off = (Activation::Softplus { beta }.apply(&x) - expected).abs().max();
        assert!(off.double_value(&[]) < 1e-8 || beta > 20., "β = {beta}: {off}");
        before = most;
    }
    assert_eq!(Activation::Relu.softened(3.), Activation::Softplus { beta: 3. });
    assert_eq!(Activation::Gelu.softened(3.), Activation::Gelu);
}

#[test]
fn memory_layout_does_not_change_a_pass() {
    let x = pixels(4);
    let (plain, placed) = (resnet20(), resnet20().to_device(Device::Cpu, true));
    let eval = |model: &Classifier| tch::no_grad(|| model.logits(&x));
    assert!(distance(&eval(&placed), &eval(&plain)) < 1e-5);
    let train = |model: &Classifier, precision| {
        let ops = Training { precision };
        tch::no_grad(|| model.forward(&x, &ops))
    };
    let exact = train(&plain, Precision::F32);
    assert!(distance(&train(&placed, Precision::F32), &exact) < 1e-5);
    for (name, t) in placed.params().tensors() {
        assert!(distance(&t, &plain.params().tensors()[&name]) < 1e-5, "`{name}` moved otherwise");
    }
    let coarse = train(&placed, Precision::Bf16);
    assert!(distance(&coarse, &exact) < 0.1, "training in bf16: {}", distance(&coarse, &exact));
}

#[test]
fn a_folded_copy_stays_while_a_frozen_view_follows() {
    let model = resnet20();
    let x = pixels(2);
    let logits = |m: &Classifier| tch::no_grad(|| m.logits(&x));
    let (folded, frozen) = (model.folded(Precision::F32), model.frozen());
    let before = logits(&model);
    let moved = copies(&model).into_iter().map(|(name, t)| (name, t * 1.01)).collect();
    model.params().fill(&moved).unwrap();
    assert!(distance(&logits(&folded), &before) < 1e-4, "the copy moved");
    assert!(distance(&logits(&frozen), &logits(&model)) < 1e-6, "the view did not");
    assert!(distance(&logits(&model), &before) > 1e-2);
    for m in [&folded, &frozen] {
        assert!(!m.logits(&x).requires_grad(), "a gradient could reach the weights");
    }
    assert!(model.logits(&x).requires_grad());
}

#[test]
fn scores_are_what_they_are_called() {
    let model = mlp(3);
    let x = noise::normal(&[2], &[5, 2, 1, 1], Device::Cpu).squeeze_dim(0);
    let logits = tch::no_grad(|| model.logits(&x));
    let class = Tensor::from_slice(&[0i64, 1, 1, 0, 1]);
    let rows = Vec::<f64>::try_from(logits.to_kind(Kind::Double).view(-1)).unwrap();
    for score in [Score::Logit, Score::Prob, Score::Logprob] {
        let target = Target { class: class.shallow_clone(), score };
        let found = Vec::<f64>::try_from(target.of(&logits).to_kind(Kind::Double)).unwrap();
        for (i, found) in found.into_iter().enumerate() {
            let c = class.int64_value(&[i as i64]) as usize;
            let sum: f64 = rows[2 * i..2 * i + 2].iter().map(|z| z.exp()).sum();
            let z = rows[2 * i + c];
            let expected = match score {
                Score::Logit => z,
                Score::Prob => z.exp() / sum,
                Score::Logprob => z - sum.ln(),
            };
            assert!((found - expected).abs() < 1e-6, "{score:?} of image {i}");
        }
        assert!(
            target
                .narrow(1, 3)
                .of(&logits.narrow(0, 1, 3))
                .equal(&target.of(&logits).narrow(0, 1, 3))
        );
    }
    let predicted = Target::predicted(&model, &x, Score::Logit);
    assert!(predicted.class.equal(&logits.argmax(1, false)));
}

#[test]
fn gradients_leave_no_trace() {
    let x = noise::normal(&[3], &[2, 2, 1, 1], Device::Cpu).squeeze_dim(0);
    let g = grad(&x, |x| x.pow_tensor_scalar(3));
    assert!(most(&(&g - x.square() * 3.)) < 1e-5 && !g.requires_grad() && !x.requires_grad());
    let nothing = grad(&x, |x| x.ones_like());
    assert_eq!(most(&nothing), 0., "no dependence, no gradient");
    let leaf = x.detach().set_requires_grad(true);
    let other = x.detach().set_requires_grad(true);
    assert_eq!(most(&pull(&other.sum(Kind::Float), &leaf, Graph::Free)), 0., "of another leaf");
    let first = pull(&leaf.pow_tensor_scalar(3).sum(Kind::Float), &leaf, Graph::Keep);
    let second = pull(&first.sum(Kind::Float), &leaf, Graph::Free);
    assert!(most(&(second - &x * 6.)) < 1e-5, "a gradient of a gradient");
    assert!(!leaf.grad().defined(), "nothing is accumulated");
    let model = mlp(1);
    let _ = tch::no_grad(|| grad(&x, |x| model.forward(x, &Plain)));
    assert!(model.params().weights().iter().all(|(_, w)| !w.grad().defined()));
    let swapped = grad(&x, |x| swap_gradient(&x.sign(), &(x * 7.)));
    assert!(most(&(swapped - 7.)) < 1e-6);
    assert!(most(&(swap_gradient(&x.sign(), &(&x * 7.)) - x.sign())) < 1e-6);
}

/// The mean 0.1307 has other digits in f32, and a tie of a max-pool then another winner.
#[test]
fn a_network_in_f64_normalises_in_f64() {
    struct Mean;
    impl models::Ops for Mean {
        fn normalise(&self, x: &Tensor, mean: &Tensor, _std: &Tensor) -> Tensor {
            assert_eq!((mean.kind(), mean.double_value(&[0, 0, 0, 0])), (Kind::Double, 0.1307));
            x - mean
        }
    }
    let mut model = mlp(1);
    model.normalisation = Normalisation::parse("0.1307/0.3081", 2).unwrap();
    let model = model.in_f64();
    let x = Tensor::ones([1, 2, 1, 1], (Kind::Double, Device::Cpu));
    let forward = |model: &Classifier| drop(model.forward(&x, &Mean));
    [&model, &model.frozen()].into_iter().for_each(forward);
}
