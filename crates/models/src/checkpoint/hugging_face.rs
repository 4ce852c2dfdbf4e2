//! What Hugging Face's transformers write beside `model.safetensors`: `config.json` says which network it
//! is and how its classes are called, `preprocessor_config.json` what is done to images first. Both are
//! read as if they were the header of the file.

use anyhow::{Context, Result, bail};
use serde::{Deserialize, de::DeserializeOwned};
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

/// Of a `config.json`.
#[derive(Deserialize)]
struct Config {
    #[serde(default)]
    architectures: Vec<String>,
    model_type: Option<String>,
    #[serde(default)]
    depths: Vec<u32>,
    layer_type: Option<String>,
    #[serde(default)]
    downsample_in_first_stage: bool,
    #[serde(default)]
    downsample_in_bottleneck: bool,
    #[serde(default)]
    id2label: BTreeMap<String, String>,
}

/// Of a `preprocessor_config.json`.
#[derive(Deserialize)]
struct Preprocessor {
    #[serde(default)]
    image_mean: Vec<f64>,
    #[serde(default)]
    image_std: Vec<f64>,
    crop_size: Option<Side>,
    size: Option<Side>,
}

/// The side of square images, in the forms of several versions.
#[derive(Deserialize)]
#[serde(untagged)]
enum Side {
    Number(i64),
    Square { height: i64, width: i64 },
    Shortest { shortest_edge: i64 },
}

impl Side {
    fn length(&self) -> Option<i64> {
        match *self {
            Side::Number(side) | Side::Shortest { shortest_edge: side } => Some(side),
            Side::Square { height, width } => (height == width).then_some(width),
        }
    }
}

/// What the files beside `weights`, a file or its folder, say, by the keys of a header; nothing where
/// there is no `config.json` of an image classifier. Errors: such a file that is broken, a network that is not
/// among the architectures.
pub(super) fn header(weights: &Path) -> Result<BTreeMap<String, String>> {
    let folder = match weights.is_dir() {
        true => weights.to_owned(),
        false => weights.parent().map(Path::to_owned).unwrap_or_default(),
    };
    let Some(config) = read::<Config>(&folder.join("config.json"))? else {
        return Ok(BTreeMap::new());
    };
    let Some(class) =
        config.architectures.iter().find(|name| name.ends_with("ForImageClassification"))
    else {
        return Ok(BTreeMap::new());
    };
    let mut header = BTreeMap::from([("arch".to_owned(), config.arch(class)?.to_owned())]);
    if let Some(classes) = config.classes() {
        header.insert("classes".into(), tensorfile::header::join(&classes));
    }
    if let Some(how) = read::<Preprocessor>(&folder.join("preprocessor_config.json"))? {
        let joined = |all: &[f64]| all.iter().map(f64::to_string).collect::<Vec<_>>().join(",");
        if how.image_mean.len() == how.image_std.len() && !how.image_mean.is_empty() {
            header.insert(
                "normalise".into(),
                format!("{}/{}", joined(&how.image_mean), joined(&how.image_std)),
            );
            if let Some(side) = how.crop_size.or(how.size).and_then(|side| side.length()) {
                header.insert("image".into(), format!("{}x{side}x{side}", how.image_mean.len()));
            }
        }
    }
    Ok(header)
}

impl Config {
    /// Our name of the network that is a `class` of transformers.
    fn arch(&self, class: &str) -> Result<&'static str> {
        let plain = !self.downsample_in_first_stage && !self.downsample_in_bottleneck;
        let (kind, layer) = (self.model_type.as_deref(), self.layer_type.as_deref());
        match (kind, layer, &self.depths[..]) {
            (Some("resnet"), Some("basic"), [2, 2, 2, 2]) if plain => Ok("resnet18-imagenet"),
            (Some("resnet"), Some("bottleneck"), [3, 4, 6, 3]) if plain => Ok("resnet50-imagenet"),
            _ => bail!(
                "`config.json` beside it says {class}, of which only ResNet-18 and ResNet-50 are read; \
                 export the network as ONNX (docs/own-network.md)"
            ),
        }
    }

    /// The names of classes 0, 1, …; none where one is missing.
    fn classes(&self) -> Option<Vec<String>> {
        let all = (0..self.id2label.len()).map(|i| self.id2label.get(&i.to_string()).cloned());
        all.collect::<Option<Vec<_>>>().filter(|names| !names.is_empty())
    }
}

fn read<T: DeserializeOwned>(path: &PathBuf) -> Result<Option<T>> {
    if !path.is_file() {
        return Ok(None);
    }
    let told = || format!("`{}`", path.display());
    let text = fs::read_to_string(path).with_context(told)?;
    serde_json::from_str(&text).with_context(told).map(Some)
}
