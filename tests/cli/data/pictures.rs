//! Pictures as people have them: one file, a flat folder, a pattern, folders called by WordNet's ids, of any size;
//! and where published sets are looked for.

use crate::place::{Place, SHAPES, says};
use std::{fs, path::Path};
use tensorfile::TensorFile;

fn picture(place: &Place, name: &str, width: u32, height: u32) {
    let path = place.at(name);
    fs::create_dir_all(path.parent().expect("inside the place")).expect("a folder");
    let pixel = |x: u32, y: u32| image::Rgb([x as u8, y as u8, (x * y) as u8]);
    image::RgbImage::from_fn(width, height, pixel).save(path).expect("a picture");
}

/// A network for ImageNet that names no class.
fn network(place: &Place) {
    let arch = models::zoo::arch("resnet18-imagenet").expect("it is there");
    let model = testkit::rule::filled(arch);
    let (tensors, arch) = (model.params().tensors(), "resnet18-imagenet".to_owned());
    let metadata = [("arch".to_owned(), arch)].into();
    TensorFile { tensors, metadata }.write(&place.at("net.safetensors")).expect("written");
}

#[test]
fn pictures_without_labels_are_explained_and_not_evaluated() {
    let place = Place::with_model("pictures-flat");
    for (name, side) in [("photos/b.png", 32), ("photos/a.png", 32), ("photos/c.jpg", 32)] {
        picture(&place, name, side, side);
    }
    let subject = "--weights model.safetensors --method saliency --out maps.safetensors --data";
    for (data, count) in [("photos", 3), ("photos/a.png", 1), ("photos/*.png", 2)] {
        let said = place.ok(&format!("explain {subject} {data}")).stderr;
        says(&said, &["the pictures have no labels: the predicted class stands for them"]);
        let maps = place.tensors("maps.safetensors");
        assert_eq!(maps.tensors["labels"].size(), [count], "{data}");
        assert!(maps.tensors["labels"].equal(&maps.tensors["predictions"]), "{data}");
    }
    let none = "`photos/*.png` has no labels, which this command needs";
    says(&place.refused("eval --weights model.safetensors --data photos/*.png"), &[none]);
    let measured = "measure complexity --method gxi --weights model.safetensors --data photos";
    says(&place.refused(measured), &["`photos` has no labels"]);
    let asked = format!("explain {subject} photos --target label --out new.safetensors");
    let asked = asked.replace(" --out maps.safetensors", "");
    says(&place.refused(&asked), &["`--target label`: the pictures have no labels"]);
    let class =
        "explain --weights model.safetensors --method gxi --out n.safetensors --data photos";
    says(&place.refused(&format!("{class} --class 1")), &["has no classes for `--class`"]);
    says(&place.refused("data make photos --out set.safetensors"), &["has no labels to write"]);
    says(&place.refused("data info photos/*.tif"), &["names no picture"]);
}

#[test]
fn imagenets_folders_have_names_and_any_size() {
    let place = Place::new("pictures-imagenet");
    network(&place);
    picture(&place, "val/n02099601/x.jpg", 300, 260);
    picture(&place, "val/n01440764/y.png", 231, 400);
    let plain = "eval --weights net.safetensors --data val";
    let said = place.refused(&format!("{plain} --classes imagenet"));
    says(&said, &["400", "231", "`--preprocess torchvision`"]);
    let line = format!("{plain} --preprocess torchvision");
    says(&place.refused(&line), &["2 classes", "1000 without names", "--classes"]);
    let said = place.ok(&format!("{line} --classes imagenet")).stderr;
    says(&said, &["golden retriever is 207", "tench is 0"]);
    let flat = "explain --weights net.safetensors --data val/n01440764 --preprocess torchvision \
                --method saliency --out maps.safetensors";
    says(&place.ok(flat).stderr, &["1000 logits without names", "`--classes imagenet`"]);
    place.ok(&format!("{flat} --classes imagenet"));
    assert!(place.tensors("maps.safetensors").metadata["classes"].starts_with("tench,goldfish,"));
    let both = place.misused(&format!("{line} --size 224"));
    says(&both, &["--preprocess", "--size"]);
}

#[test]
fn published_sets_are_found_in_the_users_folder() {
    let (place, root) = (Place::new("pictures-home"), Path::new(env!("CARGO_MANIFEST_DIR")));
    let file = fs::read(root.join("fuzz/corpus/cifar-binary/two.bin"));
    place.write("sets/cifar-10-batches-bin/test_batch.bin", file.expect("it is committed"));
    let run = |line: &str| {
        let mut command = place.command(line);
        command.env("GRADPROOF_DATA_DIR", place.at("sets")).output().expect("it starts")
    };
    let fetched = run("data fetch cifar10");
    let told = String::from_utf8_lossy(&fetched.stdout).into_owned();
    says(&told, &["ready: use it as", "sets/cifar-10-batches-bin"]);
    let weights = root.join("weights/resnet20-cifar10-natural.safetensors");
    let line = "--data cifar10:data/cifar-10-batches-bin";
    let line = &format!("eval --weights {} {line}", weights.display());
    assert!(run(line).status.success());
    assert!(run(&line.replace("cifar10:", "")).status.success());
    place.write("data/cifar-10-batches-bin/test_batch.bin", "too short");
    assert!(!run(line).status.success(), "what is here is before what is there");
}

#[test]
fn much_is_said_of_each_batch_on_demand() {
    let place = Place::with_model("pictures-trace");
    let line = format!("eval --weights model.safetensors --data {SHAPES} --limit 3 --batch-size 2");
    let [none, some, all] = ["", " -v", " -vv"].map(|v| place.ok(&format!("{line}{v}")).stderr);
    assert!(!none.contains("images 0 to") && !some.contains("images 0 to"));
    assert!(!none.contains("batches of") && some.contains("batches of"));
    says(&all, &["batches of", "images 0 to", " s\n"]);
}
