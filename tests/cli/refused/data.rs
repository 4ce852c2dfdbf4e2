//! Data that is missing, broken or out of range: one line, exit code 2, nothing written.

use crate::place::{CONFIG, Place, says};
use std::collections::BTreeMap;
use tch::{Kind, Tensor};
use tensorfile::TensorFile;

/// `data make` refuses it, and says all of `parts`.
fn refused(place: &Place, data: &str, parts: &[&str]) {
    says(&place.refused(&format!("data make {data} --out made/set.safetensors")), parts);
}

/// The commands that do long work refuse it as well, before they make their folders.
fn refused_by_all(place: &Place, data: &str, parts: &[&str]) {
    place.write("run.toml", CONFIG.replace("shapes:seed=0,train=64,test=16", data));
    let subject = format!("--weights model.safetensors --data {data}");
    for line in [
        "train --config run.toml --out new/run".to_owned(),
        format!("data info {data}"),
        format!("eval {subject}"),
        format!("explain {subject} --method gxi --out new/m.safetensors --figure new/f.png"),
        format!("attack {subject} --method gxi --attack topk --out new/a.safetensors"),
    ] {
        says(&place.refused(&line), parts);
    }
}

#[test]
fn missing() {
    let place = Place::with_model("data-missing");
    refused_by_all(&place, "tensors:no/such.safetensors", &["no/such.safetensors"]);
    refused(&place, "no/such/folder", &["no/such/folder"]);
    refused(&place, "cifar10:nowhere", &["nowhere"]);
    place.write("empty/.keep", "");
    refused(&place, "empty", &["empty"]);
}

#[test]
fn cifar10_one_byte_short() {
    let place = Place::new("data-cifar10");
    let mut records = vec![0u8; 2 * 3073];
    place.write("good/test_batch.bin", &records);
    place.ok("data info good/test_batch.bin");
    records.pop();
    place.write("set/test_batch.bin", &records);
    refused(&place, "cifar10:set", &["set/test_batch.bin", "6145", "3073"]);
    refused(&place, "set/test_batch.bin", &["set/test_batch.bin", "6145"]);
    records.push(0);
    records[3073] = 10;
    place.write("set/test_batch.bin", &records);
    refused(&place, "cifar10:set", &["set/test_batch.bin", "label 10"]);
    place.write("set/test_batch.bin", "");
    refused(&place, "cifar10:set", &["set/test_batch.bin", "empty"]);
}

#[test]
fn idx_with_a_wrong_magic() {
    let place = Place::new("data-mnist");
    let images = |magic: u8, count: u8| {
        let mut bytes = vec![0, 0, 8, magic, 0, 0, 0, count, 0, 0, 0, 28, 0, 0, 0, 28];
        bytes.resize(16 + 2 * 28 * 28, 7);
        bytes
    };
    place.write("set/t10k-labels-idx1-ubyte", [0, 0, 8, 1, 0, 0, 0, 2, 3, 4]);
    place.write("set/t10k-images-idx3-ubyte", images(3, 2));
    place.ok("data info mnist:set");
    place.write("set/t10k-images-idx3-ubyte", images(4, 2));
    refused(&place, "mnist:set", &["set/t10k-images-idx3-ubyte", "0x00000804", "0x00000803"]);
    place.write("set/t10k-images-idx3-ubyte", images(3, 3));
    refused(&place, "mnist:set", &["set/t10k-images-idx3-ubyte", "1584"]);
}

#[test]
fn a_png_that_is_not_one() {
    let place = Place::new("data-folder");
    place.write("set/cat/a.png", "this is text");
    place.write("set/dog/b.png", "this too");
    refused(&place, "folder:set", &["set/cat/a.png"]);
    place.write("set/cat/a.png", b"\x89PNG\r\n\x1a\nand no more");
    refused(&place, "set", &["set/cat/a.png"]);
}

fn tensors(place: &Place, images: Tensor, labels: &[i64]) {
    let tensors = [("images", images), ("labels", Tensor::from_slice(labels))];
    let tensors = tensors.map(|(name, t)| (name.to_owned(), t)).into();
    let file = TensorFile { tensors, metadata: BTreeMap::new() };
    file.write(&place.at("set.safetensors")).expect("a file");
}

fn grey(n: i64) -> Tensor {
    Tensor::full([n, 3, 32, 32], 0.5, (Kind::Float, tch::Device::Cpu))
}

#[test]
fn labels_out_of_range() {
    let place = Place::with_model("data-labels");
    tensors(&place, grey(3), &[0, 9, 5]);
    place.ok("eval --weights model.safetensors --data tensors:set.safetensors");
    tensors(&place, grey(3), &[0, 10, 5]);
    // The file alone says nothing of a tenth class; the model does.
    place.ok("data info set.safetensors");
    says(
        &place.refused("eval --weights model.safetensors --data tensors:set.safetensors"),
        &["label", "10", "0 to 9"],
    );
    tensors(&place, grey(3), &[0, -1, 5]);
    refused_by_all(&place, "tensors:set.safetensors", &["set.safetensors", "image 1", "label -1"]);
    tensors(&place, grey(3), &[0, 1]);
    refused(&place, "set.safetensors", &["set.safetensors", "labels", "[3]"]);
}

#[test]
fn pixels_out_of_range() {
    let place = Place::with_model("data-pixels");
    for (value, spelled) in [(f64::NAN, "NaN"), (1.5, "1.5"), (-0.25, "-0.25")] {
        let images = grey(3);
        let _ = images.get(2).get(1).get(31).get(7).fill_(value);
        tensors(&place, images, &[0, 1, 2]);
        let parts = ["set.safetensors", "image 2", spelled, "[0, 1]"];
        refused(&place, "set.safetensors", &parts);
        if value.is_nan() {
            refused_by_all(&place, "set.safetensors", &parts);
        }
    }
}
