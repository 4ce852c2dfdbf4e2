//! ONNX files with other weights: every other byte stays. Fixtures: tests/reference/onnx_files.py,
//! where onnx itself wrote the same network with its weights doubled.

use std::{
    fs,
    path::{Path, PathBuf},
};
use tch::{Kind, Tensor};
use tensorfile::onnx::{File, proto::TensorProto};

fn fixture(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
}

fn bytes(path: &Path) -> Vec<u8> {
    fs::read(path).expect("a file")
}

/// The tensors that can be written, each multiplied.
fn scaled(file: &File, factor: f64) -> Vec<(&TensorProto, Tensor)> {
    let writable = file.graph().initializer.iter().filter(|t| file.check_writable(t).is_ok());
    writable.map(|t| (t, file.tensor(t).expect("readable") * factor)).collect()
}

fn pairs<'a>(new: &'a [(&'a TensorProto, Tensor)]) -> Vec<(&'a TensorProto, &'a Tensor)> {
    new.iter().map(|(proto, values)| (*proto, values)).collect()
}

#[test]
fn doubled_weights_and_a_string_are_what_onnx_writes() {
    let file = File::open(&fixture("network.onnx")).expect("a good file");
    let new = scaled(&file, 2.0);
    assert_eq!(new.len(), 4, "float32 in both fields, float16");
    let written = file.rewritten(&pairs(&new), &[("gradproof.training", "doubled")]);
    assert_eq!(written.expect("written"), bytes(&fixture("network-doubled.onnx")));
}

#[test]
fn the_same_weights_give_the_same_file() {
    for name in ["forms.onnx", "network.onnx"] {
        let file = File::open(&fixture(name)).expect("a good file");
        let new = scaled(&file, 1.0);
        assert_eq!(file.rewritten(&pairs(&new), &[]).expect("written"), bytes(&fixture(name)));
    }
}

#[test]
fn a_string_whose_key_is_there_is_replaced() {
    let file = File::open(&fixture("forms.onnx")).expect("a good file");
    let about = [("classes", "x,y"), ("gradproof.normalise", "cifar10"), ("new", "")];
    let written = file.rewritten(&[], &about).expect("written");
    let again = File::of_bytes(written, Path::new("m.onnx")).expect("a good file");
    let entries = &again.model().metadata_props;
    let found: Vec<_> = entries.iter().map(|e| (e.key(), e.value())).collect();
    assert_eq!(found, about);
    assert_eq!((again.graph(), again.opset()), (file.graph(), file.opset()));
}

#[test]
fn what_cannot_be_written_is_known_before() {
    let file = File::open(&fixture("forms.onnx")).expect("a good file");
    let find = |name: &str| file.graph().initializer.iter().find(|t| t.name() == name);
    let reason = |name: &str| {
        let tensor = find(name).expect("a tensor");
        file.check_writable(tensor).err().map(|e| format!("{e:#}"))
    };
    for name in ["float-raw", "float-data", "double-raw", "double-data", "float16-raw", "scalar"] {
        assert_eq!(reason(name), None, "{name}");
    }
    let said = "tensor `float16-data`: its `float16` numbers are stored as integers";
    assert_eq!(reason("float16-data").as_deref(), Some(said));
    let said = "tensor `int64-raw`: its numbers are no floats";
    assert_eq!(reason("int64-raw").as_deref(), Some(said));
    let half = find("float16-raw").expect("a tensor");
    let refused = |tensor: &TensorProto, values: &Tensor| {
        format!("{:#}", file.rewritten(&[(tensor, values)], &[]).expect_err("refused"))
    };
    let large = Tensor::full([2, 3], 1e5, (Kind::Float, tch::Device::Cpu));
    assert!(refused(half, &large).contains("too large for `float16`"));
    assert!(refused(half, &large.narrow(0, 0, 1)).contains("for the shape [2, 3]"));
    // A tensor of another file, or a copy whose bytes are elsewhere.
    let other = File::open(&fixture("network.onnx")).expect("a good file");
    let foreign = &other.graph().initializer[0];
    let same = other.tensor(foreign).expect("readable");
    assert!(refused(foreign, &same).contains("is not a tensor of this file"));
}

#[test]
fn rounding_to_half_is_to_nearest() {
    let file = File::open(&fixture("network.onnx")).expect("a good file");
    let proto = file.graph().initializer.iter().find(|t| t.name() == "fc.weight");
    let proto = proto.expect("a tensor");
    let values = Tensor::full([3, 4], 1.0 + 3.0 / 4096.0, (Kind::Float, tch::Device::Cpu));
    let written = file.rewritten(&[(proto, &values)], &[]).expect("written");
    let again = File::of_bytes(written, Path::new("m.onnx")).expect("a good file");
    let read = &again.graph().initializer.iter().find(|t| t.name() == "fc.weight");
    let read = again.tensor(read.expect("a tensor")).expect("readable");
    assert_eq!(read.double_value(&[0, 0]), 1.0 + 1.0 / 1024.0);
}

#[test]
fn external_data_become_a_file_beside_the_new_one() {
    let file = File::open(&fixture("external.onnx")).expect("a good file");
    let (new, folder) = (scaled(&file, 2.0), tempfile::tempdir().expect("a folder"));
    let path = folder.path().join("last.onnx");
    file.write(&path, &pairs(&new), &[]).expect("written");
    let written = File::open(&path).expect("a good file");
    let whole = File::open(&fixture("network-doubled.onnx")).expect("a good file");
    for (a, b) in written.graph().initializer.iter().zip(&whole.graph().initializer) {
        let (a, b) = (written.tensor(a).expect("readable"), whole.tensor(b).expect("readable"));
        assert_eq!(a, b);
    }
    let (old, new) =
        (bytes(&fixture("external.data")), bytes(&folder.path().join("external.data")));
    assert_eq!((new.len(), &new[..16]), (old.len(), &old[..16]));
    // Beside its source it would overwrite what the source reads.
    let said = written.write(&folder.path().join("other.onnx"), &[], &[]).expect_err("refused");
    assert!(said.to_string().ends_with("would overwrite the weights of its source"), "{said}");
    let said = file.rewritten(&pairs(&scaled(&file, 1.0)), &[]).expect_err("not in one file");
    assert_eq!(said.to_string(), "its weights are beside it, in `external.data`");
}
