//! PyTorch checkpoints: what `torch.save` writes, as a zip archive or as the older sequence of
//! pickles. Found by content, not by name; nothing in the file is run. Tensors come out
//! contiguous, each with its own memory. Whole pickled modules are read too, as far as their
//! parameters and buffers can be. Not supported: TorchScript, sparse, quantised, complex.

use crate::pickle::{Object, Value};
use anyhow::{Context, Result, ensure};
use std::collections::BTreeMap;
use tch::Tensor;

mod container;
mod rebuild;
mod storage;

use container::Checkpoint;

/// An open checkpoint: every tensor in it by its full name. Keys of dicts and attributes of
/// objects are joined by dots, places in lists are in brackets: `[0].model.conv1.weight`.
pub struct File {
    checkpoint: Checkpoint,
    tensors: BTreeMap<String, Value>,
}

/// Whether a file that starts with `head` (8 bytes are enough) is a zip archive or a pickle.
pub fn is_torch(head: &[u8]) -> bool {
    container::is_zip(head) || container::is_pickle(head)
}

impl File {
    /// Opens a checkpoint whose bytes are `bytes`. Errors, in one line: not a checkpoint,
    /// truncated, without a tensor, a pickle that would run code.
    pub fn open(bytes: Vec<u8>) -> Result<Self> {
        let mut checkpoint = Checkpoint::open(bytes)?;
        let root = checkpoint.take_root();
        let mut tensors = BTreeMap::new();
        collect(String::new(), &root, &mut tensors);
        ensure!(!tensors.is_empty(), without_tensors(&root));
        Ok(File { checkpoint, tensors })
    }

    /// The full names of all tensors, sorted.
    pub fn names(&self) -> impl Iterator<Item = &String> {
        self.tensors.keys()
    }

    /// Reads one tensor. Errors: no such name, numbers missing, a kind that is not supported.
    pub fn tensor(&mut self, name: &str) -> Result<Tensor> {
        let value = self.tensors.get(name).with_context(|| format!("no tensor `{name}`"))?;
        rebuild::tensor(&mut self.checkpoint, value)
    }

    /// The shape of a tensor, where it is written beside its storage.
    pub fn shape(&self, name: &str) -> Option<Vec<i64>> {
        rebuild::shape(self.tensors.get(name)?)
    }
}

/// Puts every tensor inside `value` into `found`, under the names on the way to it.
fn collect(name: String, value: &Value, found: &mut BTreeMap<String, Value>) {
    let below = |key: &Value| {
        let key = match key {
            Value::Int(number) => number.to_string(),
            key => key.as_str()?.to_owned(),
        };
        Some(if name.is_empty() { key } else { format!("{name}.{key}") })
    };
    match value {
        _ if rebuild::is_tensor(value) => drop(found.insert(name, value.clone())),
        Value::Dict(entries) => {
            for (key, value) in entries {
                if let Some(name) = below(key) {
                    collect(name, value, found);
                }
            }
        }
        Value::List(items) | Value::Tuple(items) => {
            for (i, item) in items.iter().enumerate() {
                collect(format!("{name}[{i}]"), item, found);
            }
        }
        Value::Object(object) => collect_object(name, object, found),
        _ => (),
    }
}

/// The attributes of an object; of a module, what its state dict would have.
fn collect_object(name: String, object: &Object, found: &mut BTreeMap<String, Value>) {
    collect(name.clone(), &Value::Dict(object.items.clone()), found);
    let members = ["_parameters", "_buffers", "_modules"];
    if object.state.get(members[2]).is_none() {
        return collect(name, &object.state, found);
    }
    for value in members.iter().filter_map(|member| object.state.get(member)) {
        collect(name.clone(), value, found);
    }
}

fn without_tensors(root: &Value) -> String {
    match root {
        Value::Object(object) => {
            format!("it holds a pickled `{}` without tensors", object.class)
        }
        Value::Dict(items) => {
            let keys: Vec<&str> =
                items.iter().take(20).filter_map(|(key, _)| key.as_str()).collect();
            format!("it holds no tensors; its entries are: {}", keys.join(", "))
        }
        _ => "it holds no tensors".to_owned(),
    }
}
