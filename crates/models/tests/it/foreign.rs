//! Weights as other people save them: the network under a prefix, beside other things, with its
//! normalisation stored beside it, averaged, with other names. Each gives the logits of the plain
//! file, or is refused by name. What a pickle holds has the same names (tensorfile's tests).

use models::{
    Classifier, Model, Source,
    checkpoint::{self, Hints, Loaded},
    zoo::{self, Normalisation, Shape},
};
use std::{collections::BTreeMap, path::PathBuf};
use tch::{Device, Kind, Tensor};
use tensorfile::TensorFile;
use testkit::rule::{self, filled, images};

type Tensors = BTreeMap<String, Tensor>;

fn hints(arch: &str) -> Hints {
    Hints { arch: Some(arch.into()), ..Hints::default() }
}

/// Saves tensors without a header and loads them.
fn load(tensors: &Tensors, hints: &Hints) -> anyhow::Result<Loaded> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("foreign.safetensors");
    let tensors = tensors.iter().map(|(name, t)| (name.clone(), t.shallow_clone())).collect();
    TensorFile { tensors, ..TensorFile::default() }.write(&path).unwrap();
    checkpoint::load(&path, hints)
}

fn refused(tensors: &Tensors, hints: &Hints, parts: &[&str]) {
    let told = format!("{:#}", load(tensors, hints).err().expect("it is refused"));
    for part in parts {
        assert!(told.contains(part), "`{part}` is not in: {told}");
    }
    assert!(!told.contains('\n') && told.len() < 2500, "{told}");
}

fn under(prefix: &str, tensors: &Tensors) -> Tensors {
    tensors.iter().map(|(name, t)| (format!("{prefix}{name}"), t.shallow_clone())).collect()
}

fn renamed(tensors: &Tensors, rules: &[(&str, &str)]) -> Tensors {
    let name = |name: &String| {
        let name = rules.iter().fold(format!(".{name}."), |name, (ours, theirs)| {
            name.replace(&format!(".{ours}."), &format!(".{theirs}."))
        });
        name[1..name.len() - 1].to_owned()
    };
    tensors.iter().map(|(n, t)| (name(n), t.shallow_clone())).collect()
}

fn with(tensors: &Tensors, more: &[(&str, Tensor)]) -> Tensors {
    let mut all = under("", tensors);
    all.extend(more.iter().map(|(name, t)| ((*name).to_owned(), t.shallow_clone())));
    all
}

fn resnet20() -> (Classifier, Tensors) {
    let model = filled(zoo::arch("resnet20").unwrap());
    let tensors = model.params().tensors();
    (model, tensors)
}

fn assert_same(loaded: Loaded, expected: &Classifier, told: &str) {
    let notes = loaded.notes.join("; ");
    assert!(notes.contains(told), "`{told}` is not in: {notes}");
    let x = images(2, &expected.shape);
    let logits = tch::no_grad(|| loaded.classifier.logits(&x));
    assert!(logits.equal(&tch::no_grad(|| expected.logits(&x))), "other logits: {notes}");
}

#[test]
fn one_prefix_is_taken_and_the_rest_is_said() {
    let (model, plain) = resnet20();
    let one = || Tensor::ones([3], (Kind::Float, Device::Cpu));
    for prefix in
        ["module.", "_orig_mod.", "model.", "net.", "backbone.", "encoder.", "a.b.module."]
    {
        let told = format!("under `{}` are taken", prefix.trim_end_matches('.'));
        assert_same(load(&under(prefix, &plain), &hints("resnet20")).unwrap(), &model, &told);
    }
    let lightning = with(
        &under("state_dict.net.", &plain),
        &[("state_dict.criterion.weight", one()), ("optimizer_states[0].state.0.exp_avg", one())],
    );
    let told = "left out: `optimizer_states[0].state.0.exp_avg`, `state_dict.criterion.weight`";
    assert_same(load(&lightning, &hints("resnet20")).unwrap(), &model, told);
    let averaged = with(&under("module.", &plain), &[("n_averaged", Tensor::from(7i64))]);
    assert_same(load(&averaged, &hints("resnet20")).unwrap(), &model, "left out: `n_averaged`");
    let bare = with(&plain, &[("criterion.weight", one()), ("val_acc.correct", one())]);
    let told = "left out: `criterion.weight`, `val_acc.correct`";
    assert_same(load(&bare, &hints("resnet20")).unwrap(), &model, told);
    let counted = with(&plain, &[("bn1.num_batches_tracked", Tensor::from(7i64))]);
    assert_same(load(&counted, &hints("resnet20")).unwrap(), &model, "");
    let compiled =
        renamed(&plain, &[("layer1", "layer1._orig_mod"), ("layer2", "layer2._orig_mod")]);
    assert_same(load(&compiled, &hints("resnet20")).unwrap(), &model, "without `_orig_mod`");
}

