//! Parts of a set: what is held out, which place an image has, what is known of its classes.

use data::{Dataset, Holdout, Options, Split, load, same_place};
use std::path::Path;
use tch::{Device, Kind, Tensor};
use tempfile::tempdir;
use tensorfile::TensorFile;

const COUNTS: [i64; 4] = [40, 10, 2, 1];

/// A tensor file of one image a pixel value, with so many images of each class.
fn file(path: &Path) -> String {
    let labels: Vec<i64> =
        COUNTS.iter().enumerate().flat_map(|(c, &n)| (0..n).map(move |_| c as i64)).collect();
    let n = labels.len() as i64;
    let images = Tensor::arange(n, (Kind::Int64, Device::Cpu)).to_kind(Kind::Uint8);
    let tensors = [("images", images.view([n, 1, 1, 1])), ("labels", Tensor::from_slice(&labels))];
    let tensors = tensors.map(|(name, t)| (name.to_owned(), t)).into();
    TensorFile { tensors, metadata: Default::default() }.write(path).unwrap();
    path.display().to_string()
}

fn held(spec: &str, split: Split, fraction: f64, seed: u64) -> Dataset {
    let holdout = Some(Holdout { fraction, seed });
    load(spec, &Options { holdout, ..split.into() }).unwrap()
}

fn numbers(tensor: &Tensor) -> Vec<i64> {
    Vec::try_from(&tensor.flatten(0, -1).to_kind(Kind::Int64)).unwrap()
}

#[test]
fn a_holdout_is_stratified_and_seeded() {
    let dir = tempdir().unwrap();
    let spec = file(&dir.path().join("set.safetensors"));
    let [train, test] = [Split::Train, Split::Test].map(|split| held(&spec, split, 0.2, 0));
    assert!(!train.whole && !test.whole);
    let count = |set: &Dataset| numbers(&set.labels.bincount(None::<&Tensor>, 4));
    // A fifth of each class, at least one, never all.
    assert_eq!((count(&test), count(&train)), (vec![8, 2, 1, 0], vec![32, 8, 1, 1]));
    let mut both = [numbers(train.images.held()), numbers(test.images.held())].concat();
    both.sort();
    assert_eq!(both, (0..53).collect::<Vec<_>>());
    // Pixels are places in the whole set.
    assert_eq!(numbers(&test.places), numbers(test.images.held()));
    let again = held(&spec, Split::Test, 0.2, 0);
    assert_eq!(again.images.held(), test.images.held());
    assert_ne!(held(&spec, Split::Test, 0.2, 1).images.held(), test.images.held());
}

#[test]
fn a_set_with_a_test_part_holds_nothing_out() {
    let holdout = |fraction| Some(Holdout { fraction, seed: 0 });
    let told = |spec: &str, fraction| {
        let options = Options { holdout: holdout(fraction), ..Split::Train.into() };
        format!("{:#}", load(spec, &options).unwrap_err())
    };
    assert!(told("shapes:train=5,test=5", 0.2).contains("has a part for testing of its own"));
    let dir = tempdir().unwrap();
    let spec = file(&dir.path().join("set.safetensors"));
    for fraction in [0., 1., -0.5, f64::NAN] {
        assert!(told(&spec, fraction).contains("is no fraction between 0 and 1"));
    }
}

#[test]
fn an_image_keeps_its_place() {
    let dir = tempdir().unwrap();
    let spec = file(&dir.path().join("set.safetensors"));
    let set = load(&spec, &Split::Test.into()).unwrap();
    assert!(set.whole && !set.named);
    assert_eq!(numbers(&set.places), (0..53).collect::<Vec<_>>());
    let part = set.filter_class("1").unwrap().slice(3, Some(4)).unwrap();
    assert_eq!(numbers(&part.places), [43, 44, 45, 46]);
    assert_eq!(numbers(&part.places), numbers(part.images.held()));
}

#[test]
fn names_are_kept_or_known_to_be_none() {
    let dir = tempdir().unwrap();
    let path = dir.path().join("set.safetensors");
    let spec = file(&path);
    let written = dir.path().join("again.safetensors");
    let again = |set: &Dataset| {
        set.save_tensors(&written).unwrap();
        load(&written.display().to_string(), &Split::Test.into()).unwrap()
    };
    // The last class has no image here.
    let few = load(&spec, &Split::Test.into()).unwrap().slice(0, Some(5)).unwrap();
    let set = again(&few);
    assert_eq!((set.named, set.classes), (false, few.classes.clone()));
    let names = ["cat, big", "dog", "[ape]", "0"].map(str::to_owned).to_vec();
    let set = again(&Dataset { classes: names.clone(), named: true, ..few });
    assert_eq!((set.named, set.classes), (true, names));
}

#[test]
fn other_types_are_read_without_loss() {
    let dir = tempdir().unwrap();
    let path = dir.path().join("set.safetensors");
    let cpu = |kind| (kind, Device::Cpu);
    let halves = Tensor::full([3, 1, 2, 2], 0.5, cpu(Kind::Double));
    for images in [halves.copy(), halves.to_kind(Kind::Half), halves.to_kind(Kind::BFloat16)] {
        for kind in [Kind::Int, Kind::Int16, Kind::Int8, Kind::Uint8, Kind::Bool, Kind::Int64] {
            let labels = Tensor::from_slice(&[0i64, 1, 1]).to_kind(kind);
            let tensors = [("images".to_owned(), images.copy()), ("labels".to_owned(), labels)];
            let file = TensorFile { tensors: tensors.into(), metadata: Default::default() };
            file.write(&path).unwrap();
            let set = load(&path.display().to_string(), &Split::Test.into()).unwrap();
            assert_eq!(*set.images.held(), halves.to_kind(Kind::Float));
            assert_eq!(numbers(&set.labels), [0, 1, 1]);
        }
    }
    let ones = Tensor::ones([3, 1, 2, 2], cpu(Kind::Uint8));
    let labels = Tensor::from_slice(&[0i64, 1, 1]);
    let tensors = [("images".to_owned(), ones), ("labels".to_owned(), labels)];
    TensorFile { tensors: tensors.into(), metadata: Default::default() }.write(&path).unwrap();
    let set = load(&path.display().to_string(), &Split::Test.into()).unwrap();
    assert!(set.notes[0].contains("no pixel is more than 1 of 255"), "{:?}", set.notes);
}

#[test]
fn one_place_has_many_spellings() {
    let dir = tempdir().unwrap();
    let spec = file(&dir.path().join("set.safetensors"));
    let roundabout = format!("tensors:{}/../{}", dir.path().display(), {
        let name = dir.path().file_name().unwrap().to_string_lossy().into_owned();
        format!("{name}/set.safetensors,images=adversarial")
    });
    assert!(same_place(&spec, &roundabout));
    assert!(!same_place(&spec, &file(&dir.path().join("other.safetensors"))));
    assert!(same_place("shapes:seed=1", "shapes:seed=1"));
    assert!(!same_place("shapes:seed=1", "shapes:seed=2"));
}
