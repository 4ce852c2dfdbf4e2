//! `--cuda-graphs on`: what is recorded gives the same bits in fewer launches, and what cannot be
//! recorded is launched one by one, with a note. The pretended GPU does nothing while it records and
//! fills what was made with rubbish, so that a number that is not the replay's shows.

use super::{Did, done, each, images, library, root, sixteen, weights};
use models::replay::{Recorder, Recording, Replay};
use std::{cell::RefCell, collections::BTreeMap, env, fs, process::Command};
use tch::{Device, Kind, Tensor};
use tempfile::TempDir;
use tensorfile::TensorFile;

const ON: &str = "--cuda-graphs on";

fn attacked(folder: &TempDir, how: &str, iterations: u32, more: &str) -> Did {
    let words = format!(
        "attack --weights {} --data {} --attack topk --eps 8/255 --iters {iterations} {how} {more} \
         --out found.safetensors",
        weights(),
        images()
    );
    done(folder, &words, &[])
}

fn found(folder: &TempDir) -> BTreeMap<String, Tensor> {
    let file = TensorFile::read(&folder.path().join("found.safetensors")).expect("written");
    assert!(file.tensors.len() > 3, "{:?}", file.tensors.keys());
    file.tensors
}

/// Bit by bit; NaN is like NaN.
fn alike(a: &BTreeMap<String, Tensor>, b: &BTreeMap<String, Tensor>) -> bool {
    let same = |(name, t): (&String, &Tensor)| {
        let other = &b[name];
        t.size() == other.size() && t.isclose(other, 0., 0., true).all().int64_value(&[]) == 1
    };
    a.len() == b.len() && a.iter().all(same)
}

/// Attacks whose iterations are all alike, and launches of an iteration at most, of all starts.
const ALIKE: [(&str, i64); 4] = [
    ("--method gxi --beta 20", 45),
    ("--method gxi --beta 20 --rule adam --restarts 2", 2 * 45),
    ("--method smoothgrad:samples=2 --beta 20 --rule apgd", 60),
    ("--method ig:points=2 --beta 30/spread", 60),
];

#[test]
fn an_attack_that_is_replayed_is_the_same_in_fewer_launches() {
    for (how, budget) in ALIKE {
        let folder = tempfile::tempdir().expect("a folder");
        attacked(&folder, how, 8, "");
        let plain = found(&folder);
        let many = attacked(&folder, how, 8, ON);
        assert!(alike(&found(&folder), &plain), "{how}: other numbers");
        let replays = many.counts["launches of"]["graph"].as_i64().unwrap_or(0);
        assert!(replays >= 8, "{how}: {replays} replays");
        let few = attacked(&folder, how, 6, ON);
        let (launches, waits, which) = each(&few, &many, 2);
        assert_eq!(waits, 0, "{how}: {which:?}");
        assert!(launches <= budget, "{how}: {launches} launches");
    }
}

/// What the program says on stderr, in words for people.
fn said(folder: &TempDir, words: &str) -> String {
    let mut program = Command::new(env!("CARGO_BIN_EXE_gradproof"));
    program.args(words.split_whitespace()).args(["--device", "cuda", "--force"]);
    program.current_dir(folder.path());
    program.env("LD_PRELOAD", library()).env("OMP_NUM_THREADS", "1");
    let output = program.output().expect("it starts");
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{text}");
    text
}

#[test]
fn what_cannot_be_recorded_is_told_and_done_all_the_same() {
    for (how, why) in [
        ("--method gxi", "β grows"),
        ("--method lime:samples=4 --beta 20", "Cannot copy between CPU and CUDA"),
        ("--method smoothgrad:samples=2 --beta 20 --fresh-draws", "draws of its own"),
    ] {
        let folder = tempfile::tempdir().expect("a folder");
        attacked(&folder, how, 3, "");
        let plain = found(&folder);
        fs::remove_file(folder.path().join("found.safetensors")).expect("it is there");
        let words = format!(
            "attack --weights {} --data {} --attack topk --eps 8/255 --iters 3 {how} {ON} --out \
             found.safetensors",
            weights(),
            images()
        );
        let told = said(&folder, &words);
        let notes = told.matches("`--cuda-graphs on`: launched one by one").count();
        assert!(notes == 1 && told.contains(why), "{how}: {told}");
        assert!(alike(&found(&folder), &plain), "{how}: other numbers");
    }
}

