//! What the tests of whole runs share: a tiny set, a run on it, and a kill at any of its steps.

use data::Dataset;
use models::{
    Classifier, noise,
    zoo::{self, Normalisation, Shape},
};
use std::{
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    path::Path,
    rc::Rc,
};
use tch::{Device, Kind, Tensor};
use train::{Config, EpochLine, Job, Observer, OnNan, SingleProcess, Tick, run};

/// Height and width of the images of a network: a transformer's windows want more than 8 pixels.
fn side(arch: &str) -> i64 {
    if arch == "swin-t" { 32 } else { 8 }
}

/// A new network for images of its [`side`].
pub(crate) fn model(arch: &str, classes: i64, seed: u64) -> Classifier {
    let shape = Shape { image: [3, side(arch), side(arch)], classes };
    let normalisation = Normalisation::parse("0.5/0.25", 3).unwrap();
    Classifier::new(zoo::arch(arch).unwrap(), shape, normalisation, seed, Device::Cpu)
}

/// Grey images of `side` × `side` pixels whose brightness is their class, in noise.
fn grey(seed: u64, n: i64, side: i64, classes: i64) -> Dataset {
    let labels = Tensor::arange(n, (Kind::Int64, Device::Cpu)).remainder(classes);
    let step = 120. / (classes - 1) as f64;
    let level = labels.view([-1, 1, 1, 1]).to_kind(Kind::Float) * step + 40.;
    let grain = noise::uniform(&[seed], &[n, 3, side, side], Device::Cpu).squeeze_dim(0) * 50.;
    let classes = (0..classes).map(|class| class.to_string()).collect();
    let images = (level + grain).to_kind(Kind::Uint8);
    Dataset::new("grey", images, labels, classes)
}

/// A run of `config` in `out` that trains a new network, or goes on with what is there.
pub(crate) fn job(config: &Config, classes: i64, images: [i64; 2], out: &Path) -> Job {
    let arch = config.model.arch.as_deref().expect("settings name one");
    job_of(config, model(arch, classes, config.seed), images, out)
}

/// The same of a network that is there.
pub(crate) fn job_of(
    config: &Config,
    model: Classifier,
    [train, test]: [i64; 2],
    out: &Path,
) -> Job {
    let mut model = model.to_device(Device::Cpu, config.channels_last);
    let Shape { image: [_, side, _], classes } = model.shape;
    let (train, test) = (grey(1, train, side, classes), Some(grey(2, test, side, classes)));
    model.classes.clone_from(&train.classes);
    let (config, out, ranks) = (config.clone(), out.into(), Rc::new(SingleProcess));
    let (resume, adversary, on_nan, recorder) = (true, None, OnNan::Stop, None);
    let validation = None;
    Job { config, model, train, test, validation, out, resume, adversary, on_nan, ranks, recorder }
}

/// Watches a run to its end.
pub(crate) struct Silent;

impl Observer for Silent {
    fn tick(&mut self, _: &Tick) {}
    fn epoch(&mut self, _: &EpochLine) {}
}

/// Ends the run, as a kill would, at a step of an epoch; step 0 is after its evaluation.
struct Killer {
    epoch: u32,
    step: usize,
}

impl Killer {
    fn strike(&self, epoch: u32, step: usize) {
        if (epoch, step) == (self.epoch, self.step) {
            resume_unwind(Box::new("killed"));
        }
    }
}

impl Observer for Killer {
    fn tick(&mut self, tick: &Tick) {
        self.strike(tick.epoch, tick.step);
    }
    fn epoch(&mut self, line: &EpochLine) {
        self.strike(line.epoch, 0);
    }
}

/// Runs `job` until it is killed there.
pub(crate) fn killed(job: &Job, epoch: u32, step: usize) {
    let mut killer = Killer { epoch, step };
    let end = catch_unwind(AssertUnwindSafe(|| run(job, &mut killer).map(|_| ())));
    assert!(end.is_err(), "it ended before epoch {epoch}, step {step}");
}
