//! Classes and columns are matched by name wherever weights and data meet, or refused.

use crate::place::{Place, Run, mean, says};
use std::{collections::BTreeMap, fs};
use tch::{Kind, Tensor};
use tensorfile::TensorFile;

const SET: &str = "shapes:seed=0,train=64,test=60";

/// A place with weights and `set`, png files of test images in one folder a class.
fn place(name: &str) -> Place {
    let place = Place::with_model(name);
    place.ok(&format!("data make {SET} --folder set"));
    place
}

fn right(run: &Run) -> (u64, u64) {
    let found = run.json();
    let images = found["images"].as_u64().expect("a count");
    let accuracy = mean(&found, &[("quantity", "accuracy")]);
    ((accuracy * images as f64).round() as u64, images)
}

fn eval(place: &Place, rest: &str) -> Run {
    place.ok(&format!("eval --weights model.safetensors --json {rest}"))
}

/// The names of the model's classes.
fn names(place: &Place) -> Vec<String> {
    let header = place.tensors("model.safetensors").metadata;
    header["classes"].split(',').map(str::to_owned).collect()
}

/// The same weights with other strings in the header.
fn with_header(place: &Place, file: &str, change: impl Fn(&mut BTreeMap<String, String>)) {
    let mut weights = place.tensors("model.safetensors");
    change(&mut weights.metadata);
    weights.write(&place.at(file)).expect("a file");
}

#[test]
fn a_subset_of_the_classes_is_found_by_name() {
    let place = place("names-subset");
    let names = names(&place);
    let kept = [&names[9], &names[4], &names[6]];
    for name in names.iter().filter(|name| !kept.contains(name)) {
        fs::remove_dir_all(place.at("set").join(name)).expect("a folder");
    }
    let each: Vec<(u64, u64)> = kept
        .iter()
        .map(|name| right(&eval(&place, &format!("--data {SET} --class {name}"))))
        .collect();
    let wanted = each.iter().fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1));
    let run = eval(&place, "--data set");
    assert_eq!(right(&run), wanted);
    says(&run.stderr, &["by name", &format!("{} is 9", names[9])]);
    let balanced = each.iter().map(|(right, n)| *right as f64 / *n as f64).sum::<f64>() / 3.;
    let found = mean(&run.json(), &[("quantity", "balanced-accuracy")]);
    assert!((found - balanced).abs() < 1e-12, "over classes that occur: {found}, not {balanced}");
    // In another order in the header of a tensor file, and by another command.
    place
        .ok("explain --weights model.safetensors --data set --method saliency --out m.safetensors");
    let maps = place.tensors("m.safetensors");
    let mut labels = Vec::<i64>::try_from(&maps.tensors["labels"]).expect("numbers");
    labels.dedup();
    labels.sort_unstable();
    assert_eq!(labels, [4, 6, 9]);
    assert_eq!(right(&eval(&place, "--data tensors:m.safetensors")), wanted);
    // `--class` by the model's number and by the data's name.
    let by = |class: &str| right(&eval(&place, &format!("--data set --class {class}")));
    assert_eq!(by("9"), each[0]);
    assert_eq!(by(&names[4].to_uppercase()), each[1]);
    let absent = place.refused("eval --weights model.safetensors --data set --class 0");
    says(&absent, &["has no image of the class", &names[0]]);
}

