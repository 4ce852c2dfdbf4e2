//! No command writes over what it reads, or two results into one file; what can be refused is refused
//! before any work.

use crate::place::{CONFIG, Place, SHAPES, says};
use std::{collections::BTreeMap, fs, os::unix::fs::symlink};
use tch::{Device, Kind, Tensor};
use tensorfile::TensorFile;

/// A place with a model, and data in files of other names too.
fn stocked(name: &str) -> Place {
    let place = Place::with_model(name);
    place.ok(&format!("data make {SHAPES} --out data.safetensors"));
    fs::copy(place.at("data.safetensors"), place.at("data-eps8.safetensors")).expect("a copy");
    symlink(place.at("data.safetensors"), place.at("soft.safetensors")).expect("a link");
    fs::hard_link(place.at("data.safetensors"), place.at("hard.safetensors")).expect("a link");
    fs::create_dir(place.at("sub")).expect("a folder");
    place
}

#[test]
fn an_output_that_is_an_input_is_refused() {
    let place = stocked("out-is-in");
    let subject = "--weights model.safetensors --data tensors:data.safetensors";
    let clean = format!("{subject},images=images");
    let attack = "--method gxi --attack topk";
    for (line, named) in [
        (format!("explain {subject} --method gxi --out data.safetensors"), "--data"),
        (format!("explain {clean} --method gxi --out ./sub/../data.safetensors"), "--data"),
        (format!("explain {subject} --method gxi --out soft.safetensors"), "--data"),
        (format!("explain {subject} --method gxi --out hard.safetensors"), "--data"),
        (format!("explain {subject} --method gxi --out model.safetensors"), "--weights"),
        (format!("eval {subject} --pgd 1 --out data.safetensors"), "--data"),
        (format!("attack {subject} {attack} --eps 8/255 --out data.safetensors"), "--data"),
        (
            format!(
                "attack --weights model.safetensors --data data-eps8.safetensors {attack} --eps \
                 4/255,8/255 --out data.safetensors"
            ),
            "`data-eps8.safetensors`, which `--data`",
        ),
        (
            format!(
                "attack --weights model.safetensors --data {SHAPES} --method gxi --attack \
                 manipulate --target-map hard.safetensors --out data.safetensors --eps 8/255"
            ),
            "--target-map",
        ),
        (
            format!(
                "explain --weights model.safetensors --data {SHAPES} --method \
                 ig:baseline=data.safetensors --out data.safetensors"
            ),
            "--method",
        ),
        ("weights convert model.safetensors --out sub/../model.safetensors".into(), "FILE"),
        ("data make tensors:data.safetensors --out hard.safetensors".into(), "DATA"),
    ] {
        says(&place.refused(&line), &["would write", named, "choose another name"]);
    }
    // A result beside what is read is no matter.
    place.ok(&format!("explain {subject} --method gxi --out sub/data.safetensors"));
}

#[test]
fn json_and_csv_are_outputs_too() {
    let place = stocked("out-is-json");
    place.write("table.csv", "a,b,class\n1,2,x\n2,3,y\n");
    place.write("figure.png", "");
    let subject = "--weights model.safetensors --data csv:table.csv";
    let measured = format!("measure complexity {subject} --method gxi --out table.json");
    says(&place.refused(&measured), &["`table.csv`, which `--data`"]);
    let transferred =
        format!("transfer {subject} --from gxi --attack topk --eps 8/255 --out table.json");
    says(&place.refused(&transferred), &["`table.csv`, which `--data`"]);
    let drawn = format!(
        "attack --weights model.safetensors --data {SHAPES} --method gxi --attack manipulate \
         --target-image figure.png --figure figure.png --eps 8/255"
    );
    says(&place.refused(&drawn), &["`--figure` would write", "`--target-image`"]);
}

