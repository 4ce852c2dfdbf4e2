//! PyTorch checkpoints: what `torch.save` writes, as a zip archive or as the older sequence of
//! pickles. Found by content, not by name; nothing in the file is run. Tensors come out
//! contiguous, each with its own memory. Not supported: TorchScript, sparse, quantised, complex.

use crate::pickle::Value;
use anyhow::{Context, Result, bail, ensure};
use std::{collections::BTreeMap, fs, path::Path};
use tch::{Kind, Tensor};

mod container;
mod rebuild;

use container::Checkpoint;

/// The weights of a checkpoint under their plain names.
#[derive(Debug, Default)]
pub struct StateDict {
    /// Every tensor by name, without `module.` and `module.model.`, without batch counters.
    pub tensors: BTreeMap<String, Tensor>,
    /// Mean and standard deviation per channel, where the `robustness` library stored them.
    pub normalisation: Option<(Vec<f64>, Vec<f64>)>,
}

/// Where checkpoints keep their state dict when it is not the whole checkpoint, best first.
const NESTED: [&str; 5] = ["state_dict", "model_state_dict", "net", "model", "weights"];

/// Wrappers that put their name in front of every key: DataParallel, torch.compile, robustness.
const PREFIXES: [&str; 3] = ["module.", "_orig_mod.", "model."];

/// Whether a file that starts with `head` (8 bytes are enough) is a zip archive or a pickle.
pub fn is_torch(head: &[u8]) -> bool {
    container::is_zip(head) || container::is_pickle(head)
}

/// Reads the state dict of a checkpoint. Errors, in one line: no such file, empty, not a
/// checkpoint, truncated, without a state dict, a tensor that cannot be read, a pickle that
/// would run code.
pub fn read(path: &Path) -> Result<StateDict> {
    let bytes = fs::read(path).with_context(|| format!("cannot read `{}`", path.display()))?;
    parse(bytes).with_context(|| format!("`{}` cannot be used as a checkpoint", path.display()))
}

/// The state dict of a checkpoint whose bytes are `bytes`; the errors of [`read`].
pub fn parse(bytes: Vec<u8>) -> Result<StateDict> {
    let mut checkpoint = Checkpoint::open(bytes)?;
    let root = checkpoint.take_root();
    let entries = find(&root, 0).with_context(|| without_tensors(&root))?;
    let wanted = named_tensors(entries)?;
    let names = plain_names(&wanted);
    let mut state = StateDict::default();
    let (mut mean, mut std) = (None, None);
    for ((name, value), plain) in wanted.iter().zip(names) {
        let mut tensor =
            || rebuild::tensor(&mut checkpoint, value).with_context(|| format!("tensor `{name}`"));
        match plain {
            Name::Weight(plain) => drop(state.tensors.insert(plain, tensor()?)),
            Name::Mean => mean = Some(numbers(&tensor()?)?),
            Name::Std => std = Some(numbers(&tensor()?)?),
            Name::Copy => (),
        }
    }
    state.normalisation = match (mean, std) {
        (Some(mean), Some(std)) => Some(checked(mean, std)?),
        (None, None) => None,
        _ => bail!("only one of `normalizer.new_mean` and `normalizer.new_std` is there"),
    };
    Ok(state)
}

/// The entries of the state dict inside a checkpoint.
fn find(value: &Value, depth: usize) -> Option<&[(Value, Value)]> {
    let nested = NESTED.iter().filter_map(|key| value.get(key));
    let mut nested = nested.filter_map(|inner| (depth < 3).then(|| find(inner, depth + 1))?);
    nested.next().or_else(|| {
        let entries = value.as_dict()?;
        entries.iter().any(|(_, value)| rebuild::is_tensor(value)).then_some(entries)
    })
}

fn without_tensors(root: &Value) -> String {
    match root {
        Value::Object(object) => format!(
            "it holds a pickled `{}`, not a state dict: save `model.state_dict()` instead",
            object.class
        ),
        Value::Dict(items) => {
            let keys: Vec<&str> =
                items.iter().take(20).filter_map(|(key, _)| key.as_str()).collect();
            format!("it holds no state dict; its entries are: {}", keys.join(", "))
        }
        _ => "it holds no state dict".to_owned(),
    }
}

/// The tensors of a state dict, without BatchNorm's step counters; what is no tensor is left out.
fn named_tensors(entries: &[(Value, Value)]) -> Result<BTreeMap<&str, &Value>> {
    let mut tensors = BTreeMap::new();
    for (key, value) in entries.iter().filter(|(_, value)| rebuild::is_tensor(value)) {
        let key = key.as_str().context("a tensor whose key is not text")?;
        if !key.ends_with("num_batches_tracked") {
            tensors.insert(key, value);
        }
    }
    Ok(tensors)
}

/// What a key means once the wrappers' prefixes are gone.
enum Name {
    Weight(String),
    Mean,
    Std,
    /// The attacker of `robustness` holds the model a second time.
    Copy,
}

fn plain_names(tensors: &BTreeMap<&str, &Value>) -> Vec<Name> {
    let mut names: Vec<&str> = tensors.keys().copied().collect();
    strip(&mut names, &PREFIXES[..2]);
    if !names.contains(&"normalizer.new_mean") {
        strip(&mut names, &PREFIXES);
        return names.into_iter().map(|name| Name::Weight(name.to_owned())).collect();
    }
    let plain = |name: &str| match name {
        "normalizer.new_mean" => Name::Mean,
        "normalizer.new_std" => Name::Std,
        _ if name.starts_with("attacker.") => Name::Copy,
        _ => Name::Weight(name.strip_prefix("model.").unwrap_or(name).to_owned()),
    };
    names.into_iter().map(plain).collect()
}

/// Takes prefixes off for as long as every name has the same one.
fn strip(names: &mut [&str], prefixes: &[&str]) {
    let shared = |names: &[&str]| {
        let all = |prefix: &str| !names.is_empty() && names.iter().all(|n| n.starts_with(prefix));
        prefixes.iter().copied().find(|prefix| all(prefix))
    };
    while let Some(prefix) = shared(names) {
        for name in names.iter_mut() {
            *name = &name[prefix.len()..];
        }
    }
}

fn numbers(tensor: &Tensor) -> Result<Vec<f64>> {
    Ok(Vec::try_from(tensor.to_kind(Kind::Double).flatten(0, -1))?)
}

fn checked(mean: Vec<f64>, std: Vec<f64>) -> Result<(Vec<f64>, Vec<f64>)> {
    let fine = mean.len() == std.len()
        && mean.iter().all(|m| m.is_finite())
        && std.iter().all(|s| s.is_finite() && *s > 0.0);
    ensure!(fine, "its normalisation is not usable: mean {mean:?}, std {std:?}");
    Ok((mean, std))
}
