//! `gradproof train`: a TOML file to a folder with weights, log and events.

use crate::{
    cli::{Common, Train},
    commands::doctor,
    device,
    ui::Ui,
};
use ::data::{Dataset, Options, Split};
use ::train::{Config, EpochLine, Job, Tick, Watch};
use anyhow::{Context, Result, ensure};
use indicatif::ProgressBar;
use models::{
    Classifier, Precision,
    zoo::{self, Normalisation, Shape},
};
use tch::Device;

/// Checks everything, then trains.
pub fn run(args: &Train, common: &Common, ui: &Ui) -> Result<()> {
    let told = || format!("config `{}`", args.config.display());
    let text = std::fs::read_to_string(&args.config)
        .with_context(|| format!("cannot read config `{}`", args.config.display()))?;
    let config = Config::parse(&text, &args.set).with_context(told)?;
    ::train::objective::objective(&config.objective).with_context(told)?;
    ::train::optimizer::optimizer(&config.optimizer).with_context(told)?;
    ::train::schedule::schedule(&config.schedule).with_context(told)?;
    let arch = zoo::arch(&config.model.arch).with_context(told)?;
    let device = common.device.resolve()?;
    let (train, test) = load(&config, device)?;
    let shape = Shape { image: train.image_shape(), classes: train.classes.len() as i64 };
    arch.check(&shape).with_context(told)?;
    let spelled = config.model.normalise.as_deref().unwrap_or(arch.normalise);
    let normalisation = Normalisation::parse(spelled, shape.image[0]).with_context(told)?;
    // The last check, because it may make folders: a refused command leaves nothing behind.
    tensorfile::atomic::check_writable(&args.out.join("log.jsonl"))?;
    let mut model = Classifier::new(arch, shape, normalisation, config.seed, device);
    model.classes = train.classes.clone();
    let mut headline = format!(
        "training {} ({} parameters) on {} images of {} for {} epochs, {}",
        arch.name,
        model.params().count(),
        train.len(),
        train.name,
        config.epochs,
        device::describe(device)
    );
    ui.detail(config.to_toml().trim_end());
    if config.precision == Precision::Bf16 && device == Device::Cpu && !doctor::has_bf16() {
        headline.push_str(
            "\nthis CPU does not compute in bf16 itself: `--set precision=f32` is faster here",
        );
    }
    let epochs = config.epochs;
    let model = model.placed(device, config.channels_last);
    let job = Job { config, model, train, test, out: args.out.clone(), resume: args.resume };
    let mut watch = Bars { ui, headline, epochs, bar: ui.bar(0, "") };
    let lines = ::train::run(&job, &mut watch)?;
    let weights = args.out.join("last.safetensors");
    let last = lines.last().context("no epoch was run")?;
    ui.say(&format!(
        "test accuracy {:.2} % after {} epochs: {}",
        100. * last.test_accuracy.unwrap_or(f64::NAN),
        last.epoch,
        weights.display()
    ))?;
    ui.result(&serde_json::json!({ "weights": weights, "last": last }))
}

fn load(config: &Config, device: Device) -> Result<(Dataset, Dataset)> {
    let data = &config.data;
    let part = |spec: &str, split| -> Result<Dataset> {
        let options = Options { split, size: data.size };
        Ok(::data::load(spec, &options)?.to_device(device))
    };
    let train = part(&data.train, Split::Train)?;
    let test = part(data.test.as_ref().unwrap_or(&data.train), Split::Test)?;
    ensure!(
        train.image_shape() == test.image_shape(),
        "training images are {:?}, test images {:?}",
        train.image_shape(),
        test.image_shape()
    );
    ensure!(
        train.classes.len() == test.classes.len(),
        "{} training classes, {} test classes",
        train.classes.len(),
        test.classes.len()
    );
    Ok((train, test))
}

/// A bar an epoch on a terminal; a line an epoch elsewhere.
struct Bars<'a> {
    ui: &'a Ui,
    headline: String,
    epochs: u32,
    bar: ProgressBar,
}

impl Watch for Bars<'_> {
    fn start(&mut self, done: u32) {
        let from = if done > 0 { format!(", going on after epoch {done}") } else { String::new() };
        self.ui.note(&format!("{}{from}", self.headline));
    }

    fn tick(&mut self, tick: &Tick) {
        if tick.step == 1 {
            self.bar.finish_and_clear();
            self.bar = self.ui.bar(tick.steps as u64, &format!("{}/{}", tick.epoch, self.epochs));
        }
        self.bar.set_position(tick.step as u64);
        if let Some((loss, accuracy)) = tick.so_far {
            self.bar.set_message(format!("loss {loss:.3}  accuracy {:.1} %", 100. * accuracy));
        }
    }

    fn epoch(&mut self, line: &EpochLine) {
        self.bar.finish_and_clear();
        self.ui.note(&format!(
            "epoch {:>3}/{}  loss {:.4}  train {:5.2} %  test {:5.2} %  {:.0} images/s  {:.0} s",
            line.epoch,
            self.epochs,
            line.loss["total"],
            100. * line.train_accuracy,
            100. * line.test_accuracy.unwrap_or(f64::NAN),
            line.images_per_second,
            line.seconds
        ));
    }
}
