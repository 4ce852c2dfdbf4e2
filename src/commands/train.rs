//! `gradproof train`: a TOML file to a folder with weights, log and events, alone or as one of the
//! ranks that `mpirun` started.

use crate::{
    cli::{Common, Train},
    outcome::Outcome,
    results::{Record, quantities},
    runtime::{arithmetic, device, graphs::Graphs, launcher, outputs::Files, ui::Ui},
};
use ::data::Dataset;
use ::train::{
    Communicator, Config, EpochLine, Job, Observer, Tick,
    objective::{Adversary, ValueAndGrad},
};
use anyhow::{Context, Result, bail, ensure};
use attack::{Optimizer, Pgd, pgd::ascent};
use indicatif::ProgressBar;
use models::{
    Classifier, Precision, Source,
    checkpoint::{self, Hints},
    replay::Recorder,
    zoo::{self, Arch, Normalisation, Shape},
};
use std::{fmt::Write, path::Path, rc::Rc};
use tch::{Device, Tensor};
use tensorfile::words::count;
use toml::Table;

pub(super) mod masker;
mod sets;

use sets::Sets;

/// The files of a run; the settings first.
const NAMES: &[&str] = &[
    "config.toml",
    "log.jsonl",
    "last.safetensors",
    "last.onnx",
    "resume.safetensors",
    "events.out.tfevents.gradproof",
];

/// Errors: a config that is malformed.
pub fn check(args: &Train) -> Result<()> {
    Config::read(&args.config, args.scale.as_deref(), &args.set).map(|_| ())
}

/// Checks everything, then trains.
pub fn run(args: &Train, common: &Common, ui: &Ui) -> Result<Outcome> {
    let ranks = launcher::join()?;
    // Rank 0 speaks for all.
    let silent = Ui { quiet: true, ..ui.clone() };
    let ui = if ranks.rank() == 0 { ui } else { &silent };
    let outcome = launcher::together(&*ranks, || train(args, common, ui, &ranks))?;
    Ok(if ranks.rank() == 0 { outcome } else { Outcome::default() })
}

fn train(args: &Train, common: &Common, ui: &Ui, ranks: &Rc<dyn Communicator>) -> Result<Outcome> {
    let told = || format!("`{}`", args.config.display());
    let config = Config::read(&args.config, args.scale.as_deref(), &args.set)?;
    files(args, &config).check(true)?; // `taken` tells a new run from an old one
    untaken(args)?;
    let objective = ::train::objective::objective(&config.objective).with_context(told)?;
    let adversary = objective.attack().map(|table| adversary(table).with_context(told));
    let adversary = adversary.transpose()?;
    ::train::optimizer::optimizer(&config.optimizer).with_context(told)?;
    ::train::schedule::schedule(&config.schedule).with_context(told)?;
    let arch = config.model.arch.as_deref().map(zoo::arch).transpose().with_context(told)?;
    let device = common.device.resolve()?;
    arithmetic::train_as(config.precision, device, common.deterministic)?;
    let before = before(&config)?;
    let sets = Sets::load(&config, before.as_ref(), (common, ui), device)?;
    let Sets { train, test, validation, mut notes } = sets;
    check_pixels(&train, adversary.is_some(), config.data.augment.is_some())?;
    let shape = Shape { image: train.image_shape(), classes: train.classes.len() as i64 };
    let begun = match (before, arch) {
        (Some(before), _) => continued(&config, shape, before, device),
        (None, Some(arch)) => new(&config, arch, shape, device).map(|model| (model, vec![])),
        (None, None) => unreachable!("settings without either are refused"),
    };
    let (mut model, told_of_it) = begun.with_context(told)?;
    // The last check, because it may make folders: a refused command leaves nothing behind.
    if ranks.rank() == 0 {
        tensorfile::atomic::check_writable(&args.out.join("log.jsonl"))?;
    }
    notes.extend(told_of_it);
    notes.extend(device::passed_over(common.device, device));
    model.classes = train.classes.clone();
    ui.detail(config.to_toml().trim_end());
    let mut headline = headline(&config, &model, &train, ranks.size());
    headline.push_str(&warnings(&config, device));
    notes.iter().for_each(|note| headline.push_str(&format!("\n{note}")));
    let epochs = config.epochs;
    let model = model.to_device(device, config.channels_last);
    let (out, resume) = (args.out.clone(), args.resume);
    let (on_nan, ranks) = (args.on_nan, ranks.clone());
    let graphs = Graphs::wanted(common.cuda_graphs).map(Rc::new);
    let recorder = graphs.clone().map(|graphs| graphs as Rc<dyn Recorder>);
    let job = Job {
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
    };
    let mut watch = Bars { ui, headline, epochs, bar: ui.bar(0, "") };
    let lines = ::train::run(&job, &mut watch)?;
    graphs.iter().filter_map(|graphs| graphs.note()).for_each(|note| ui.note(&note));
    told_of(&job, &lines)
}

