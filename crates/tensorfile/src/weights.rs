//! The one way to tensors that somebody saved: safetensors, a PyTorch checkpoint, shards of either
//! with their index, a folder of them; recognised by content. What is nested in a file becomes
//! one name with dots (`state_dict.module.conv1.weight`), so all forms are searched alike.

use crate::{TensorFile, torch};
use anyhow::{Context, Result, bail, ensure};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};
use tch::Tensor;

/// The named tensors of one file, or of the shards of one set.
pub struct Weights {
    parts: Vec<Part>,
    /// Which part has each name.
    names: BTreeMap<String, usize>,
    /// The strings of a safetensors header; empty for other files.
    pub metadata: BTreeMap<String, String>,
    /// Sentences about what was read, where that is not the file that was named alone.
    pub notes: Vec<String>,
}

enum Part {
    Safetensors(TensorFile),
    Torch(torch::File),
}

impl Weights {
    /// Opens what `path` names. Errors, in one line: not there, not a tensor file (and what it is
    /// instead), truncated, a shard missing, a folder of several, a pickle that would run code.
    pub fn open(path: &Path) -> Result<Self> {
        if path.is_dir() {
            return of_folder(path);
        }
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if name.ends_with(".index.json") {
            return of_index(path);
        }
        match Shard::parse(&name) {
            Some(shard) => shard.set(path),
            None => Self::of_parts(vec![Part::read(path)?]),
        }
    }

    fn of_parts(parts: Vec<Part>) -> Result<Self> {
        let (mut names, mut metadata) = (BTreeMap::new(), BTreeMap::new());
        for (i, part) in parts.iter().enumerate() {
            for name in part.names() {
                let before = names.insert(name.clone(), i);
                ensure!(before.is_none(), "two shards have a tensor `{name}`");
            }
            if let Part::Safetensors(file) = part {
                metadata.extend(file.metadata.clone());
            }
        }
        Ok(Weights { parts, names, metadata, notes: vec![] })
    }

    /// The full name of every tensor.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.names.keys().map(String::as_str)
    }

    /// The tensor called `name`, contiguous, with its own memory. Errors: no such tensor, and one
    /// that cannot be read, called what it is: quantised, sparse, complex, without data.
    pub fn tensor(&mut self, name: &str) -> Result<Tensor> {
        let part = *self.names.get(name).with_context(|| format!("no tensor `{name}`"))?;
        let tensor = match &mut self.parts[part] {
            Part::Safetensors(file) => Ok(file.tensors[name].shallow_clone()),
            Part::Torch(file) => file.tensor(name),
        };
        tensor.with_context(|| format!("tensor `{name}`"))
    }

    /// The shape of a tensor, where the file says it without being read.
    pub fn shape(&self, name: &str) -> Option<Vec<i64>> {
        match &self.parts[*self.names.get(name)?] {
            Part::Safetensors(file) => Some(file.tensors[name].size()),
            Part::Torch(file) => file.shape(name),
        }
    }
}

impl Part {
    fn read(path: &Path) -> Result<Self> {
        let told = || format!("`{}`", path.display());
        let bytes = fs::read(path).with_context(|| format!("cannot read {}", told()))?;
        if torch::is_torch(&bytes) {
            let file = torch::File::open(bytes);
            return Ok(Part::Torch(
                file.with_context(|| format!("{} cannot be used as a checkpoint", told()))?,
            ));
        }
        Ok(Part::Safetensors(TensorFile::of_bytes(&bytes, path)?))
    }

    fn names(&self) -> Box<dyn Iterator<Item = &String> + '_> {
        match self {
            Part::Safetensors(file) => Box::new(file.tensors.keys()),
            Part::Torch(file) => Box::new(file.names()),
        }
    }
}