#[test]
fn other_names_are_refused_or_mapped() {
    let place = place("names-map");
    let names = names(&place);
    let wanted = right(&eval(&place, "--data set"));
    let rename = |from: &str, to: &str| {
        fs::rename(place.at("set").join(from), place.at("set").join(to)).expect("a folder");
    };
    rename(&names[0], "zzz");
    rename(&names[1], &format!("my-{}", names[1]));
    let subject = "--weights model.safetensors --data set";
    for line in [
        format!("eval {subject}"),
        format!("explain {subject} --method gxi --out new/m.safetensors"),
        format!("attack {subject} --method gxi --attack topk --out new/a.safetensors"),
        format!("transfer {subject} --from gxi --attack topk --out new/t.json"),
        format!("measure complexity {subject} --method gxi --out new/m.json"),
    ] {
        let said = place.refused(&line);
        let hint = format!("--class-map my-{0}={0},zzz=NAME", names[1]);
        says(&said, &["`zzz`", "are no class of the model", &names[9], &hint]);
    }
    let map = format!("--data set --class-map zzz={},my-{1}={1}", names[0], names[1]);
    assert_eq!(right(&eval(&place, &map)), wanted);
    let one = right(&eval(&place, &format!("{map} --class zzz")));
    assert_eq!(right(&eval(&place, &format!("--data {SET} --class {}", names[0]))), one);
    // Several may be the same class.
    let same = format!("--data set --class-map zzz={0},my-{1}={0}", names[0], names[1]);
    assert_eq!(right(&eval(&place, &same)).1, wanted.1);
    let unknown = place.refused(&format!("eval {subject} --class-map plane=x"));
    says(&unknown, &["`--class-map plane=x`: `set` has no class `plane`", "arrow"]);
    says(&place.misused(&format!("eval {subject} --class-map plane")), &["car=automobile"]);
    rename("zzz", &names[0].to_uppercase());
    rename(&format!("my-{}", names[1]), &names[1]);
    let run = eval(&place, "--data set");
    assert_eq!(right(&run), wanted, "another case is no other name");
    says(&run.stderr, &[&names[0].to_uppercase()]);
}

#[test]
fn without_names_places_decide_and_that_is_said() {
    let place = place("names-none");
    let names = names(&place);
    let wanted = right(&eval(&place, &format!("--data {SET}")));
    with_header(&place, "silent.safetensors", |header| drop(header.remove("classes")));
    let silent = |rest: &str| place.go(&format!("eval --weights silent.safetensors --json {rest}"));
    let run = silent(&format!("--data {SET}"));
    assert_eq!(right(&run), wanted);
    says(
        &run.stderr,
        &["the weights do not name their classes: the label i is taken for the logit i"],
    );
    // Data without names.
    let mut set = TensorFile::default();
    place.ok(&format!("data make {SET} --out t.safetensors"));
    set.tensors.extend(place.tensors("t.safetensors").tensors);
    set.write(&place.at("t.safetensors")).expect("a file");
    let run = eval(&place, "--data t.safetensors");
    assert_eq!(right(&run), wanted);
    says(&run.stderr, &["`t` does not name its classes"]);
    says(
        &silent("--data t.safetensors").stderr,
        &["neither the weights nor `t` name their classes"],
    );
    // Ten logits without names are not three folders.
    for name in &names[3..] {
        fs::remove_dir_all(place.at("set").join(name)).expect("a folder");
    }
    let refused = place.refused("eval --weights silent.safetensors --data set");
    says(&refused, &["`set` has 3 classes", "the model 10 without names", "--classes FILE"]);
    place.write("names.txt", names.join("\n") + "\n");
    let three = right(&eval(&place, "--data set"));
    assert_eq!(right(&silent("--data set --classes names.txt")), three);
    let both = "eval --weights model.safetensors --data set --classes";
    place.ok(&format!("{both} names.txt"));
    place.write("other.txt", names.join("\n").replace(&names[0], "other"));
    says(&place.refused(&format!("{both} other.txt")), &["name their classes themselves"]);
    says(&place.refused(&format!("{both} a,b")), &["2 names for 10 logits"]);
    says(&place.refused(&format!("{both} no.txt")), &["no such file: `no.txt`"]);
}

