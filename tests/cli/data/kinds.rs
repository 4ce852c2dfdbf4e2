//! What people bring that once gave a wrong number without a word: weights of several files, of old
//! tables, of the very images that are asked about; training on images of one colour.

use crate::place::{CONFIG, Place, SHAPES, mean, rows as rows_of, says};
use std::collections::BTreeMap;
use tch::{Device, Kind, Tensor};
use tensorfile::TensorFile;

const PLAIN: &str = include_str!("../../../crates/data/tests/tables/columns-plain.csv");

fn tensors(place: &Place, file: &str, images: Tensor) {
    let labels = Tensor::arange(images.size()[0], (Kind::Int64, Device::Cpu)).remainder(2);
    let tensors = BTreeMap::from([("images".into(), images), ("labels".into(), labels)]);
    TensorFile { tensors, ..TensorFile::default() }.write(&place.at(file)).expect("written");
}

#[test]
fn images_of_the_training_are_said_to_be_no_test() {
    let place = Place::new("kinds-trained");
    place.ok("data make shapes:seed=0,train=64,test=16 --split train --out set.safetensors");
    place.write("run.toml", CONFIG.replace("resnet20", "mlp").replace(SHAPES, "set.safetensors"));
    place.ok("train --config run.toml --out whole");
    place.ok("train --config run.toml --set data.holdout=0.25 --out part");
    let said = |line: &str| place.ok(line).stderr;
    let eval = |run: &str, rest: &str| {
        said(&format!("eval --weights {run}/last.safetensors --data ./set.safetensors {rest}"))
    };
    let all = "the weights were trained on all of `./set.safetensors`";
    says(&eval("whole", ""), &[all]);
    says(&eval("whole", "--holdout 0.25"), &[all]);
    let own = "only those that `--holdout 0.25 --holdout-seed 0` takes are a test";
    for rest in ["", "--holdout 0.5", "--holdout 0.25 --holdout-seed 1"] {
        says(&eval("part", rest), &[own]);
    }
    for quiet in [
        eval("part", "--holdout 0.25"),
        eval("whole", "--split train"),
        said(&format!("eval --weights whole/last.safetensors --data {SHAPES}")),
    ] {
        assert!(!quiet.contains("were trained on"), "{quiet}");
    }
    let line = "attack --weights whole/last.safetensors --data ./set.safetensors --limit 1 \
                --method gxi --attack topk --iters 1";
    says(&said(line), &[all]);
}

#[test]
fn a_table_is_predicted_row_by_row() {
    let place = Place::new("kinds-table");
    place.write("plain.csv", PLAIN);
    let turned = |line: &str| {
        let cells: Vec<&str> = line.split(',').collect();
        format!("{},{},{},{}\n", cells[2], cells[3], cells[0], cells[1])
    };
    let rows: Vec<&str> = PLAIN.lines().collect();
    place.write("cut.csv", rows[..36].iter().map(|line| turned(line)).collect::<String>());
    let config = "epochs = 20\nbatch_size = 16\n[data]\ntrain = \"csv:plain.csv\"\n[model]\n\
                  arch = \"mlp\"\n[optimizer]\nname = \"adamw\"\nlearning_rate = 0.03\n";
    place.write("run.toml", config);
    place.ok("train --config run.toml --out run");
    let predictions = |data: &str| {
        let line = format!("explain --weights run/last.safetensors --data csv:{data}");
        place.ok(&format!("{line} --label-column y --method gxi --out maps.safetensors"));
        let file = place.tensors("maps.safetensors");
        let of = |name: &str| Vec::<i64>::try_from(&file.tensors[name]).expect("classes");
        (of("predictions"), of("labels"))
    };
    let (all, labels) = predictions("plain.csv,rows=all");
    let right = all.iter().zip(&labels).filter(|(a, b)| a == b).count();
    assert!(all.len() == 60 && right > 50, "{right} of {}", all.len());
    assert_eq!(predictions("cut.csv"), (all[..35].to_vec(), labels[..35].to_vec()));
}

