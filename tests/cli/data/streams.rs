//! Class folders larger than `--memory`: every command does with them what it does with sets in memory.

use crate::place::{Place, model, says};
use tch::Tensor;

const TRAIN: &str = "shapes:seed=0,train=60,test=60 --split train";
const TEST: &str = "shapes:seed=0,train=60,test=60";

/// A class folder with both parts, and settings to train on it.
fn place(name: &str) -> Place {
    let place = Place::new(name);
    place.ok(&format!("data make {TRAIN} --folder set/train"));
    place.ok(&format!("data make {TEST} --folder set/test"));
    place.write(
        "run.toml",
        "epochs = 2\nbatch_size = 16\n[data]\ntrain = 'folder:set'\naugment = { crop = 4, flip = true }\n\
         [model]\narch = 'mlp'\n[optimizer]\nname = 'sgd'\nlearning_rate = 0.01\n",
    );
    std::fs::copy(model(), place.at("model.safetensors")).expect("a copy");
    place
}

#[test]
fn training_from_files_ends_with_the_weights_of_training_from_memory() {
    let place = place("stream-train");
    place.ok("train --config run.toml --out held");
    for (out, memory) in [("streamed", "10KB"), ("tiny", "1B")] {
        place.ok(&format!("train --config run.toml --out {out} --memory {memory}"));
    }
    let held = place.tensors("held/last.safetensors");
    for out in ["streamed", "tiny"] {
        let streamed = place.tensors(&format!("{out}/last.safetensors"));
        assert!(held.tensors == streamed.tensors, "{out}");
    }
}

#[test]
fn commands_say_the_same_of_files() {
    let place = place("stream-commands");
    let subject = "--weights model.safetensors --data folder:set --batch-size 5";
    for command in [
        format!("eval {subject} --json"),
        format!("eval {subject} --offset 3 --limit 6 --class ring --json"),
        "data info folder:set --split train --json".to_owned(),
    ] {
        let mut found =
            ["1GB", "4KB"].map(|memory| place.ok(&format!("{command} --memory {memory}")).json());
        found.iter_mut().for_each(|json| {
            let _ = json.as_object_mut().expect("an object").remove("origin");
        });
        assert_eq!(found[0], found[1], "{command}");
    }
    let maps = ["1GB", "4KB"].map(|memory| {
        let out = format!("maps-{memory}.safetensors");
        place.ok(&format!("explain {subject} --method gxi --out {out} --memory {memory}"));
        place.tensors(&out).tensors
    });
    assert!(maps[0] == maps[1]);
}

#[test]
fn folders_are_the_set_they_were_made_of() {
    let place = place("stream-make");
    for part in ["train", "test"] {
        place.ok(&format!("data make {TEST} --split {part} --out drawn.safetensors"));
        place.ok(&format!("data make folder:set --split {part} --out read.safetensors"));
        let [drawn, read] =
            ["drawn", "read"].map(|name| place.tensors(&format!("{name}.safetensors")));
        // A folder goes class by class, and these by name; a set in any order.
        let classes: Vec<&str> = drawn.metadata["classes"].split(',').collect();
        let place_of = |class: &str| classes.iter().filter(|other| **other < class).count() as i64;
        let places: Vec<i64> = classes.iter().map(|class| place_of(class)).collect();
        let labels = Tensor::from_slice(&places).index_select(0, &drawn.tensors["labels"]);
        let order = labels.argsort_stable(true, 0, false);
        assert_eq!(drawn.tensors["images"].index_select(0, &order), read.tensors["images"]);
        assert_eq!(labels.index_select(0, &order), read.tensors["labels"]);
    }
    place.ok("data make folder:set --size 8 --folder small");
    let info = place.ok("data info folder:small --json").json();
    assert_eq!((&info["images"], &info["shape"]), (&60.into(), &serde_json::json!([3, 8, 8])));
    says(
        &place.refused(&format!("data make {TEST} --folder set")),
        &["`set` is not an empty folder"],
    );
    let few = "data make shapes:seed=0,train=1,test=3 --folder few";
    says(&place.ok(few).stderr, &["no folder for 7 classes without an image: ring, diamond"]);
    says(&place.misused(&format!("data make {TEST}")), &["--out", "--folder"]);
    says(
        &place.misused(&format!("data make {TEST} --out a.safetensors --folder b")),
        &["cannot be used with"],
    );
    says(
        &place.refused("data make simulated --folder points"),
        &["a folder of png files", "is a table"],
    );
}

#[test]
fn an_amount_of_memory_is_one() {
    let place = Place::new("stream-memory");
    for amount in ["much", "0", "-1", "10XB"] {
        let told = place.misused(&format!("data info {TEST} --memory={amount}"));
        says(&told, &["--memory", "write an amount such as 500MB or 8GB"]);
    }
}

#[test]
fn a_bad_file_is_named_when_it_is_reached() {
    let place = place("stream-bad");
    let bad = place.at("set/test/ring");
    let bad = bad.read_dir().expect("a class").flatten().next().expect("an image").path();
    std::fs::write(&bad, "no picture").expect("writable");
    let name = bad.file_name().expect("a file").to_string_lossy().into_owned();
    for command in
        ["eval --quiet --weights model.safetensors --data folder:set", "data info folder:set"]
    {
        says(
            &place.refused(&format!("{command} --memory 4KB")),
            &["set/test/ring", &name, "as an image"],
        );
    }
    // What fits into memory is read whole before anything is written, and no more than is asked for.
    says(&place.refused("data make folder:set --folder out"), &["set/test/ring", &name]);
    place.ok("eval --quiet --weights model.safetensors --data folder:set --class disc");
}