#[test]
fn a_target_by_name() {
    let place = Place::with_model("names-target");
    let names = names(&place);
    let explain = |target: &str, out: &str| {
        let subject = format!("--weights model.safetensors --data {SET} --limit 2");
        place.ok(&format!("explain {subject} --method saliency --target {target} --out {out}"));
        place.tensors(out)
    };
    let by_name = explain(&names[3], "a.safetensors");
    let by_number = explain("3", "b.safetensors");
    assert_eq!(by_name.tensors, by_number.tensors);
    assert_eq!(by_name.tensors["targets"], Tensor::full([2], 3, (Kind::Int64, tch::Device::Cpu)));
    // Where a name is the number of another class, neither is guessed.
    let shifted: Vec<String> = (1..=10).map(|i| i.to_string()).collect();
    let shifted = shifted.join(",");
    with_header(&place, "shifted.safetensors", |header| {
        header.insert("classes".into(), shifted.clone());
    });
    place.ok(&format!("data make {SET} --out t.safetensors"));
    let mut set = place.tensors("t.safetensors");
    set.metadata.insert("classes".into(), shifted.clone());
    set.write(&place.at("t.safetensors")).expect("a file");
    let line = "explain --weights shifted.safetensors --data t.safetensors --method saliency --out";
    let said = place.refused(&format!("{line} c.safetensors --target 3"));
    says(&said, &["the name of the class 2 and the number of `4`", "`#2` or `#3`"]);
    place.ok(&format!("{line} c.safetensors --target #3"));
    let again = place.tensors("c.safetensors");
    assert_eq!(again.tensors["targets"], by_number.tensors["targets"].repeat([30]));
}

#[test]
fn models_with_classes_in_another_order_are_not_compared() {
    let place = Place::with_model("names-several");
    let names = names(&place);
    let turned: Vec<String> = names.iter().rev().cloned().collect();
    with_header(&place, "turned.safetensors", |header| {
        header.insert("classes".into(), turned.join(","));
    });
    with_header(&place, "silent.safetensors", |header| drop(header.remove("classes")));
    let line = |files: &str| {
        format!("measure complexity --weights {files} --data {SET} --limit 2 --method gxi")
    };
    let said = place.refused(&line("model.safetensors,turned.safetensors"));
    says(&said, &[&names[0], &names[9], "in another order"]);
    let run = place.ok(&line("model.safetensors,silent.safetensors"));
    says(&run.stderr, &["`silent.safetensors` does not name its classes"]);
    // SingleProcess, each is asked in its own numbers.
    let subject = format!("--data {SET} --json");
    let own = right(&place.ok(&format!("eval --weights model.safetensors {subject}")));
    place.ok(&format!("eval --weights turned.safetensors {subject}"));
    place.ok(&format!(
        "explain --weights turned.safetensors --data {SET} --method gxi --out m.safetensors"
    ));
    // Its labels under its own names are the same data for the first.
    assert_eq!(right(&eval(&place, "--data tensors:m.safetensors")), own);
}

const FINE: &str = "\
epochs = 1
batch_size = 16
[data]
train = \"folder:some\"
test = \"folder:set\"
[model]
arch = \"resnet20\"
normalise = \"0.5/0.25\"
weights = \"model.safetensors\"
[optimizer]
name = \"sgd\"
learning_rate = 0.05
";

#[test]
fn training_that_goes_on_keeps_the_classes() {
    let place = place("names-fine");
    let names = names(&place);
    for name in [&names[7], &names[2]] {
        fs::create_dir_all(place.at("some")).expect("a folder");
        fs::rename(place.at("set").join(name), place.at("some").join(name)).expect("a folder");
    }
    place.write("run.toml", FINE.replace("test = \"folder:set\"\n", ""));
    let run = place.ok("train --config run.toml --out run");
    says(&run.stderr, &["by name", &format!("{} is 7", names[7])]);
    let header = place.tensors("run/last.safetensors").metadata;
    assert_eq!(header["classes"], names.join(","));
    fs::rename(place.at("set").join(&names[0]), place.at("set/zzz")).expect("a folder");
    place.write("two.toml", FINE);
    let said = place.refused("train --config two.toml --out two");
    says(&said, &["test data", "`zzz`", "is no class of the model"]);
}

#[test]
fn two_folders_are_not_one_class_without_a_word() {
    let place = place("names-twins");
    let name = &names(&place)[3];
    let twin = name.to_uppercase();
    fs::create_dir_all(place.at("set").join(&twin)).expect("a folder");
    let first = fs::read_dir(place.at("set").join(name)).expect("a folder").next();
    let first = first.expect("an image").expect("an image").path();
    fs::copy(first, place.at("set").join(&twin).join("x.png")).expect("a copy");
    let line = "eval --weights model.safetensors --data set";
    let way = format!("--class-map {twin}={name},{name}={name}");
    says(&place.refused(line), &["would both be", &way]);
    place.ok(&format!("{line} {way}"));
}
