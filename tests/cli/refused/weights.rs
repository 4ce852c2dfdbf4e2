//! Weights that are missing, cut, of another network or hostile: one line, exit code 2, nothing
//! written, nothing run.

use crate::place::{Place, SHAPES, says};

fn refused(place: &Place, file: &str, parts: &[&str]) {
    says(&place.refused(&format!("eval --weights {file} --data {SHAPES}")), parts);
}

/// Every command that reads weights refuses them.
fn refused_by_all(place: &Place, file: &str, parts: &[&str]) {
    let subject = format!("--weights {file} --data {SHAPES}");
    for line in [
        format!("weights info {file}"),
        format!("weights convert {file} --out new/w.safetensors --arch resnet20"),
        format!("eval {subject}"),
        format!("explain {subject} --method gxi --out new/m.safetensors"),
        format!("attack {subject} --method gxi --attack topk --out new/a.safetensors"),
    ] {
        says(&place.refused(&line), parts);
    }
}

#[test]
fn missing_or_empty() {
    let place = Place::new("weights-missing");
    refused_by_all(&place, "no/such.safetensors", &["no/such.safetensors"]);
    place.write("empty.safetensors", "");
    refused(&place, "empty.safetensors", &["empty.safetensors", "empty"]);
    place.write("empty.pt", "");
    refused(&place, "empty.pt", &["empty.pt", "empty"]);
}

#[test]
fn truncated_at_any_length() {
    let place = Place::with_model("weights-truncated");
    let whole = place.read("model.safetensors");
    let header = 8 + u64::from_le_bytes(whole[..8].try_into().expect("eight bytes")) as usize;
    for length in [1, 7, 8, 9, header - 1, header, whole.len() / 2, whole.len() - 1] {
        place.write("cut.safetensors", &whole[..length]);
        refused(&place, "cut.safetensors", &["cut.safetensors"]);
    }
    let longer = [&whole[..], b"and more"].concat();
    place.write("long.safetensors", longer);
    refused(&place, "long.safetensors", &["long.safetensors"]);
}

#[test]
fn of_another_architecture() {
    let place = Place::with_model("weights-other");
    let line = format!("eval --weights model.safetensors --arch cnn --data {SHAPES}");
    // Everything that is wrong in one message.
    let parts = ["missing `fc1.weight`", "missing `conv2.bias`", "unexpected `bn1.weight`"];
    let said = place.refused(&line);
    says(&said, &parts);
    says(&said, &["model.safetensors", "cnn", "`conv1.weight` is [16, 3, 3, 3]"]);
    let deeper = format!("eval --weights model.safetensors --arch resnet32 --data {SHAPES}");
    says(&place.refused(&deeper), &["missing `layer1.3.conv1.weight`", "resnet32"]);
}

/// What people download or save instead of weights is called what it is, by every command.
#[test]
fn what_is_no_weights_file() {
    let place = Place::new("weights-foreign");
    for (name, bytes, what) in [
        ("page.pt", &b"<!DOCTYPE html><html>"[..], "a web page"),
        ("page.safetensors", b"<html>", "a web page"),
        ("pointer.safetensors", b"version https://git-lfs.github.com/spec/v1\n", "git-lfs pointer"),
        ("packed.pth", b"\x1f\x8b\x08\0\0\0\0\0", "gzip"),
        ("model.h5", b"\x89HDF\r\n\x1a\n\0\0", "HDF5"),
    ] {
        place.write(name, bytes);
        refused_by_all(&place, name, &[name, what]);
    }
    place.write("several/a.pt", "");
    place.write("several/b.pt", "");
    refused(&place, "several", &["`several` is a folder; name a file in it", "b.pt"]);
}

#[test]
fn an_entry_that_is_not_there() {
    let place = Place::with_model("weights-entry");
    let subject = format!("--weights model.safetensors --data {SHAPES} --entry state_dict_ema");
    for line in [
        format!("eval {subject}"),
        format!("explain {subject} --method gxi --out new/m.safetensors"),
        format!("measure lipschitz {subject} --method gxi"),
        "weights convert model.safetensors --out new/w.safetensors --entry state_dict_ema".into(),
    ] {
        says(&place.refused(&line), &["--entry state_dict_ema", "one set of weights"]);
    }
}

#[test]
fn for_other_images() {
    let place = Place::with_model("weights-images");
    place.write("mnist/t10k-labels-idx1-ubyte", [0, 0, 8, 1, 0, 0, 0, 1, 3]);
    let mut images = vec![0, 0, 8, 3, 0, 0, 0, 1, 0, 0, 0, 28, 0, 0, 0, 28];
    images.resize(16 + 28 * 28, 0);
    place.write("mnist/t10k-images-idx3-ubyte", images);
    let said = place.refused("eval --weights model.safetensors --data mnist:mnist");
    says(&said, &["3x32x32", "1x28x28"]);
}

/// `os.system("touch X")`, as anyone can put it into a checkpoint or a python batch.
#[test]
fn a_pickle_that_would_run_code() {
    let place = Place::new("weights-pickle");
    let call = b"cos\nsystem\n(S'touch X'\ntR.";
    for (name, bytes) in
        [("plain.pt", call.to_vec()), ("two.pt", [b"\x80\x02", &call[..]].concat())]
    {
        place.write(name, &bytes);
        refused_by_all(&place, name, &[name]);
        place.write("data_batch_1", &bytes);
        for data in ["data_batch_1", "cifar10:data_batch_1"] {
            says(&place.refused(&format!("data info {data} --split train")), &["data_batch_1"]);
        }
    }
    assert!(!place.at("X").exists(), "the pickle was run");
}