/// The set of shards that an index lists, or the only weights there are.
fn of_folder(folder: &Path) -> Result<Weights> {
    let told = || format!("cannot read `{}`", folder.display());
    let mut files = vec![];
    for entry in fs::read_dir(folder).with_context(told)? {
        files.push(entry.with_context(told)?.path());
    }
    files.sort();
    let with = |ends: &[&str]| -> Vec<PathBuf> {
        let name = |p: &PathBuf| p.file_name().unwrap_or_default().to_string_lossy().into_owned();
        files.iter().filter(|p| ends.iter().any(|e| name(p).ends_with(e))).cloned().collect()
    };
    let indices = with(&[".index.json"]);
    let found = match indices.is_empty() {
        true => with(&[".safetensors", ".pt", ".pth", ".th", ".ckpt", ".tar", ".bin"]),
        false => indices,
    };
    let shown = found.iter().take(8).map(|p| format!("`{}`", p.display())).collect::<Vec<_>>();
    match found.as_slice() {
        [] => bail!("`{}` is a folder without weights in it", folder.display()),
        [one] => {
            let mut weights = Weights::open(one)?;
            weights.notes.insert(0, format!("the weights are read from {}", shown[0]));
            Ok(weights)
        }
        _ => bail!("`{}` is a folder; name a file in it: {}", folder.display(), shown.join(", ")),
    }
}

#[derive(serde::Deserialize)]
struct Index {
    weight_map: BTreeMap<String, String>,
}

/// The shards that an index names, all of them in its own folder.
fn of_index(path: &Path) -> Result<Weights> {
    let told = || format!("`{}`", path.display());
    let text = fs::read(path).with_context(|| format!("cannot read {}", told()))?;
    let index: Index = serde_json::from_slice(&text)
        .with_context(|| format!("{} is not an index with a `weight_map`", told()))?;
    let files: BTreeSet<&String> = index.weight_map.values().collect();
    let folder = path.parent().unwrap_or(Path::new(""));
    let mut parts = vec![];
    for file in files {
        let plain = Path::new(file).file_name().is_some_and(|name| name == file.as_str());
        ensure!(plain, "{} names `{file}`, which is not a file beside it", told());
        parts.push(Part::read(&folder.join(file)).with_context(|| format!("shard of {}", told()))?);
    }
    let count = parts.len();
    let mut weights = Weights::of_parts(parts)?;
    let absent = index.weight_map.keys().find(|name| !weights.names.contains_key(*name));
    if let Some(name) = absent {
        bail!("{} lists `{name}`, which no shard has", told());
    }
    weights.notes.push(format!("{count} shards are read, as {} lists them", told()));
    Ok(weights)
}

/// A file name such as `model-00001-of-00003.safetensors`.
struct Shard<'a> {
    stem: &'a str,
    count: usize,
    end: &'a str,
}

impl<'a> Shard<'a> {
    fn parse(name: &'a str) -> Option<Self> {
        let (stem, end) = name.rsplit_once('.')?;
        let (stem, count) = stem.rsplit_once("-of-")?;
        let (stem, number) = stem.rsplit_once('-')?;
        let digits = |t: &str| t.len() == 5 && t.bytes().all(|b| b.is_ascii_digit());
        (digits(number) && digits(count)).then(|| Shard {
            stem,
            count: count.parse().unwrap_or(0),
            end,
        })
    }

    /// The whole set that the shard at `path` belongs to, by its index or by the names beside it.
    fn set(&self, path: &Path) -> Result<Weights> {
        let Shard { stem, count, end } = self;
        let index = path.with_file_name(format!("{stem}.{end}.index.json"));
        if index.is_file() {
            return of_index(&index);
        }
        let name = |i: usize| path.with_file_name(format!("{stem}-{i:05}-of-{count:05}.{end}"));
        let mut parts = vec![];
        for i in 1..=*count {
            let part = Part::read(&name(i));
            parts.push(
                part.with_context(|| format!("`{}` is one of {count} shards", path.display()))?,
            );
        }
        let mut weights = Weights::of_parts(parts)?;
        weights.notes.push(format!("{count} shards are read, by their names"));
        Ok(weights)
    }
}
