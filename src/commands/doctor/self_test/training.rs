//! Training: every objective and optimiser ends where the CPU ends in f64; a run that is killed and
//! goes on ends with the same bytes; in bf16 losses stay near those of f32.

use super::{
    Lines,
    side::{REFERENCE, Side, images, reference},
};
use crate::commands::train::adversary;
use ::data::{Dataset, Split, load};
use ::train::{
    Config, EpochLine, Job, Observer, OnNan, SingleProcess, Tick,
    objective::{OBJECTIVES, Step, objective},
    optimizer::{OPTIMIZERS, optimizer},
    run as train,
};
use anyhow::{Context, Result};
use models::{
    Classifier,
    params::flat::Flat,
    zoo::{self, Normalisation, Shape},
};
use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
    rc::Rc,
};
use tch::{Device, Kind, Tensor};
use tensorfile::TensorFile;

/// Five steps of eight images an epoch.
const DATA: &str = "shapes:seed=0,train=40,test=8";

/// Steps of each objective and optimiser, and images of a step.
const STEPS: u32 = 3;
const IMAGES: u64 = 8;

/// What a run is left with.
struct Ended {
    tensors: BTreeMap<String, Tensor>,
    /// Of the last epoch.
    loss: f64,
}

pub fn run(lines: &mut Lines, device: Device) -> Result<()> {
    steps(lines, device)?;
    let folder = tempfile::tempdir().context("no folder for temporary files")?;
    let at = |name: &str| folder.path().join(name);
    let single = Side::single(device);
    let plain = "[objective]\nname = 'natural'\n[optimizer]\nname = 'sgd'\nlearning_rate = 0.01\n";
    let [once, again] = ["once", "again"].map(|name| ended(&single, plain, &at(name)));
    let (once, again) = (once?, again?);
    let same = equal(&once, &again);
    let told =
        if same { "the same bits" } else { "other bits; `--deterministic` asks for the same" };
    lines.push(
        "f32",
        "a training twice: runs that differ",
        Some(f64::from(u8::from(!same))),
        None,
        told,
    );
    let resumed = resumed(&single, plain, &at("killed"))?;
    let what = "a run that was killed and goes on";
    match same {
        true => lines.holds("f32", what, equal(&resumed, &once), "the bits of one never killed"),
        false => lines.difference("f32", what, far(&resumed.tensors, &once.tensors), 5e-2),
    }
    let rounded = ended(&single, &format!("precision = 'bf16'\n{plain}"), &at("bf16"))?;
    let off = (rounded.loss - once.loss).abs() / once.loss;
    lines.difference("bf16", "training loss against f32", off, 5e-2);
    Ok(())
}

/// A few steps by every objective and every optimiser.
fn steps(lines: &mut Lines, device: Device) -> Result<()> {
    let sgd = "name = 'sgd'\nlearning_rate = 0.01";
    let objectives = OBJECTIVES.iter().map(|entry| (entry.name, "", sgd.to_owned()));
    let ssr =
        ["eigenvector = 'warm'", "eigenvector = 'naive'"].map(|more| ("ssr", more, sgd.to_owned()));
    let by = |name: &str| ("natural", "", format!("name = '{name}'\nlearning_rate = 0.001"));
    let optimizers = OPTIMIZERS.iter().map(|entry| by(entry.name));
    for (name, more, optimizer) in objectives.chain(ssr).chain(optimizers) {
        let after = |side: &Side| stepped(side, &format!("name = '{name}'\n{more}"), &optimizer);
        let right = after(&REFERENCE)?;
        for side in Side::unrounded(device) {
            // Weights move by little: rounding weighs more than in a pass.
            let bound = if side.is_f64() { 1e-8 } else { 5e-2 };
            let by = optimizer.split('\'').nth(1).unwrap_or_default();
            let what = format!("weights after {name} {more} by {by}").replace("  ", " ");
            lines.difference(side.name, &what, far(&after(&side)?, &right), bound);
        }
    }
    Ok(())
}

/// How far weights and running statistics have gone, by name.
fn stepped(side: &Side, asked: &str, by: &str) -> Result<BTreeMap<String, Tensor>> {
    let table = toml::from_str(asked)?;
    let attacked = format!("{asked}\nattack = {{ norm = 'linf', eps = '8/255', steps = 2 }}");
    let mut objective = objective(&table).or_else(|_| objective(&toml::from_str(&attacked)?))?;
    let adversary = objective.attack().map(adversary).transpose()?;
    let mut optimizer = optimizer(&toml::from_str(by)?)?;
    let arch = zoo::arch("resnet20")?;
    let right = reference(arch)?;
    let model = side.trainable(&right, arch)?;
    let flat = Flat::new(model.params());
    let x = side.place(&images(IMAGES, &right.shape));
    let y = Tensor::arange(IMAGES as i64, (Kind::Int64, side.device));
    let (keys, numbers): (Vec<u64>, Vec<i64>) = (0..IMAGES).map(|i| (i, i as i64)).unzip();
    for done in 0..STEPS {
        let step = Step {
            numbers: &numbers,
            images: IMAGES as usize,
            keys: &keys,
            epoch: 10. + f64::from(done),
            adversary: adversary.as_deref(),
            ..Step::new(&model, &x, &y)
        };
        let total = objective.loss(&step).total();
        let mut gradients = flat.gradients(&step.gradients(&total));
        gradients.clip(1.);
        optimizer.step(&gradients, optimizer.learning_rate());
    }
    let before = right.params().tensors();
    let gone = |(name, t): (String, Tensor)| {
        let gone = t.to_device(Device::Cpu).to_kind(Kind::Double) - &before[&name];
        (name, gone)
    };
    Ok(model.params().tensors().into_iter().map(gone).collect())
}