#[test]
fn two_results_in_one_file_are_refused() {
    let place = stocked("out-twice");
    let explain =
        format!("explain --weights model.safetensors --data {SHAPES} --out new/m.safetensors");
    let told = place.refused(&format!("{explain} --method gxi,gxi"));
    says(&told, &["`--method` names `gxi` twice"]);
    let told = place.refused(&format!("{explain} --method gxi --figure new/m.safetensors"));
    says(&told, &["new/m.safetensors"]);
}

#[test]
fn a_training_keeps_its_config_its_data_and_other_runs() {
    let place = stocked("train-keeps");
    place.write("config.toml", CONFIG);
    says(&place.refused("train --config config.toml --out ."), &["`./config.toml`", "`--config`"]);
    fs::create_dir(place.at("run")).expect("a folder");
    fs::copy(place.at("data.safetensors"), place.at("run/last.safetensors")).expect("a copy");
    let onto = "train --config config.toml --out run";
    says(&place.refused(onto), &["run", "last.safetensors", "--resume"]);
    let data = format!("{onto} --resume --set data.train='tensors:run/last.safetensors'");
    says(&place.refused(&data), &["data.train"]);
    let weights = format!("{onto} --resume --set model.weights='run/last.safetensors'");
    says(&place.refused(&weights), &["model.weights"]);
}

#[test]
fn a_folder_that_is_not_of_parts_is_not_removed() {
    let place = Place::with_model("not-parts");
    place.write("adv.parts/notes.txt", "mine");
    let attack = format!(
        "attack --weights model.safetensors --data {SHAPES} --limit 2 --method gxi --attack topk \
         --iters 1 --eps 8/255 --out adv.safetensors"
    );
    says(&place.refused(&attack), &["adv.parts"]);
    assert_eq!(place.text("adv.parts/notes.txt"), "mine");
}

#[test]
fn a_figure_of_four_channels_is_refused_before_the_work() {
    let place = Place::new("four-channels");
    let zeros = |shape: &[i64], kind| Tensor::zeros(shape, (kind, Device::Cpu));
    let labels = Tensor::arange(4, (Kind::Int64, Device::Cpu)).remainder(2);
    let tensors = BTreeMap::from([
        ("images".to_owned(), zeros(&[4, 4, 8, 8], Kind::Uint8)),
        ("labels".to_owned(), labels),
    ]);
    TensorFile { tensors, ..TensorFile::default() }
        .write(&place.at("four.safetensors"))
        .expect("written");
    place.write(
        "run.toml",
        CONFIG.replace(SHAPES, "tensors:four.safetensors").replace("0.5/0.25", "none"),
    );
    place.ok("train --config run.toml --out run");
    let subject = "--weights run/last.safetensors --data tensors:four.safetensors";
    for line in [
        format!("explain {subject} --method gxi --out new/m.safetensors --figure new/f.png"),
        format!("attack {subject} --method gxi --attack topk --figure new/f.png"),
    ] {
        says(&place.refused(&line), &["--figure", "1 or 3 channels", "4"]);
    }
}

#[test]
fn batches_do_not_decide_what_a_resumed_attack_finds() {
    let place = Place::with_model("other-batches");
    let attack = |out: &str, more: &str| {
        format!(
            "attack --weights model.safetensors --data {SHAPES} --limit 6 --method gxi --attack topk \
             --iters 2 --eps 8/255 --out {out}.safetensors {more}"
        )
    };
    place.ok(&attack("whole", "--batch-size 6"));
    assert!(place.killed_at(&attack("two", "--batch-size 2"), "two.parts/000000002.safetensors"));
    place.ok(&attack("two", "--batch-size 3 --resume --chunk 2"));
    let [a, b] = ["whole", "two"].map(|name| place.tensors(&format!("{name}.safetensors")).tensors);
    assert_eq!(a.len(), b.len());
    for (name, t) in &a {
        let far = (t.to_kind(Kind::Double) - b[name].to_kind(Kind::Double)).abs().max();
        assert!(t.size() == b[name].size() && far.double_value(&[]) < 1e-4, "`{name}`");
    }
}
