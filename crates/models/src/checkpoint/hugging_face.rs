//! What Hugging Face's transformers write beside `model.safetensors`: `config.json` says which network it
//! is and how its classes are called, `preprocessor_config.json` what is done to images first. Both are
//! read as if they were the header of the file.

use anyhow::{Context, Result, bail, ensure};
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
    #[serde(flatten)]
    vit: Vit,
    #[serde(default)]
    id2label: BTreeMap<String, String>,
}

/// What a vision transformer's `config.json` says; transformers leave out nothing of it.
#[derive(Deserialize)]
struct Vit {
    hidden_size: Option<i64>,
    num_hidden_layers: Option<i64>,
    num_attention_heads: Option<i64>,
    intermediate_size: Option<i64>,
    patch_size: Option<i64>,
    image_size: Option<i64>,
    num_channels: Option<i64>,
    hidden_act: Option<String>,
    layer_norm_eps: Option<f64>,
    qkv_bias: Option<bool>,
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
    if let Some(image) = config.image() {
        header.insert("image".into(), image);
    }
    if let Some(how) = read::<Preprocessor>(&folder.join("preprocessor_config.json"))? {
        let joined = |all: &[f64]| all.iter().map(f64::to_string).collect::<Vec<_>>().join(",");
        if how.image_mean.len() == how.image_std.len() && !how.image_mean.is_empty() {
            header.insert(
                "normalise".into(),
                format!("{}/{}", joined(&how.image_mean), joined(&how.image_std)),
            );
            if let Some(side) = how.crop_size.or(how.size).and_then(|side| side.length()) {
                let image = format!("{}x{side}x{side}", how.image_mean.len());
                header.entry("image".into()).or_insert(image);
            }
        }
    }
    Ok(header)
}

impl Config {
    /// Our name of the network that is a `class` of transformers.
    fn arch(&self, class: &str) -> Result<&'static str> {
        if self.model_type.as_deref() == Some("vit") {
            return self.vit.arch(class);
        }
        let plain = !self.downsample_in_first_stage && !self.downsample_in_bottleneck;
        let (kind, layer) = (self.model_type.as_deref(), self.layer_type.as_deref());
        match (kind, layer, &self.depths[..]) {
            (Some("resnet"), Some("basic"), [2, 2, 2, 2]) if plain => Ok("resnet18-imagenet"),
            (Some("resnet"), Some("bottleneck"), [3, 4, 6, 3]) if plain => Ok("resnet50-imagenet"),
            _ => bail!(
                "`config.json` beside it says {class}; read are ResNet-18, ResNet-50 and ViTs; \
                 export the network as ONNX (docs/own-network.md)"
            ),
        }
    }

    /// Channels, height and width of its images, where its tensors depend on them.
    fn image(&self) -> Option<String> {
        let Vit { num_channels, image_size, .. } = self.vit;
        let side = image_size.filter(|_| self.model_type.as_deref() == Some("vit"))?;
        Some(format!("{}x{side}x{side}", num_channels.unwrap_or(3)))
    }

    /// The names of classes 0, 1, …; none where one is missing.
    fn classes(&self) -> Option<Vec<String>> {
        let all = (0..self.id2label.len()).map(|i| self.id2label.get(&i.to_string()).cloned());
        all.collect::<Option<Vec<_>>>().filter(|names| !names.is_empty())
    }
}

impl Vit {
    /// Errors: another depth, width or patch, another function than those of published networks.
    fn arch(&self, class: &str) -> Result<&'static str> {
        let told = "export the network as ONNX (docs/own-network.md)";
        let same = self.hidden_act.as_deref().is_none_or(|act| act == "gelu")
            && self.layer_norm_eps.is_none_or(|eps| eps == 1e-12)
            && self.qkv_bias != Some(false);
        ensure!(
            same,
            "`config.json` beside it says {class} with `hidden_act`, `layer_norm_eps` or `qkv_bias` other than \
             gelu, 1e-12 and true; {told}"
        );
        let wide = |width, heads| {
            let [hidden, head, inner, patch, layers] = [
                (self.hidden_size, 768),
                (self.num_attention_heads, 12),
                (self.intermediate_size, 3072),
                (self.patch_size, 16),
                (self.num_hidden_layers, 12),
            ]
            .map(|(said, usual)| said.unwrap_or(usual));
            [hidden, head, inner, patch, layers] == [width, heads, 4 * width, 16, 12]
        };
        let known = [("vit-ti16", 192, 3), ("vit-s16", 384, 6), ("vit-b16", 768, 12)];
        match known.into_iter().find(|&(_, width, heads)| wide(width, heads)) {
            Some((name, ..)) => Ok(name),
            None => bail!(
                "`config.json` beside it says {class} of another size than ViT-Tiny, -Small and -Base on patches of \
                 16 have; {told}"
            ),
        }
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