/// Trains on this side.
fn ended(side: &Side, settings: &str, out: &Path) -> Result<Ended> {
    let mut watch = Last::default();
    train(&job(side, settings, out, false)?, &mut watch)?;
    finished(out, watch.loss)
}

/// Trains two epochs, from what is left of a run after the first.
fn resumed(side: &Side, settings: &str, out: &Path) -> Result<Ended> {
    let kept = out.with_extension("kept");
    let mut watch = Last { copy: Some((out.to_owned(), kept.clone())), ..Last::default() };
    train(&job(side, settings, out, false)?, &mut watch)?;
    watch.copied.context("cannot copy a run")?;
    let mut watch = Last::default();
    train(&job(side, settings, &kept, true)?, &mut watch)?;
    finished(&kept, watch.loss)
}

fn finished(out: &Path, loss: f64) -> Result<Ended> {
    Ok(Ended { tensors: TensorFile::read(&out.join("resume.safetensors"))?.tensors, loss })
}

/// The loss of the last epoch; copies the folder after the first, if asked to.
struct Last {
    loss: f64,
    copy: Option<(PathBuf, PathBuf)>,
    copied: io::Result<()>,
}

impl Default for Last {
    fn default() -> Self {
        Last { loss: 0., copy: None, copied: Ok(()) }
    }
}

impl Observer for Last {
    fn tick(&mut self, tick: &Tick) {
        // The files of an epoch are there when the next one begins.
        if tick.epoch == 2
            && let Some((from, to)) = self.copy.take()
        {
            let copied = fs::create_dir_all(&to).and_then(|()| {
                let entries = fs::read_dir(&from)?;
                entries.flatten().try_for_each(|entry| {
                    fs::copy(entry.path(), to.join(entry.file_name())).map(|_| ())
                })
            });
            self.copied = copied;
        }
    }

    fn epoch(&mut self, line: &EpochLine) {
        self.loss = line.loss["total"];
    }
}

fn job(side: &Side, settings: &str, out: &Path, resume: bool) -> Result<Job> {
    let head = "seed = 0\nepochs = 2\nbatch_size = 8\n";
    let tail = format!(
        "[data]\ntrain = '{DATA}'\naugment = {{ crop = 2, flip = true }}\n[model]\narch = 'resnet20'\n"
    );
    let config = Config::parse(&format!("{head}{settings}{tail}"), &[])?;
    let (train, test) = (set(Split::Train, side)?, set(Split::Test, side)?);
    let model = network(side)?;
    let ranks = Rc::new(SingleProcess);
    let (out, on_nan) = (out.to_owned(), OnNan::Stop);
    let (adversary, recorder) = (None, None);
    let test = Some(test);
    let validation = None;
    Ok(Job {
        config,
        model,
        train,
        test,
        validation,
        out,
        resume,
        adversary,
        on_nan,
        ranks,
        recorder,
    })
}

fn network(side: &Side) -> Result<Classifier> {
    let scale = Normalisation::parse("0.5/0.25", 3)?;
    let arch = zoo::arch("resnet20")?;
    let model = Classifier::new(arch, Shape::CIFAR10, scale, 0, side.device);
    Ok(model.to_device(side.device, true))
}

fn set(split: Split, side: &Side) -> Result<Dataset> {
    Ok(load(DATA, &split.into())?.to_device(side.device))
}

/// The distance of all tensors together from what they must be, in units of that.
fn far(found: &BTreeMap<String, Tensor>, right: &BTreeMap<String, Tensor>) -> f64 {
    let squares = |t: &Tensor| t.to_kind(Kind::Double).square().sum(Kind::Double).double_value(&[]);
    let (mut off, mut all) = (0., 0.);
    for (name, right) in right.iter().filter(|(_, t)| t.is_floating_point()) {
        let Some(found) = found.get(name).filter(|t| t.size() == right.size()) else {
            return f64::INFINITY;
        };
        off += squares(&(found - right));
        all += squares(right);
    }
    (off / all).sqrt()
}

fn equal(a: &Ended, b: &Ended) -> bool {
    let same =
        |(name, t): (&String, &Tensor)| b.tensors.get(name).is_some_and(|other| t.equal(other));
    a.tensors.len() == b.tensors.len()
        && a.tensors.iter().all(same)
        && a.tensors.values().all(finite)
}

fn finite(t: &Tensor) -> bool {
    !t.is_floating_point()
        || t.to_kind(Kind::Double).sum(Kind::Double).double_value(&[]).is_finite()
}
