//! Maps that were made elsewhere: by captum, by zennit, by any script. What needs no other maps than
//! those can be asked of them; they are not made anew for other images, and so not attacked.

use crate::{Attribution, Batch};
use anyhow::{Context, Result, bail, ensure};
use models::{Model, SharedTensor};
use registry::{Entry, described};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use tch::Tensor;
use tensorfile::TensorFile;
use toml::{Table, Value};

/// Not in the list of methods: it explains nothing.
pub const ENTRY: Entry<dyn Attribution> = Entry {
    name: "file",
    about: "maps that were made elsewhere, as `file:MAPS.safetensors`, one for each image in the \
            order of the data; for `explain` and for metrics that need no other maps",
    options: described::<Options>(&[
        ("path", "safetensors with maps [N, C, H, W], or [N, H, W] for all channels alike"),
        ("tensor", "its name in the file; without it the only one there, or `maps`"),
    ])
    .needing(&[("path", "maps.safetensors")]),
    build,
};

#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Options {
    path: PathBuf,
    tensor: Option<String>,
}

struct Stored {
    /// `[N, C or 1, H, W]`.
    maps: SharedTensor,
    path: PathBuf,
}

/// `file:PATH`, `file:PATH,tensor=NAME` or `file:path=PATH` as a table; none where another method is
/// spelled.
pub(super) fn table(spelled: &str) -> Result<Option<Table>> {
    let Some(rest) = spelled.strip_prefix("file:") else { return Ok(None) };
    let (first, others) = rest.split_once(',').unwrap_or((rest, ""));
    if first.contains('=') {
        return registry::parse(spelled).map(Some);
    }
    let mut table = registry::parse(&format!("file:{others}"))?;
    table.insert("path".into(), Value::String(first.trim_matches('"').into()));
    Ok(Some(table))
}

/// Errors: maps of a file where others have to be made.
pub(super) fn refuse(table: &Table) -> Result<()> {
    let stored = table.get("name").and_then(Value::as_str) == Some(ENTRY.name);
    ensure!(
        !stored,
        "maps of a file cannot be made for other images: `file` is for `explain` and `measure`"
    );
    Ok(())
}

fn build(mut table: Table) -> Result<Box<dyn Attribution>> {
    table.remove("name");
    let Options { path, tensor } = registry::options(table)?;
    let mut file = TensorFile::read(&path)?;
    let name = match tensor {
        Some(name) => name,
        None if file.tensors.len() == 1 => file.tensors.keys().next().cloned().unwrap_or_default(),
        None => "maps".to_owned(),
    };
    let told = || format!("`{}`: say which are the maps with `tensor=NAME`", path.display());
    let maps = file.take(&name).with_context(told)?;
    let maps = match maps.dim() {
        3 => maps.unsqueeze(1),
        4 => maps,
        _ => bail!(
            "`{}`: `{name}` is {:?}, not [N, C, H, W] or [N, H, W]",
            path.display(),
            maps.size()
        ),
    };
    ensure!(maps.is_floating_point(), "`{}`: `{name}` holds whole numbers", path.display());
    Ok(Box::new(Stored { maps: SharedTensor::new(maps), path }))
}

impl Attribution for Stored {
    fn attribute(&self, _model: &dyn Model, _batch: &Batch) -> Tensor {
        unreachable!("whoever takes `stored` maps asks for no others")
    }

    fn check(&self, _model: &dyn Model, [channels, height, width]: [i64; 3]) -> Result<()> {
        let (found, path) = (&self.maps.get().size()[1..], self.path.display());
        let [all, one] = [channels, 1].map(|channels| [channels, height, width]);
        ensure!(
            found == all || found == one,
            "the maps of `{path}` are {found:?}; of these images they would be {all:?} or {one:?}"
        );
        Ok(())
    }

    fn stored(&self) -> Option<Tensor> {
        Some(self.maps.get())
    }
}
