//! `config.json` and `model.safetensors` as transformers write them: the architecture, the classes and the
//! normalisation are read from beside the weights.

use models::{
    Classifier, Model,
    checkpoint::{self, Hints},
    zoo::{self, Normalisation, Shape},
};
use std::{collections::BTreeMap, fs, path::Path};
use tch::{Device, Tensor};
use tensorfile::TensorFile;
use testkit::rule::{distance, images};

/// transformers' name of a tensor of a torchvision ResNet.
fn theirs(name: &str) -> String {
    let parts: Vec<&str> = name.split('.').collect();
    let kind = |word: &str| if word.starts_with("conv") { "convolution" } else { "normalization" };
    match parts[..] {
        ["fc", rest] => format!("classifier.1.{rest}"),
        [first, rest] => format!("resnet.embedder.embedder.{}.{rest}", kind(first)),
        [layer, block, "downsample", number, rest] => {
            let stage = layer[5..].parse::<u32>().unwrap() - 1;
            let kind = if number == "0" { "convolution" } else { "normalization" };
            format!("resnet.encoder.stages.{stage}.layers.{block}.shortcut.{kind}.{rest}")
        }
        [layer, block, word, rest] => {
            let stage = layer[5..].parse::<u32>().unwrap() - 1;
            let number = word[word.len() - 1..].parse::<u32>().unwrap() - 1;
            format!(
                "resnet.encoder.stages.{stage}.layers.{block}.layer.{number}.{}.{rest}",
                kind(word)
            )
        }
        _ => panic!("{name}"),
    }
}

fn published(folder: &Path, arch: &str, config: &str) -> Classifier {
    let arch = zoo::arch(arch).unwrap();
    let shape = Shape { image: [3, 64, 64], classes: 3 };
    let scale = Normalisation::parse("0.4,0.5,0.6/0.2,0.25,0.3", 3).unwrap();
    let model = Classifier::new(arch, shape, scale, 7, Device::Cpu);
    let tensors: BTreeMap<String, Tensor> =
        model.params().tensors().iter().map(|(n, t)| (theirs(n), t.shallow_clone())).collect();
    TensorFile { tensors, ..TensorFile::default() }
        .write(&folder.join("model.safetensors"))
        .unwrap();
    fs::write(folder.join("config.json"), config).unwrap();
    let how = r#"{"image_mean": [0.4, 0.5, 0.6], "image_std": [0.2, 0.25, 0.3], "size": {"shortest_edge": 64}}"#;
    fs::write(folder.join("preprocessor_config.json"), how).unwrap();
    model
}

#[test]
fn residual_networks_are_read_as_they_are() {
    for (arch, layer, depths) in [
        ("resnet18-imagenet", "basic", "[2, 2, 2, 2]"),
        ("resnet50-imagenet", "bottleneck", "[3, 4, 6, 3]"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let config = format!(
            r#"{{"architectures": ["ResNetForImageClassification"], "model_type": "resnet",
                "layer_type": "{layer}", "depths": {depths}, "hidden_act": "relu",
                "id2label": {{"0": "tench, Tinca tinca", "2": "shark", "1": "goldfish"}}}}"#
        );
        let expected = published(folder.path(), arch, &config).frozen();
        let x = images(2, &expected.shape);
        for path in [folder.path().to_owned(), folder.path().join("model.safetensors")] {
            let loaded = checkpoint::load(&path, &Hints::default()).unwrap();
            let found = loaded.classifier.frozen();
            assert_eq!(found.classes, ["tench, Tinca tinca", "goldfish", "shark"]);
            assert_eq!((found.shape.image, found.shape.classes), ([3, 64, 64], 3));
            let far = tch::no_grad(|| distance(&found.logits(&x), &expected.logits(&x)));
            assert!(far < 1e-6, "{arch}: {far:e} off");
            let told = loaded.notes.join("; ");
            assert!(told.contains(&format!("that it is a {arch}")), "{told}");
        }
    }
}

/// The `config.json` of a vision transformer.
fn vit(more: &str) -> String {
    format!(
        r#"{{"architectures": ["ViTForImageClassification"], "model_type": "vit", "image_size": 64,
            "id2label": {{"0": "cat", "1": "dog", "2": "ship"}}, {more}}}"#
    )
}

#[test]
fn vision_transformers_are_read_as_they_are() {
    let folder = tempfile::tempdir().unwrap();
    let arch = zoo::arch("vit-ti16").unwrap();
    let shape = Shape { image: [3, 64, 64], classes: 3 };
    let scale = Normalisation::parse("0.5/0.5", 3).unwrap();
    let model = Classifier::new(arch, shape, scale, 7, Device::Cpu);
    // The parameters have transformers' own names.
    TensorFile { tensors: model.params().tensors(), ..TensorFile::default() }
        .write(&folder.path().join("model.safetensors"))
        .unwrap();
    let size = r#""hidden_size": 192, "num_attention_heads": 3, "intermediate_size": 768, "hidden_act": "gelu""#;
    fs::write(folder.path().join("config.json"), vit(size)).unwrap();
    let how = r#"{"image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.5, 0.5], "size": {"height": 64, "width": 64}}"#;
    fs::write(folder.path().join("preprocessor_config.json"), how).unwrap();
    let loaded = checkpoint::load(folder.path(), &Hints::default()).unwrap();
    let (found, expected) = (loaded.classifier.frozen(), model.frozen());
    assert_eq!(found.classes, ["cat", "dog", "ship"]);
    assert_eq!(found.shape.image, [3, 64, 64]);
    let x = images(2, &expected.shape);
    assert!(tch::no_grad(|| distance(&found.logits(&x), &expected.logits(&x))) < 1e-6);
}

#[test]
fn other_networks_are_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let config = r#"{"architectures": ["BeitForImageClassification"], "model_type": "beit"}"#;
    let _ = published(folder.path(), "resnet18-imagenet", config);
    let file = folder.path().join("model.safetensors");
    let told = |hints: &Hints| format!("{:#}", checkpoint::load(&file, hints).err().unwrap());
    let said = told(&Hints::default());
    assert!(said.contains("BeitForImageClassification") && said.contains("ONNX"), "{said}");
    // Vision transformers of other sizes and with other functions.
    for (other, part) in [
        (r#""patch_size": 32"#, "of another size than"),
        (r#""num_hidden_layers": 24"#, "of another size than"),
        (r#""hidden_act": "relu""#, "`hidden_act`"),
        (r#""layer_norm_eps": 1e-5"#, "`layer_norm_eps`"),
        (r#""qkv_bias": false"#, "`qkv_bias`"),
    ] {
        fs::write(folder.path().join("config.json"), vit(other)).unwrap();
        let said = told(&Hints::default());
        assert!(said.contains(part) && said.contains("ONNX"), "{other}: {said}");
    }
    // Another class of the same library, or a file that is not JSON.
    fs::write(folder.path().join("config.json"), r#"{"architectures": ["ResNetModel"]}"#).unwrap();
    assert!(told(&Hints::default()).contains("--arch"));
    fs::write(folder.path().join("config.json"), "{").unwrap();
    assert!(told(&Hints::default()).contains("config.json"));
    // Who says the architecture is not asked to mend files beside it.
    let hints = Hints { arch: Some("resnet18-imagenet".into()), ..Hints::default() };
    checkpoint::load(&file, &hints).unwrap();
}
