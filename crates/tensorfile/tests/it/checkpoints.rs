//! PyTorch checkpoints of both container forms, and safetensors files of our own.
//! Fixtures: tests/reference/checkpoints.py.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};
use tch::{Kind, Tensor};
use tensorfile::{TensorFile, Weights, torch};

fn fixture(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
}

/// Every tensor of a file by its full name.
fn read(path: &Path) -> anyhow::Result<BTreeMap<String, Tensor>> {
    all(Weights::open(path)?)
}

fn all(mut file: Weights) -> anyhow::Result<BTreeMap<String, Tensor>> {
    let names: Vec<String> = file.names().map(str::to_owned).collect();
    names.into_iter().map(|name| Ok((name.clone(), file.tensor(&name)?))).collect()
}

/// Every tensor of a checkpoint in memory.
fn parse(bytes: Vec<u8>) -> anyhow::Result<Vec<Tensor>> {
    let mut file = torch::File::open(bytes)?;
    let names: Vec<String> = file.names().cloned().collect();
    names.iter().map(|name| file.tensor(name)).collect()
}

fn error(name: &str) -> String {
    format!("{:#}", read(&fixture(name)).expect_err("broken"))
}

fn numbers(tensor: &Tensor) -> Vec<f64> {
    Vec::try_from(tensor.to_kind(Kind::Double).contiguous().view(-1)).expect("one axis")
}

/// The tensors of `plain()` under `prefix`.
fn assert_plain(file: &BTreeMap<String, Tensor>, prefix: &str) {
    let names: Vec<_> = file.keys().filter_map(|name| name.strip_prefix(prefix)).collect();
    for name in ["bn1.bias", "bn1.running_mean", "bn1.running_var", "bn1.weight", "conv1.weight"] {
        assert!(names.contains(&name), "{prefix}{name}");
    }
    let weight = &file[&format!("{prefix}conv1.weight")];
    assert_eq!(weight.size(), [2, 1, 3, 3], "{prefix}");
    let values: Vec<f64> = (0..18).map(|i| f64::from(i) / 8. - 1.).collect();
    assert_eq!(numbers(weight), values, "{prefix}");
}

#[test]
fn every_container_and_layout_gives_the_same_tensors_under_full_names() {
    for end in ["zip", "legacy"] {
        let plain = read(&fixture(&format!("plain-{end}.pt"))).unwrap();
        assert_plain(&plain, "");
        assert_eq!(plain.len(), 6);
        let nested = read(&fixture(&format!("nested-{end}.pth"))).unwrap();
        assert_plain(&nested, "state_dict.module.");
        let robust = read(&fixture(&format!("robustness-{end}.pt"))).unwrap();
        assert_plain(&robust, "model.module.model.");
        assert_plain(&robust, "model.module.attacker.model.");
        assert_eq!(numbers(&robust["model.module.normalizer.new_mean"]), [0.5, 0.25, 0.125]);
    }
    let file = read(&fixture("parameters-zip.pt")).unwrap();
    assert_eq!(file.keys().collect::<Vec<_>>(), ["net.bias", "net.weight"]);
    assert!(!file["net.weight"].requires_grad());
}

#[test]
fn modules_lists_and_averages_are_named_too() {
    let file = read(&fixture("model-zip.pt")).unwrap();
    assert_eq!(file.keys().collect::<Vec<_>>(), ["bias", "weight"]);
    let file = read(&fixture("wrapped-zip.pt")).unwrap();
    assert_plain(&file, "[0].model.");
    assert_plain(&file, "[0].ema.module.");
    assert_eq!(file["[0].model.running"].size(), [2], "a buffer of a module");
}

#[test]
fn shapes_are_known_without_reading() {
    for name in ["plain-zip.pt", "nested-legacy.pth", "parameters-zip.pt", "types-zip.pt"] {
        let file = Weights::open(&fixture(name)).unwrap();
        let shapes: Vec<_> = file.names().map(|n| file.shape(n)).collect();
        for (shape, (name, tensor)) in shapes.into_iter().zip(all(file).unwrap()) {
            assert_eq!(shape, Some(tensor.size()), "{name}");
        }
    }
}

#[test]
fn tensors_without_plain_numbers_are_called_what_they_are() {
    let mut file = Weights::open(&fixture("odd-zip.pt")).unwrap();
    for (name, told) in [
        ("complex", "complex"),
        ("meta", "meta device"),
        ("quantised", "quantised"),
        ("sparse", "sparse"),
    ] {
        let error = format!("{:#}", file.tensor(name).unwrap_err());
        assert!(error.contains(told) && error.contains(name), "{name}: {error}");
    }
    assert_eq!(numbers(&file.tensor("fine").unwrap()), [0., 1.]);
}

/// Writes `names` as safetensors, each a number.
fn shard(path: &Path, names: &[&str]) {
    let tensors = names.iter().map(|name| ((*name).to_owned(), Tensor::from(1.))).collect();
    TensorFile { tensors, ..TensorFile::default() }.write(path).expect("a writable folder");
}

