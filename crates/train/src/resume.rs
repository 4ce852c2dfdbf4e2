//! The state of a run in one file, so that it is whole or not there: weights, optimiser, average,
//! epoch, settings. Schedules, order and augmentation follow from the epoch and the seed.

use crate::{Config, ema::Ema, objective::Objective, optimizer::Optimizer};
use anyhow::{Context, Result, ensure};
use models::{Classifier, Source, params::flat::Flat};
use std::{collections::BTreeMap, path::Path};
use tch::Tensor;
use tensorfile::TensorFile;

/// What a run carries from epoch to epoch.
pub struct State<'a> {
    /// The network.
    pub model: &'a Classifier,
    /// Where it has its tensors.
    pub flat: &'a Flat,
    /// What it is trained for.
    pub objective: &'a mut dyn Objective,
    /// Its optimiser.
    pub optimizer: &'a mut dyn Optimizer,
    /// Its average, if there is one.
    pub ema: Option<&'a mut Ema>,
}

/// Writes the state after `epoch` epochs.
pub fn save(path: &Path, state: &State, epoch: u32, config: &Config) -> Result<()> {
    let mut tensors = BTreeMap::new();
    let mut put = |part: &str, of: &BTreeMap<String, Tensor>| {
        tensors.extend(of.iter().map(|(name, t)| (format!("{part}/{name}"), t.shallow_clone())));
    };
    put("model", &state.model.params().tensors());
    put("objective", &state.objective.state());
    put("optimizer", &state.optimizer.state(state.flat));
    if let Some(ema) = &state.ema {
        put("ema", &ema.average());
    }
    let mut metadata = BTreeMap::from([
        ("epoch".to_owned(), epoch.to_string()),
        ("config".to_owned(), config.to_toml()),
    ]);
    metadata.extend(source(state.model).map(|source| ("source".to_owned(), source)));
    TensorFile { tensors, metadata }.write(path)
}

/// Reads a state into `state` and returns the epochs done. Errors: other settings than `config`.
pub fn load(path: &Path, state: &mut State, config: &Config) -> Result<u32> {
    let file = TensorFile::read(path)?;
    let told = || format!("cannot resume from `{}`", path.display());
    let stored = file.metadata.get("config").with_context(told)?;
    same_settings(stored, &config.to_toml()).with_context(told)?;
    let same = file.metadata.get("source") == source(state.model).as_ref();
    ensure!(same, "{}: the ONNX file that it began with is another now", told());
    let epoch = file.metadata.get("epoch").and_then(|e| e.parse().ok()).with_context(told)?;
    let device = state.model.device();
    let part = |name: &str| -> BTreeMap<String, Tensor> {
        let of = |full: &String| full.strip_prefix(name)?.strip_prefix('/').map(str::to_owned);
        file.tensors.iter().filter_map(|(full, t)| Some((of(full)?, t.to_device(device)))).collect()
    };
    state.model.params().fill(&part("model")).with_context(told)?;
    state.objective.restore(part("objective")).with_context(told)?;
    state.optimizer.restore(state.flat, &part("optimizer")).with_context(told)?;
    if let Some(ema) = &mut state.ema {
        ema.restore(&part("ema")).with_context(told)?;
    }
    Ok(epoch)
}

/// What stays of a graph's file in all that is trained: its digest.
fn source(model: &Classifier) -> Option<String> {
    match &model.source {
        Source::Zoo(_) => None,
        Source::Graph(graph) => Some(graph.file().sha256()),
    }
}

fn same_settings(stored: &str, now: &str) -> Result<()> {
    let changed = stored.lines().zip(now.lines()).find(|(a, b)| a != b);
    if let Some((was, is)) = changed {
        anyhow::bail!("the run was started with `{was}`, now it is `{is}`");
    }
    ensure!(stored.lines().count() == now.lines().count(), "the run had other settings");
    Ok(())
}
