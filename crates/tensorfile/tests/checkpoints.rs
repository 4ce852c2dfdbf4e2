//! PyTorch checkpoints of both container forms, and safetensors files of our own.
//! Fixtures: tests/reference/checkpoints.py.

use std::{fs, path::PathBuf};
use tch::{Kind, Tensor};
use tensorfile::{TensorFile, torch};

fn fixture(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
}

fn error(name: &str) -> String {
    format!("{:#}", torch::read(&fixture(name)).expect_err("broken"))
}

fn numbers(tensor: &Tensor) -> Vec<f64> {
    Vec::try_from(tensor.to_kind(Kind::Double).contiguous().view(-1)).expect("one axis")
}

fn assert_plain(state: &torch::StateDict, name: &str) {
    let names: Vec<_> = state.tensors.keys().map(String::as_str).collect();
    let expected =
        ["bn1.bias", "bn1.running_mean", "bn1.running_var", "bn1.weight", "conv1.weight"];
    assert_eq!(names, expected, "{name}");
    let weight = &state.tensors["conv1.weight"];
    assert_eq!(weight.size(), [2, 1, 3, 3], "{name}");
    let values: Vec<f64> = (0..18).map(|i| f64::from(i) / 8. - 1.).collect();
    assert_eq!(numbers(weight), values, "{name}");
}

#[test]
fn every_container_and_layout_gives_the_same_state_dict() {
    for name in ["plain-zip.pt", "plain-legacy.pt", "nested-zip.pth", "nested-legacy.pth"] {
        let state = torch::read(&fixture(name)).unwrap();
        assert_plain(&state, name);
        assert_eq!(state.normalisation, None, "{name}");
    }
    let state = torch::read(&fixture("parameters-zip.pt")).unwrap();
    assert_eq!(state.tensors.keys().collect::<Vec<_>>(), ["bias", "weight"]);
    assert!(!state.tensors["weight"].requires_grad());
}

#[test]
fn the_robustness_layout_gives_its_normalisation() {
    for name in ["robustness-zip.pt", "robustness-legacy.pt"] {
        let state = torch::read(&fixture(name)).unwrap();
        assert_plain(&state, name);
        let (mean, std) = state.normalisation.unwrap();
        assert_eq!(mean, [0.5, 0.25, 0.125]);
        assert!(std.iter().zip([0.2, 0.3, 0.4]).all(|(a, b)| (a - b).abs() < 1e-7));
    }
}

#[test]
fn views_are_read_as_pytorch_sees_them() {
    for name in ["views-zip.pt", "views-legacy.pt"] {
        let state = torch::read(&fixture(name)).unwrap();
        let check = |key: &str, shape: &[i64], values: Vec<i64>| {
            let tensor = &state.tensors[key];
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
        let _ = state.tensors["offset"].shallow_clone().fill_(-1.);
        assert_eq!(state.tensors["transposed"].max().double_value(&[]), 23.);
        assert_eq!(state.tensors["transposed"].min().double_value(&[]), 0.);
    }
}

#[test]
fn every_type_is_kept() {
    for name in ["types-zip.pt", "types-legacy.pt"] {
        let state = torch::read(&fixture(name)).unwrap();
        assert_eq!(state.tensors.len(), 10, "{name}");
        for (key, tensor) in &state.tensors {
            let expected = match key.as_str() {
                "bool" => vec![0., 1., 1., 1.],
                _ => vec![0., 1., 2., 3.],
            };
            assert_eq!(numbers(tensor), expected, "{name} {key}");
        }
        assert_eq!(state.tensors["bfloat16"].kind(), Kind::BFloat16);
        assert_eq!(state.tensors["int64"].kind(), Kind::Int64);
        assert_eq!(state.tensors["bool"].kind(), Kind::Bool);
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
        let told = format!("{:#}", torch::read(&path).unwrap_err());
        assert!(told.contains("weights.pt") && !told.contains('\n'), "{told}");
        told
    };
    assert!(tell(b"").contains("the file is empty"));
    assert!(tell(b"# My weights\n").contains("neither a PyTorch zip archive nor a pickle"));
    assert!(tell(b"PK\x03\x04 and then nothing").contains("broken or cut short"));
    assert!(tell(b"\x80\x02K\x01.").contains("a pickle, but not one of PyTorch"));
    assert!(error("nothing-zip.pt").contains("no state dict; its entries are: epoch, lr"));
    assert!(error("model-zip.pt").contains("torch.nn.modules.linear.Linear"));
    assert!(error("absent.pt").contains("cannot read"));
    assert!(torch::is_torch(b"PK\x03\x04") && torch::is_torch(b"\x80\x02\x8a\x0a"));
    assert!(!torch::is_torch(b"") && !torch::is_torch(b"\x50\x01\0\0\0\0\0\0{"));
}

#[test]
fn damaged_checkpoints_are_errors_and_never_panics() {
    for name in ["plain-zip.pt", "plain-legacy.pt", "views-zip.pt", "views-legacy.pt"] {
        let whole = fs::read(fixture(name)).unwrap();
        assert!(torch::parse(whole.clone()).is_ok(), "{name}");
        for length in 0..whole.len() {
            assert!(torch::parse(whole[..length].to_vec()).is_err(), "{name} cut to {length}");
        }
        for at in 0..whole.len() {
            for flip in [1, 0x80, 0xff] {
                let mut bytes = whole.clone();
                bytes[at] ^= flip;
                let _ = torch::parse(bytes); // an error or other numbers
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