#[test]
fn shards_are_one_set_by_index_by_name_and_by_folder() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let (one, two) = ("model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors");
    shard(&at(one), &["a", "b"]);
    let told = format!("{:#}", read(&at(one)).unwrap_err());
    assert!(told.contains(two) && told.contains("one of 2 shards"), "{told}");
    shard(&at(two), &["c"]);
    assert_eq!(read(&at(two)).unwrap().keys().collect::<Vec<_>>(), ["a", "b", "c"]);
    let index = at("model.safetensors.index.json");
    let map = format!(r#"{{"weight_map": {{"a": "{one}", "b": "{one}", "c": "{two}"}}}}"#);
    fs::write(&index, &map).unwrap();
    for path in [&at(one), &index, &folder.path().to_owned()] {
        let file = Weights::open(path).unwrap();
        assert!(file.notes.iter().any(|note| note.contains("2 shards")), "{:?}", file.notes);
        assert_eq!(file.names().collect::<Vec<_>>(), ["a", "b", "c"]);
    }
    fs::write(&index, map.replace(r#""c""#, r#""d""#)).unwrap();
    assert!(format!("{:#}", read(&index).unwrap_err()).contains("lists `d`, which no shard has"));
    fs::write(&index, map.replace(two, "../x")).unwrap();
    assert!(
        format!("{:#}", read(&index).unwrap_err()).contains("`../x`, which is not a file beside")
    );
    let empty = tempfile::tempdir().unwrap();
    assert!(format!("{:#}", read(empty.path()).unwrap_err()).contains("a folder without weights"));
    for name in ["x.pt", "y.safetensors"] {
        shard(&empty.path().join(name), &["a"]);
    }
    let told = format!("{:#}", read(empty.path()).unwrap_err());
    assert!(
        told.contains("is a folder; name a file in it") && told.contains("y.safetensors"),
        "{told}"
    );
}

/// The same of the pickles that Hugging Face writes as `pytorch_model-00001-of-00002.bin`.
#[test]
fn shards_may_be_pickles() {
    let folder = tempfile::tempdir().unwrap();
    let mut map = vec![];
    for (i, from) in ["plain-zip.pt", "parameters-zip.pt"].into_iter().enumerate() {
        let shard = format!("pytorch_model-{:05}-of-00002.bin", i + 1);
        fs::copy(fixture(from), folder.path().join(&shard)).unwrap();
        map.extend(read(&fixture(from)).unwrap().keys().map(|n| format!(r#""{n}": "{shard}""#)));
    }
    let index = folder.path().join("pytorch_model.bin.index.json");
    fs::write(&index, format!(r#"{{"weight_map": {{{}}}}}"#, map.join(", "))).unwrap();
    for path in [&index, &folder.path().to_owned()] {
        let file = read(path).unwrap();
        assert_plain(&file, "");
        assert_eq!(file.len(), map.len());
        assert!(file.contains_key("net.weight"));
    }
}

#[test]
fn views_are_read_as_pytorch_sees_them() {
    for name in ["views-zip.pt", "views-legacy.pt"] {
        let state = read(&fixture(name)).unwrap();
        let check = |key: &str, shape: &[i64], values: Vec<i64>| {
            let tensor = &state[key];
            assert_eq!(tensor.size(), shape, "{name} {key}");
            assert!(tensor.is_contiguous(), "{name} {key}");
            let values: Vec<f64> = values.into_iter().map(|v| v as f64).collect();
            assert_eq!(numbers(tensor), values, "{name} {key}");
        };
        check("channels_last", &[1, 2, 3, 4], (0..24).collect());
        check("empty", &[0, 3], vec![]);
        check("expanded", &[2, 3], vec![3; 6]);
        check("offset", &[4], (10..14).collect());
        check("scalar", &[], vec![7]);
        check("sliced", &[2, 2], vec![6, 9, 18, 21]);
        check("transposed", &[6, 4], (0..24).map(|i| i % 4 * 6 + i / 4).collect());
        // they shared a storage in the file, but must not share memory here
        let _ = state["offset"].shallow_clone().fill_(-1.);
        assert_eq!(state["transposed"].max().double_value(&[]), 23.);
        assert_eq!(state["transposed"].min().double_value(&[]), 0.);
    }
}

#[test]
fn every_type_is_kept() {
    for name in ["types-zip.pt", "types-legacy.pt"] {
        let state = read(&fixture(name)).unwrap();
        assert_eq!(state.len(), 10, "{name}");
        for (key, tensor) in &state {
            let expected = match key.as_str() {
                "bool" => vec![0., 1., 1., 1.],
                _ => vec![0., 1., 2., 3.],
            };
            assert_eq!(numbers(tensor), expected, "{name} {key}");
        }
        assert_eq!(state["bfloat16"].kind(), Kind::BFloat16);
        assert_eq!(state["int64"].kind(), Kind::Int64);
        assert_eq!(state["bool"].kind(), Kind::Bool);
    }
}

#[test]
fn malicious_checkpoints_are_refused() {
    for name in ["malicious-zip.pt", "malicious-legacy.pt"] {
        let told = error(name);
        assert!(told.contains("the pickle asks for `posix.system`: it would run code, refused"));
        assert!(told.contains(name) && !told.contains('\n'), "{told}");
    }
}

#[test]
fn files_that_are_no_checkpoint_say_so_in_one_line() {
    let folder = tempfile::tempdir().unwrap();
    let tell = |bytes: &[u8]| {
        let path = folder.path().join("weights.pt");
        fs::write(&path, bytes).unwrap();
        let told = format!("{:#}", read(&path).unwrap_err());
        assert!(told.contains("weights.pt") && !told.contains('\n'), "{told}");
        told
    };
    let tar = [vec![b'x'; 257], b"ustar\x0000".to_vec()].concat();
    for (bytes, what) in [
        (&b""[..], "an empty file"),
        (b"# My weights\n", "text, which holds no tensors"),
        (b"<!DOCTYPE html><html>", "a web page"),
        (b"\n <html lang=en>", "a web page"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "git-lfs pointer"),
        (b"\x1f\x8b\x08\0\0\0\0\0", "gzip"),
        (b"\x89HDF\r\n\x1a\n\0\0", "HDF5"),
        (b"\x08\x07\x12\x07pytorch\x1a\x032.1", "ONNX"),
        (b"\x93NUMPY\x01\0v\0{'descr'", "NumPy"),
        (b"{\"layers\": []}", "JSON"),
        (&tar, "a tar archive"),
    ] {
        let told = tell(bytes);
        assert!(told.contains(what), "{told}");
    }
    assert!(tell(b"PK\x03\x04 and then nothing").contains("broken or cut short"));
    assert!(tell(b"\x80\x02K\x01.").contains("a pickle, but not one of PyTorch"));
    assert!(error("nothing-zip.pt").contains("no tensors; its entries are: epoch, lr"));
    assert!(error("script-zip.pt").contains("TorchScript"));
    assert!(error("numpy.npz").contains(".npz"));
    assert!(error("absent.pt").contains("cannot read"));
    assert!(torch::is_torch(b"PK\x03\x04") && torch::is_torch(b"\x80\x02\x8a\x0a"));
    assert!(!torch::is_torch(b"") && !torch::is_torch(b"\x50\x01\0\0\0\0\0\0{"));
}

#[test]
fn damaged_checkpoints_are_errors_and_never_panics() {
    for name in ["plain-zip.pt", "plain-legacy.pt", "views-zip.pt", "views-legacy.pt"] {
        let whole = fs::read(fixture(name)).unwrap();
        assert!(parse(whole.clone()).is_ok(), "{name}");
        for length in 0..whole.len() {
            assert!(parse(whole[..length].to_vec()).is_err(), "{name} cut to {length}");
        }
        for at in 0..whole.len() {
            for flip in [1, 0x80, 0xff] {
                let mut bytes = whole.clone();
                bytes[at] ^= flip;
                let _ = parse(bytes); // an error or other numbers
            }
        }
    }
}

#[test]
fn safetensors_round_trip_and_equal_contents_give_equal_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let file = |order: &[usize]| {
        let mut file = TensorFile::default();
        for &i in order {
            let values = Tensor::arange(6, (Kind::Float, tch::Device::Cpu)) + i as f64;
            file.tensors.insert(format!("layer{i}.weight"), values.view([2, 3]).tr());
            file.metadata.insert(format!("key{i}"), format!("a \"quoted\" ✓ value {i}"));
        }
        file
    };
    let (first, second) =
        (folder.path().join("a.safetensors"), folder.path().join("b.safetensors"));
    file(&[0, 1, 2, 3]).write(&first).unwrap();
    file(&[3, 1, 0, 2]).write(&second).unwrap();
    assert_eq!(fs::read(&first).unwrap(), fs::read(&second).unwrap());
    let mut back = TensorFile::read(&first).unwrap();
    assert_eq!(back.metadata, file(&[0, 1, 2, 3]).metadata);
    assert_eq!(numbers(&back.take("layer2.weight").unwrap()), [2., 5., 3., 6., 4., 7.]);
    assert!(back.take("layer9.weight").unwrap_err().to_string().contains("layer0.weight"));
    let bytes = fs::read(&first).unwrap();
    for length in 0..bytes.len() {
        fs::write(&second, &bytes[..length]).unwrap();
        assert!(TensorFile::read(&second).is_err(), "cut to {length}");
    }
}

#[test]
fn a_missing_tensor_is_told_with_some_of_those_there() {
    let named = |n: usize| TensorFile {
        tensors: (0..n).map(|i| (format!("{i:03}"), Tensor::from(0.))).collect(),
        ..TensorFile::default()
    };
    let told = |n| named(n).take("maps").unwrap_err().to_string();
    assert_eq!(told(2), "no tensor `maps`; the file has: 000, 001");
    let some = "000, 001, 002, 003, 004, 005, 006, 007";
    assert_eq!(told(8), format!("no tensor `maps`; the file has: {some}"));
    assert_eq!(told(300), format!("no tensor `maps`; the file has: {some} and 292 more"));
    assert!(named(2).take("001").is_ok());
}