#[test]
fn nothing_of_a_network_is_left_out() {
    let (_, plain) = resnet20();
    let deeper = filled(zoo::arch("resnet32").unwrap()).params().tensors();
    for prefix in ["", "module.", "state_dict.net."] {
        let parts = ["unexpected `layer1.3.", "its tensors fit `resnet32`: add `--arch resnet32`"];
        refused(&under(prefix, &deeper), &hints("resnet20"), &parts);
        let projector = with(
            &under(prefix, &plain),
            &[(
                &format!("{prefix}projector.weight"),
                Tensor::ones([2, 3], (Kind::Float, Device::Cpu)),
            )],
        );
        refused(&projector, &hints("resnet20"), &["unexpected `projector.weight`"]);
    }
    let head = Tensor::ones([2, 10], (Kind::Float, Device::Cpu));
    let sequence = with(&under("0.", &plain), &[("1.weight", head)]);
    refused(&sequence, &hints("resnet20"), &["`1.weight` stands in one sequence with the network"]);
    refused(
        &plain,
        &hints("resnet32"),
        &["missing `layer1.3.conv1.weight`", "more like these", "`--arch resnet20`"],
    );
    refused(&plain, &Hints::default(), &["its tensors fit `resnet20`: add `--arch resnet20`"]);
}

#[test]
fn a_stored_normalisation_is_found_and_wins() {
    let (mut model, plain) = resnet20();
    let buffer = |values: [f32; 3]| Tensor::from_slice(&values).view([1, 3, 1, 1]);
    let (mean, std) = (buffer([0.5, 0.25, 0.125]), buffer([0.2, 0.3, 0.4]));
    let spelled = "0.5,0.25,0.125/0.2,0.3,0.4";
    model.normalisation = Normalisation::parse(spelled, 3).unwrap();
    let path = tempfile::tempdir().unwrap().keep().join("own.safetensors");
    model.classes = (0..10).map(|i| format!("class {i}")).collect();
    checkpoint::save(&path, &model, Kind::Float, &BTreeMap::new()).unwrap();
    let expected = checkpoint::load(&path, &Hints::default()).unwrap();
    assert!(expected.notes.is_empty(), "{:?}", expected.notes);
    let expected = expected.classifier;
    for (prefix, m, s) in [
        ("", "mu", "sigma"),
        ("model.", "mu", "sigma"),
        ("model.", "mean", "std"),
        ("state_dict.model.", "state_dict.normalize.mean", "state_dict.normalize.std"),
        ("module.model.", "module.normalizer.new_mean", "module.normalizer.new_std"),
        ("1.", "0.mean", "0.std"),
        ("state_dict.model.1.", "state_dict.model.0.mean", "state_dict.model.0.std"),
    ] {
        let file =
            with(&under(prefix, &plain), &[(m, mean.shallow_clone()), (s, std.shallow_clone())]);
        let told = format!("the file has its normalisation: `{spelled}` (`{m}`, `{s}`)");
        let loaded = load(&file, &hints("resnet20")).unwrap();
        assert!(!loaded.notes.join(" ").contains("left out"), "{:?}", loaded.notes);
        assert_same(loaded, &expected, &told);
        let normalise = |text: &str| Hints { normalise: Some(text.into()), ..hints("resnet20") };
        let told = "own normalisation is kept";
        assert_same(load(&file, &normalise("cifar10")).unwrap(), &expected, told);
        let forced = load(&file, &normalise("force:cifar10")).unwrap();
        assert!(forced.notes.join(" ").contains("`--normalise` overrules the file's own"));
        assert!((forced.classifier.normalisation.mean[0] - 0.4914).abs() < 1e-9);
    }
    let kept = |text: &str| Hints { normalise: Some(text.into()), ..Hints::default() };
    assert_same(checkpoint::load(&path, &kept("imagenet")).unwrap(), &expected, "is kept");
    let agreed = checkpoint::load(&path, &kept(spelled)).unwrap();
    assert!(agreed.notes.is_empty(), "{:?}", agreed.notes);
    let bytes = [("mean", mean * 255.), ("std", std * 255.)];
    assert_same(
        load(&with(&under("net.", &plain), &bytes), &hints("resnet20")).unwrap(),
        &expected,
        "divided by 255",
    );
    refused(&with(&plain, &bytes[..1]), &hints("resnet20"), &["unexpected `mean`"]);
}