#[test]
fn weights_that_name_no_columns_take_them_as_they_stand() {
    let place = Place::new("kinds-columns");
    let of = |name: &str, bytes: &[u8]| place.write(name, bytes);
    of(
        "mlp.safetensors",
        include_bytes!("../../../crates/data/tests/tables/columns-mlp.safetensors"),
    );
    of("rotated.csv", include_bytes!("../../../crates/data/tests/tables/columns-rotated.csv"));
    let run = place.ok("eval --weights mlp.safetensors --data csv:rotated.csv");
    let parts = ["the weights do not name their columns", "(c, a, b)", "the table's own mean"];
    says(&run.stderr, &parts);
}

/// `--normalise` is for the files that are silent, and each file's own word wins.
#[test]
fn of_several_weights_each_keeps_its_own_normalisation() {
    let place = Place::with_model("kinds-normalise");
    let mut silent = place.tensors("model.safetensors");
    silent.metadata.remove("normalise");
    silent.write(&place.at("silent.safetensors")).expect("a file");
    let accuracy = |weights: &str, rest: &str| {
        let line = format!("eval --weights {weights}.safetensors --data {SHAPES} --json {rest}");
        mean(&place.ok(&line).json(), &[("quantity", "accuracy")])
    };
    assert_eq!(accuracy("model", "--normalise imagenet"), accuracy("model", ""));
    assert_eq!(accuracy("silent", "--normalise 0.5/0.25"), accuracy("model", ""));
    let line = format!(
        "measure complexity --weights model.safetensors,silent.safetensors --data {SHAPES} \
         --limit 4 --method gxi --json"
    );
    let rows = |rest: &str| place.ok(&format!("{line} {rest}"));
    let run = rows("--normalise imagenet");
    says(&run.stderr, &["own normalisation is kept: `0.5,0.5,0.5/0.25,0.25,0.25`"]);
    let (said, own) = (run.json(), rows("--normalise 0.5/0.25").json());
    let [model, silent] = [[("model", "model")], [("model", "silent")]];
    assert_eq!(rows_of(&said, &model), rows_of(&own, &model), "its own word wins");
    assert_ne!(rows_of(&said, &silent), rows_of(&own, &silent), "a silent file is told");
}

#[test]
fn ssr_trains_on_images_of_one_colour() {
    let place = Place::new("kinds-black");
    tensors(&place, "black.safetensors", Tensor::zeros([4, 3, 8, 8], (Kind::Uint8, Device::Cpu)));
    let config =
        CONFIG.replace(SHAPES, "tensors:black.safetensors") + "[objective]\nname = \"ssr\"\n";
    place.write("run.toml", config.replace("augment", "holdout = 0.5\naugment"));
    for eigenvector in ["exact", "warm", "naive"] {
        let out = format!("run-{eigenvector}");
        let set = format!("--set objective.eigenvector={eigenvector}");
        place.ok(&format!("train --config run.toml --out {out} {set}"));
        for (name, t) in &place.tensors(&format!("{out}/last.safetensors")).tensors {
            assert!(bool::try_from(t.isfinite().all()).expect("one"), "{eigenvector}: `{name}`");
        }
    }
}

#[test]
fn a_width_that_leaves_no_weight_is_named() {
    let place = Place::with_model("kinds-width");
    let subject = format!("--weights model.safetensors --data {SHAPES} --limit 1");
    for line in [
        format!("explain {subject} --out m.safetensors"),
        format!("measure complexity {subject}"),
        format!("attack {subject} --attack topk --iters 1 --eps 8/255"),
    ] {
        let run = place.ok(&format!("{line} --method lime:samples=9,width=1e-3"));
        says(&run.stderr, &["at 1 of 1 image (at `width` 0.001, copies that keep half of an"]);
    }
}
