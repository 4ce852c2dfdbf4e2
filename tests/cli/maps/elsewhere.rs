//! `file:`: maps that were made elsewhere are measured and drawn as those of a method; what needs other
//! maps refuses them.

use crate::place::{Place, SHAPES, rows, says};
use tensorfile::TensorFile;

#[test]
fn maps_of_a_file_are_measured_as_the_methods_own() {
    let place = Place::with_model("elsewhere");
    let subject = format!("--weights model.safetensors --data {SHAPES} --limit 6 --batch-size 4");
    place.ok(&format!("explain {subject} --method gxi --out gxi.safetensors"));
    let maps = place.tensors("gxi.safetensors").take("maps").expect("maps");
    for (file, name, t) in [
        ("alone", "attributions", maps.shallow_clone()),
        ("heat", "maps", maps.sum_dim_intlist([1i64].as_slice(), false, None)),
    ] {
        let tensors = [(name.to_owned(), t)].into();
        let file = place.at(&format!("{file}.safetensors"));
        TensorFile { tensors, ..TensorFile::default() }.write(&file).expect("written");
    }
    let metrics =
        "deletion:steps=4,localisation,infidelity:samples=8,faithfulness:cells=3,complexity";
    let line = format!(
        "measure {metrics} {subject} --method gxi,file:alone.safetensors,file:gxi.safetensors --json"
    );
    let found = place.ok(&line).json();
    let means = |method: &str| -> Vec<String> {
        rows(&found, &[("method", method)]).iter().map(|row| row["mean"].to_string()).collect()
    };
    assert!(means("gxi").len() > 5);
    for file in ["file:alone.safetensors", "file:gxi.safetensors"] {
        assert_eq!(means(file), means("gxi"), "{file}");
    }
    // One channel for all: the same places, three times the sum.
    place.ok(&format!("measure deletion:steps=4 {subject} --method file:heat.safetensors"));
    place.ok(&format!("explain {subject} --method file:alone.safetensors,gxi --figure maps.png"));
}

#[test]
fn what_needs_other_maps_refuses_them() {
    let place = Place::with_model("elsewhere-refused");
    let subject = format!("--weights model.safetensors --data {SHAPES} --limit 4");
    place.ok(&format!("explain {subject} --method gxi --out gxi.safetensors"));
    let file = "--method file:gxi.safetensors";
    for metric in [
        "lipschitz",
        "sensitivity",
        "randomisation",
        "similarity",
        "gap",
        "infidelity:robust=0.1",
        "bounds-tan23",
    ] {
        let told = place.refused(&format!("measure {metric} {subject} {file}"));
        says(&told, &[&format!("metric `{metric}`"), "needs maps of other images or networks"]);
    }
    for line in [
        format!("attack {subject} {file} --attack topk"),
        format!("certify {subject} {file}"),
        format!("measure complexity {subject} --method smooth:inner=file"),
    ] {
        says(&place.refused(&line), &["`file` is for `explain` and `measure`"]);
    }
    let fewer =
        format!("measure complexity --weights model.safetensors --data {SHAPES} --limit 3 {file}");
    says(&place.refused(&fewer), &["the file has 4 maps", "the images are 3"]);
    let none = format!("measure complexity {subject} --method file:none.safetensors");
    says(&place.refused(&none), &["none.safetensors"]);
    let name = format!("measure complexity {subject} --method file:gxi.safetensors,tensor=map");
    says(&place.refused(&name), &["tensor=NAME", "`map`"]);
}
