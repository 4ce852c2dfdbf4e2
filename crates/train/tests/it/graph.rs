//! ONNX networks in training: the file that comes out is the file that went in with other weights.

use crate::tiny::{self, Silent};
use models::{
    Model,
    checkpoint::{self, Hints},
    noise,
};
use std::{fs, path::Path};
use tch::{Device, Kind, Tensor};
use tensorfile::onnx::File;
use testkit::onnx::{mask, network, standardised};
use train::{Config, Job, run};

/// Settings of a short run that goes on with `weights`.
fn config(weights: &Path, set: &[&str]) -> Config {
    let text = format!(
        "epochs = 2\nbatch_size = 8\n[data]\ntrain = 'grey'\n[model]\nweights = '{}'\n\
         normalise = '0.1/0.5'\n[optimizer]\nname = 'sgd'\nlearning_rate = 0.02\nmomentum = 0.9\n",
        weights.display()
    );
    Config::parse(&text, &set.iter().map(|s| (*s).to_owned()).collect::<Vec<_>>()).unwrap()
}

fn job(config: &Config, out: &Path) -> Job {
    let normalise = config.model.normalise.clone();
    let hints = Hints { normalise, ..Hints::default() };
    let path = config.model.weights.clone().unwrap();
    let model = checkpoint::load(Path::new(&path), &hints).unwrap().classifier;
    tiny::job_of(config, model, [24, 12], out)
}

fn written(folder: &Path, bytes: Vec<u8>) -> std::path::PathBuf {
    let path = folder.join("mine.onnx");
    fs::write(&path, bytes).unwrap();
    path
}

/// Whether `new` is `old` but for the numbers of its tensors, with strings appended.
fn only_weights_differ(old: &[u8], new: &[u8]) -> bool {
    let file = File::of_bytes(old.to_vec(), Path::new("old.onnx")).unwrap();
    let mut masked = [old.to_vec(), new[..old.len()].to_vec()];
    for tensor in &file.graph().initializer {
        let raw = tensor.raw_data.as_ref().map(|raw| raw.to_vec()).unwrap_or_default();
        let at = old.windows(raw.len().max(1)).position(|part| part == raw);
        let at = at.filter(|_| !raw.is_empty());
        at.iter().for_each(|at| masked.iter_mut().for_each(|m| m[*at..at + raw.len()].fill(0)));
    }
    masked[0] == masked[1]
}