/// Errors: a table where what is asked for is done to pixels.
fn check_pixels(train: &Dataset, adversary: bool, augmented: bool) -> Result<()> {
    if adversary {
        train.check_pixels("training against an adversary")?;
    }
    if augmented {
        train.check_pixels("`data.augment`")?;
    }
    Ok(())
}

/// What a run came to.
fn told_of(job: &Job, lines: &[EpochLine]) -> Result<Outcome> {
    let mut outcome = Outcome::default();
    let (weights, last) = (job.out.join(job.weights()), lines.last().context("no epoch was run")?);
    let found = match last.test_accuracy {
        Some(accuracy) => format!("test accuracy {:.2} %", 100. * accuracy),
        None => "trained without test images".into(),
    };
    let epochs = count(last.epoch, "epoch");
    outcome.say(&format!("{found} after {epochs}: {}", weights.display()));
    if let Some((epoch, accuracy)) = ::train::log::best(lines) {
        let (best, accuracy) = (job.out.join(job.best()), 100. * accuracy);
        outcome.say(&format!(
            "validation accuracy {accuracy:.2} % after epoch {epoch}, the highest: {}",
            best.display()
        ));
    }
    outcome.with(&record(last, &weights)?)
}

/// The last epoch as rows.
fn record(last: &EpochLine, weights: &Path) -> Result<Record> {
    let (quantities, rows) = quantities::of_training(last);
    let (seconds, speed) = (last.seconds, last.images_per_second);
    let rest = serde_json::json!({
        "weights": weights, "epochs": last.epoch, "seconds": seconds, "images_per_second": speed,
    });
    Ok(Record {
        kind: "train".into(),
        quantities: quantities::found(quantities, &rows),
        rows,
        rest: serde_json::from_value(rest)?,
        ..Record::default()
    })
}

/// What is trained, on what, and where.
fn headline(config: &Config, model: &Classifier, train: &Dataset, ranks: usize) -> String {
    let on = if ranks > 1 { format!(", on {ranks} ranks") } else { String::new() };
    format!(
        "training {} ({}) on {} of {} for {}, {}{on}",
        model.source.name(),
        count(model.params().count(), "parameter"),
        count(train.len(), "image"),
        train.title(),
        count(config.epochs, "epoch"),
        device::describe(model.device())
    )
}

/// What a user should know before it starts, a line each.
fn warnings(config: &Config, device: Device) -> String {
    let mut said = String::new();
    if config.data.random_labels {
        said.push_str("\nwith random labels: test accuracy stays at chance");
    }
    if config.precision == Precision::Bf16 && !device::has_bf16(device) {
        let which = if device == Device::Cpu { "CPU" } else { "GPU" };
        let _ = write!(
            said,
            "\nthis {which} does not compute in bf16 itself: `--set precision=f32` is faster here"
        );
    }
    said
}

/// The weights to go on with, where the settings name any.
fn before(config: &Config) -> Result<Option<checkpoint::Loaded>> {
    let Some(path) = &config.model.weights else { return Ok(None) };
    let (arch, normalise) = (config.model.arch.clone(), config.model.normalise.clone());
    let hints = Hints { arch, normalise, ..Hints::default() };
    checkpoint::load(Path::new(path), &hints).context("`model.weights`").map(Some)
}

fn weights(config: &Config) -> &str {
    config.model.weights.as_deref().unwrap_or_default()
}

/// A new network.
fn new(config: &Config, arch: &'static Arch, shape: Shape, device: Device) -> Result<Classifier> {
    arch.check(&shape)?;
    let spelled = config.model.normalise.as_deref().unwrap_or(arch.normalise);
    let normalisation = Normalisation::parse(spelled, shape.image[0])?;
    Ok(Classifier::new(arch, shape, normalisation, config.seed, device))
}