#[test]
fn averaged_weights_are_said_and_chosen() {
    let (model, plain) = resnet20();
    let other: Tensors = plain.iter().map(|(name, t)| (name.clone(), t * 1.5)).collect();
    let Source::Zoo(arch) = model.source else { panic!("it is of the registry") };
    let average = Classifier::new(arch, model.shape, model.normalisation.clone(), 0, Device::Cpu);
    average.params().fill(&other).unwrap();
    for (raw, averaged, entry) in [
        ("state_dict.", "state_dict_ema.", "state_dict_ema"),
        ("model.", "model_ema.module.", "model_ema"),
        ("model.", "ema.", "ema"),
        ("state_dict.model.", "state_dict.ema_model.", "state_dict.ema_model"),
        ("", "swa.", "swa"),
    ] {
        let both: Tensors = under(raw, &plain).into_iter().chain(under(averaged, &other)).collect();
        let told = format!("averaged weights too: `--entry {entry}` takes them");
        assert_same(load(&both, &hints("resnet20")).unwrap(), &model, &told);
        let chosen = Hints { entry: Some(entry.into()), ..hints("resnet20") };
        assert_same(load(&both, &chosen).unwrap(), &average, "are taken");
        let absent = Hints { entry: Some("nothing".into()), ..hints("resnet20") };
        refused(&both, &absent, &["`--entry nothing`: the file has no such weights"]);
    }
    let alone = load(&under("ema_state_dict.", &other), &hints("resnet20")).unwrap();
    assert_same(alone, &average, "which are averaged ones");
    let two: Tensors =
        under("student.", &plain).into_iter().chain(under("mentor.", &other)).collect();
    refused(
        &two,
        &hints("resnet20"),
        &["several sets of weights: `mentor`, `student`", "--entry NAME"],
    );
    let equal: Tensors =
        under("model.", &plain).into_iter().chain(under("attacker.model.", &plain)).collect();
    assert_same(load(&equal, &hints("resnet20")).unwrap(), &model, "under `model` are taken");
    let none = Hints { entry: Some("ema".into()), ..hints("resnet20") };
    refused(&plain, &none, &["one set of weights, without a name"]);
}

#[test]
fn published_names_are_read() {
    let wrn = filled(zoo::arch("wrn28-10").unwrap());
    let names = [
        ("layer1", "block1.layer"),
        ("layer2", "block2.layer"),
        ("layer3", "block3.layer"),
        ("shortcut", "convShortcut"),
        ("linear", "fc"),
    ];
    let file = renamed(&wrn.params().tensors(), &names);
    let unused = Tensor::ones([3], (Kind::Float, Device::Cpu));
    let file = with(&under("module.", &file), &[("module.sub_block1.layer.0.bn1.weight", unused)]);
    assert_same(load(&file, &hints("wrn28-10")).unwrap(), &wrn, "`block1.layer` as `layer1`");
    let torchvision = [("shortcut", "downsample"), ("linear", "fc")];
    let resnet18 = filled(zoo::arch("resnet18").unwrap());
    let file = renamed(&resnet18.params().tensors(), &torchvision);
    assert_same(load(&file, &hints("resnet18")).unwrap(), &resnet18, "`fc` as `linear`");
    let split: Tensors = file
        .iter()
        .map(|(name, t)| match name.starts_with("fc") {
            true => (format!("head.{name}"), t.shallow_clone()),
            false => (format!("backbone.{name}"), t.shallow_clone()),
        })
        .collect();
    assert_same(load(&split, &hints("resnet18")).unwrap(), &resnet18, "`head.fc` as `linear`");
}