#[test]
fn last_onnx_is_the_same_file_with_other_weights() {
    for (batch, objective) in [
        (0, "name='natural'"),
        (4, "name='natural'"),
        (0, "name='ssr',scale=1"),
        (0, "name='natural',label_smoothing=0.1"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let path = written(folder.path(), network(batch).bytes());
        let set = [&*format!("objective={{{objective}}}")];
        let job = job(&config(&path, &set), &folder.path().join("run"));
        let before = job.model.params().tensors();
        let before: Vec<Tensor> = before.values().map(Tensor::copy).collect();
        let lines = run(&job, &mut Silent).unwrap();
        assert!(lines[1].loss["total"] < lines[0].loss["total"], "{objective} {lines:?}");
        for (old, (name, new)) in before.iter().zip(job.model.params().tensors()) {
            assert!(!old.equal(&new), "{objective} leaves `{name}` as it was");
        }
        let last = folder.path().join("run/last.onnx");
        assert!(only_weights_differ(&fs::read(&path).unwrap(), &fs::read(&last).unwrap()));
        // No hint is needed any more.
        let read = checkpoint::load(&last, &Hints::default()).unwrap();
        assert_eq!(read.classifier.classes, job.model.classes);
        assert_eq!(read.metadata["training"], config_name(objective));
        assert!(!read.notes.iter().any(|note| note.contains("assuming")), "{:?}", read.notes);
        let keys: Vec<u64> = (0..5).collect();
        let x = noise::uniform(&keys, &[3, 8, 8], Device::Cpu);
        let (a, b) = (job.model.logits(&x), read.classifier.logits(&x));
        assert!((&a - &b).abs().max().double_value(&[]) < 1e-5 * a.abs().max().double_value(&[]));
    }
}

fn config_name(objective: &str) -> String {
    objective.split('\'').nth(1).unwrap().to_owned()
}

#[test]
fn what_computes_a_weight_is_trained_and_written() {
    let folder = tempfile::tempdir().unwrap();
    let path = written(folder.path(), standardised().bytes());
    let job = job(&config(&path, &["objective={name='ssr',scale=1}"]), &folder.path().join("run"));
    let before = job.model.params().tensors();
    assert_eq!(before.keys().collect::<Vec<_>>(), ["conv/w", "gain", "head/w"]);
    let before: Vec<Tensor> = before.values().map(Tensor::copy).collect();
    let lines = run(&job, &mut Silent).unwrap();
    assert!(lines[1].loss["total"] < lines[0].loss["total"], "{lines:?}");
    let after = job.model.params().tensors();
    assert!(before.iter().zip(after.values()).all(|(old, new)| !old.equal(new)));
    let last = folder.path().join("run/last.onnx");
    assert!(only_weights_differ(&fs::read(&path).unwrap(), &fs::read(&last).unwrap()));
    let file = File::open(&last).unwrap();
    let stored = |name: &str| {
        let mut all = file.graph().initializer.iter();
        file.tensor(all.find(|tensor| tensor.name() == name).unwrap()).unwrap()
    };
    assert!(stored("mask").equal(&mask(&[4, 3, 3, 3])));
    assert!(stored("conv/w").equal(&after["conv/w"]) && stored("gain").equal(&after["gain"]));
}

#[test]
fn a_graph_that_is_written_unchanged_has_the_same_numbers() {
    let folder = tempfile::tempdir().unwrap();
    let path = written(folder.path(), network(0).bytes());
    let job = job(&config(&path, &[]), folder.path());
    let to = folder.path().join("same.onnx");
    checkpoint::save(&to, &job.model, Kind::Float, &Default::default()).unwrap();
    let (old, new) = (fs::read(&path).unwrap(), fs::read(&to).unwrap());
    assert!(old == new[..old.len()]);
}

#[test]
fn a_killed_run_of_a_graph_ends_as_one_never_killed() {
    let folder = tempfile::tempdir().unwrap();
    let path = written(folder.path(), network(0).bytes());
    let config = config(&path, &["ema=0.8", "objective={name='ssr',scale=1}"]);
    let (whole, killed) = (folder.path().join("whole"), folder.path().join("killed"));
    run(&job(&config, &whole), &mut Silent).unwrap();
    for (epoch, step) in [(1, 2), (2, 1), (2, 0)] {
        tiny::killed(&job(&config, &killed), epoch, step);
    }
    run(&job(&config, &killed), &mut Silent).unwrap();
    let read = |folder: &Path| fs::read(folder.join("last.onnx")).unwrap();
    assert!(read(&whole) == read(&killed));
    // Another file under the same name.
    fs::write(&path, network(4).bytes()).unwrap();
    let error = format!("{:#}", run(&job(&config, &killed), &mut Silent).unwrap_err());
    assert!(error.ends_with("the ONNX file that it began with is another now"), "{error}");
}

#[test]
fn frozen_norms_keep_their_statistics_and_are_written_with_them() {
    let folder = tempfile::tempdir().unwrap();
    let path = written(folder.path(), network(0).bytes());
    for (set, moves) in [("model.frozen_norm=true", false), ("model.frozen_norm=false", true)] {
        let job = job(&config(&path, &[set]), &folder.path().join(set));
        let before = job.model.params().statistics();
        assert_eq!(before.len(), 2);
        run(&job, &mut Silent).unwrap();
        let after = job.model.params().statistics();
        assert!(before.iter().all(|(name, t)| t.equal(&after[name]) != moves), "{set}");
    }
}