/// The network with the weights `before`, and notes on them.
fn continued(
    config: &Config,
    shape: Shape,
    mut before: checkpoint::Loaded,
    device: Device,
) -> Result<(Classifier, Vec<String>)> {
    before.suit(shape.image);
    let (path, found) = (weights(config), before.classifier.shape);
    ensure!(found == shape, "`model.weights`: `{path}` is for {found:?}, the data are {shape:?}");
    if let Source::Graph(graph) = &before.classifier.source {
        before.notes.push(match graph.norms() {
            0 => "no batch norm is left in the file: layers are trained as they are".into(),
            n => format!("{} in the file", count(n, "batch norm")),
        });
    }
    Ok((before.classifier.to_device(device, false), before.notes))
}

/// The adversary of a training objective: an ascent that climbs what the objective asks it to.
struct Attacker(Pgd, Box<dyn Optimizer>);

impl Adversary for Attacker {
    fn perturb(&self, climb: &ValueAndGrad, x: &Tensor, keys: &[u64], scale: f64) -> Tensor {
        self.0.scaled(scale).climb_by(&*self.1, climb, x, keys)
    }
}

pub(super) fn adversary(table: &Table) -> Result<Box<dyn Adversary>> {
    let (pgd, optimizer) = ascent(table.clone()).context("`objective.attack`")?;
    Ok(Box::new(Attacker(pgd, optimizer)))
}

/// What is read and written.
fn files(args: &Train, config: &Config) -> Files {
    let at = |name: &&str| args.out.join(name);
    // A run that goes on may be told its own settings.
    let own = if args.resume { &NAMES[1..] } else { NAMES };
    Files::default()
        .reads("--config", [&args.config])
        .data("data.train", &config.data.train)
        .data("data.test", config.data.test.as_deref().unwrap_or_default())
        .reads("model.weights", &config.model.weights)
        .writes("--out", own.iter().map(at))
}

/// Errors: the folder holds what another run found.
fn untaken(args: &Train) -> Result<()> {
    let taken = NAMES[1..].iter().find(|name| args.out.join(name).exists());
    let Some(name) = taken.filter(|_| !args.resume) else { return Ok(()) };
    bail!(
        "`{}` already holds a run (`{name}`); add `--resume` to go on or choose another `--out`",
        args.out.display()
    );
}

/// A bar an epoch on a terminal; a line an epoch elsewhere.
struct Bars<'a> {
    ui: &'a Ui,
    headline: String,
    epochs: u32,
    bar: ProgressBar,
}

impl Observer for Bars<'_> {
    fn start(&mut self, done: u32) {
        let from = if done > 0 { format!(", going on after epoch {done}") } else { String::new() };
        self.ui.note(&format!("{}{from}", self.headline));
    }

    fn tick(&mut self, tick: &Tick) {
        if tick.step == 1 {
            self.bar.finish_and_clear();
            self.bar =
                self.ui.bar(tick.steps as u64, &format!("epoch {}/{}", tick.epoch, self.epochs));
        }
        self.bar.set_position(tick.step as u64);
        if let Some((loss, accuracy)) = tick.so_far {
            self.bar.set_message(format!("loss {loss:.3}  accuracy {:.1} %", 100. * accuracy));
        }
    }

    fn epoch(&mut self, line: &EpochLine) {
        self.bar.finish_and_clear();
        let percent = |a: f64| format!("{:5.2} %", 100. * a);
        let test = line.test_accuracy.map(|a| format!("  test {}", percent(a)));
        let robust = line.robust_accuracy.map(|a| format!("  robust {}", percent(a)));
        let skipped =
            (line.skipped > 0).then(|| format!("  {} skipped", count(line.skipped, "step")));
        self.ui.note(&format!(
            "epoch {:>3}/{}  loss {:.4}  train {}{}{}  {:.0} images/s  {:.0} s{}",
            line.epoch,
            self.epochs,
            line.loss["total"],
            percent(line.train_accuracy),
            test.unwrap_or_default(),
            robust.unwrap_or_default(),
            line.images_per_second,
            line.seconds,
            skipped.unwrap_or_default()
        ));
    }
}