#[test]
fn option_b_shortcuts_are_seen_in_the_tensors() {
    let (model, mut plain) = resnet20();
    let ones = |n: i64| Tensor::ones([n], (Kind::Float, Device::Cpu));
    // a 1x1 convolution that copies channels into the middle is option A
    for (block, c_in, c_out) in [("layer2.0", 16, 32), ("layer3.0", 32, 64)] {
        let copy = Tensor::eye(c_in, (Kind::Float, Device::Cpu)).constant_pad_nd([
            0,
            0,
            c_in / 2,
            c_in / 2,
        ]);
        plain.insert(format!("{block}.shortcut.0.weight"), copy.view([c_out, c_in, 1, 1]));
    }
    let close = |file: &Tensors| {
        let loaded = load(file, &hints("resnet20")).unwrap().classifier;
        let x = images(2, &model.shape);
        for model_b in [loaded.folded(models::Precision::F32), loaded.emptied_and_filled()] {
            let (a, b) = tch::no_grad(|| (model.logits(&x), model_b.logits(&x)));
            assert!(rule::distance(&b, &a) < 1e-4);
        }
    };
    close(&plain);
    for (block, n) in [("layer2.0", 32), ("layer3.0", 64)] {
        for (name, value) in [
            ("weight", ones(n)),
            ("bias", ones(n) * 0.),
            ("running_mean", ones(n) * 0.),
            ("running_var", ones(n) * (1. - 1e-5)),
        ] {
            plain.insert(format!("{block}.shortcut.1.{name}"), value);
        }
    }
    close(&renamed(&plain, &[("shortcut", "downsample"), ("linear", "fc")]));
}

trait Again {
    fn emptied_and_filled(&self) -> Classifier;
}

impl Again for Classifier {
    fn emptied_and_filled(&self) -> Classifier {
        let new = self.emptied();
        new.params().fill(&self.params().tensors()).unwrap();
        new
    }
}

#[test]
fn channels_and_sizes_come_from_the_tensors_and_the_data() {
    for (arch, image, side) in [
        ("resnet20", [1, 28, 28], None),
        ("resnet20", [1, 28, 28], Some(28)),
        ("resnet18-imagenet", [3, 64, 64], None),
        ("vgg16", [4, 64, 96], None),
        ("cnn", [1, 28, 28], None),
        ("cnn", [3, 32, 32], None),
        ("cnn", [2, 22, 21], None),
        ("mlp", [7, 1, 1], None),
        ("mlp", [1, 5, 5], Some(5)),
        ("swin-t", [3, 64, 64], None),
    ] {
        let arch_ = zoo::arch(arch).unwrap();
        let shape = Shape { image, classes: 5 };
        let none = Normalisation::parse("none", image[0]).unwrap();
        let model = Classifier::new(arch_, shape, none, 3, Device::Cpu);
        let hints = Hints { size: side, normalise: Some("none".into()), ..hints(arch) };
        let mut loaded = load(&model.params().tensors(), &hints).unwrap();
        loaded.suit(image);
        assert_eq!(loaded.classifier.shape, shape, "{arch} {image:?} {side:?}");
        assert_same(loaded, &model, "");
    }
    let (_, plain) = resnet20();
    let mut loaded = load(&plain, &hints("resnet20")).unwrap();
    loaded.suit([1, 64, 64]);
    assert_eq!(loaded.classifier.shape.image, [3, 32, 32], "other channels do not suit");
    loaded.suit([3, 64, 64]);
    assert!(loaded.notes.join(" ").contains("64x64, as the data have"), "{:?}", loaded.notes);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("own.safetensors");
    checkpoint::save(&path, &loaded.classifier, Kind::Float, &BTreeMap::new()).unwrap();
    let mut own = checkpoint::load(&path, &Hints::default()).unwrap();
    own.suit([3, 32, 32]);
    assert_eq!(own.classifier.shape.image, [3, 64, 64], "a header decides");
}