/// Two epochs of two whole batches and one of two images.
fn trained(folder: &TempDir, objective: &str, more: &str, top: &str) -> (Did, Vec<u8>) {
    sixteen(folder);
    let config = format!(
        "seed = 0\nepochs = 2\nbatch_size = 6\n{top}\n[data]\ntrain = \"cifar10:test_batch.bin\"\n\
         augment = {{ crop = 2, flip = true }}\n[model]\narch = \"resnet20\"\n\
         normalise = \"0.5/0.25\"\n[optimizer]\nname = \"sgd\"\nlearning_rate = 0.01\n\
         [objective]\n{objective}\n"
    );
    fs::write(folder.path().join("run.toml"), config).expect("written");
    let _ = fs::remove_dir_all(folder.path().join("out"));
    let did = done(folder, &format!("train --config run.toml --out out {more}"), &[]);
    (did, fs::read(folder.path().join("out/last.safetensors")).expect("weights"))
}

#[test]
fn a_training_that_is_replayed_has_the_same_weights() {
    for top in ["", "ema = 0.9\nclip = 1", "precision = 'bf16'"] {
        let folder = tempfile::tempdir().expect("a folder");
        let (_, plain) = trained(&folder, "name = 'natural'", "", top);
        let (did, replayed) = trained(&folder, "name = 'natural'", ON, top);
        assert!(replayed == plain, "{top}: other weights");
        let replays = did.counts["launches of"]["graph"].as_i64().unwrap_or(0);
        assert_eq!(replays, 2 + 4, "{top}: two trials, then the whole batches");
    }
    let folder = tempfile::tempdir().expect("a folder");
    let told = |objective: &str| {
        trained(&folder, objective, "", "");
        fs::remove_dir_all(folder.path().join("out")).expect("it is there");
        said(&folder, &format!("train --config run.toml --out out {ON}"))
    };
    assert!(told("name = 'ssr'").contains("more than their images and labels"));
}

/// Repeats nothing: what was computed while it recorded stays.
#[derive(Default)]
struct Stale(RefCell<String>);
struct Nothing;

impl Recording for Nothing {
    fn replay(&self) -> anyhow::Result<()> {
        Ok(())
    }
}

impl Recorder for Stale {
    fn aside(&self, _: Device, work: &mut dyn FnMut()) -> anyhow::Result<()> {
        work();
        Ok(())
    }
    fn record(&self, _: Device, work: &mut dyn FnMut()) -> anyhow::Result<Box<dyn Recording>> {
        work();
        Ok(Box::new(Nothing))
    }
    fn refused(&self, why: &str) {
        why.clone_into(&mut self.0.borrow_mut());
    }
}

/// A test of the trial: a replay that gives old numbers is refused, and nothing has moved.
#[test]
fn a_replay_with_old_numbers_is_refused() {
    if env::var_os("PRETEND_GPU_INSIDE").is_none() {
        let mut this = Command::new(env::current_exe().unwrap());
        this.args(["--exact", "graphs::a_replay_with_old_numbers_is_refused"]);
        this.env("LD_PRELOAD", library()).env("PRETEND_GPU_INSIDE", "1").current_dir(root());
        assert!(this.status().expect("it starts").success());
        return;
    }
    let (stale, x) = (Stale::default(), Tensor::ones([3], (Kind::Float, Device::Cuda(0))));
    let count = x.zeros_like();
    let made = Replay::of(&stale, &[&x], &[count.shallow_clone()], &mut |at| {
        let _ = count.shallow_clone().g_add_scalar_(1.);
        vec![&at[0] * 2.]
    });
    assert!(made.is_none() && stale.0.borrow().contains("not that of plain passes"));
    assert_eq!(count.sum(Kind::Float).double_value(&[]), 0.);
}