#[test]
fn numbers_that_cannot_be_weights_are_refused_by_name() {
    let (model, plain) = resnet20();
    let change = |name: &str, to: &dyn Fn(&Tensor) -> Tensor| {
        let mut changed = under("", &plain);
        changed.insert(name.into(), to(&plain[name]));
        changed
    };
    let one = |value: f64| {
        move |t: &Tensor| {
            let t = t.copy();
            let _ = t.view(-1).get(0).fill_(value);
            t
        }
    };
    for (name, to, told) in [
        ("conv1.weight", &one(f64::NAN) as &dyn Fn(&Tensor) -> Tensor, "NaN"),
        ("linear.bias", &one(f64::INFINITY), "infinite"),
        ("bn1.running_mean", &one(f64::NEG_INFINITY), "infinite"),
        ("linear.weight", &|t: &Tensor| t.to_kind(Kind::Half) * 1e6, "infinite"),
        ("linear.weight", &|t: &Tensor| t.to_kind(Kind::Double) * 1e300, "infinite"),
        ("layer1.0.bn1.running_var", &one(-0.1), "negative variances"),
        ("linear.weight", &|t: &Tensor| (t * 100.).to_kind(Kind::Int8), "holds Int8, not floats"),
        ("bn1.weight", &|t: &Tensor| t.to_kind(Kind::Int64), "holds Int64, not floats"),
    ] {
        refused(&change(name, to), &hints("resnet20"), &[&format!("`{name}`"), told]);
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("good.safetensors");
    let save = |model: &Classifier, kind| checkpoint::save(&path, model, kind, &BTreeMap::new());
    save(&model, Kind::Float).unwrap();
    let good = std::fs::read(&path).unwrap();
    let set = |name: &str, value: f64| {
        tch::no_grad(|| {
            let _ = model.params().tensors()[name].view(-1).get(0).fill_(value);
        });
    };
    for (name, value, kind, told) in [
        ("conv1.weight", 70000., Kind::Half, "`conv1.weight` has a value of 7.000000e4"),
        ("conv1.weight", f64::NAN, Kind::Float, "`conv1.weight` has NaN"),
        ("linear.bias", f64::INFINITY, Kind::Float, "`linear.bias` has infinite"),
        ("bn1.running_var", -1., Kind::Float, "`bn1.running_var` has negative variances"),
    ] {
        let before = model.params().tensors()[name].view(-1).get(0).double_value(&[]);
        set(name, value);
        let error = format!("{:#}", save(&model, kind).unwrap_err());
        assert!(error.contains(told) && error.contains("is not written"), "{error}");
        assert_eq!(std::fs::read(&path).unwrap(), good, "the good file is still there");
        set(name, before);
    }
}

#[test]
fn contents_say_what_a_file_is() {
    let folder = tempfile::tempdir().unwrap();
    let (_, plain) = resnet20();
    let path: PathBuf = folder.path().join("foreign.safetensors");
    let tensors = with(&under("net.", &plain), &[("criterion.weight", Tensor::from(1f32))]);
    TensorFile { tensors, ..TensorFile::default() }.write(&path).unwrap();
    let contents = checkpoint::contents(&path, &Hints::default()).unwrap();
    let notes = contents.notes.join("; ");
    for told in ["fit `resnet20`", "under `net` are taken", "left out: `criterion.weight`"] {
        assert!(notes.contains(told), "{notes}");
    }
    assert_eq!(contents.tensors.len(), plain.len() + 1);
}
