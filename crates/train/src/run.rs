//! The training loop. A run killed at any moment and resumed ends with the same weights as one
//! never killed, bit for bit on a CPU with the same number of threads.

use crate::{
    Config, EpochLine, accuracy,
    ema::Ema,
    log,
    objective::{self, Objective, Step},
    optimizer::{self, Optimizer, clip_gradients},
    resume::{self, State},
    schedule::{self, Schedule},
    tensorboard,
};
use anyhow::{Context, Result, ensure};
use data::{Dataset, Last, Shuffle};
use models::{Classifier, checkpoint};
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    time::Instant,
};
use tch::{Kind, Tensor};

/// One run: everything is checked before the first step.
pub struct Job {
    /// Its settings.
    pub config: Config,
    /// The network to train, placed where it is to be trained.
    pub model: Classifier,
    /// Training images, on the same device.
    pub train: Dataset,
    /// Test images, on the same device.
    pub test: Dataset,
    /// Folder of the run: `config.toml`, `log.jsonl`, `last.safetensors`, `resume.safetensors`,
    /// `events.out.tfevents.gradproof`.
    pub out: PathBuf,
    /// Go on from `resume.safetensors` if it is there.
    pub resume: bool,
}

/// What a progress bar shows; reading it costs one synchronisation, so it comes now and then.
pub struct Tick {
    /// Steps done in this epoch.
    pub step: usize,
    /// Steps of an epoch.
    pub steps: usize,
    /// Epoch, from 1.
    pub epoch: u32,
    /// Mean loss of this epoch so far and training accuracy in [0, 1], where they were read.
    pub so_far: Option<(f64, f64)>,
}

/// Who is told how a run goes.
pub trait Watch {
    /// Once, after the last check and before the first step; `done` epochs were done before.
    fn start(&mut self, _done: u32) {}
    /// After every step.
    fn tick(&mut self, tick: &Tick);
    /// After every epoch.
    fn epoch(&mut self, line: &EpochLine);
}

/// Steps between two readings of the running loss.
const READ_EVERY: usize = 20;

/// Trains to the last epoch and returns the log.
pub fn run(job: &Job, watch: &mut dyn Watch) -> Result<Vec<EpochLine>> {
    let config = &job.config;
    let objective = objective::objective(&config.objective)?;
    let schedule = schedule::schedule(&config.schedule)?;
    let mut optimizer = optimizer::optimizer(&config.optimizer)?;
    let mut ema = config.ema.map(|decay| Ema::new(decay, job.model.params()));
    let at = |name: &str| job.out.join(name);
    let (state_file, log_file) = (at("resume.safetensors"), at("log.jsonl"));

    let mut lines = vec![];
    let mut done = 0;
    if job.resume && state_file.exists() {
        let mut state = State { model: &job.model, optimizer: &mut *optimizer, ema: ema.as_mut() };
        done = resume::load(&state_file, &mut state, config)?;
        lines = log::read(&log_file)?;
        lines.truncate(done as usize);
        ensure!(lines.len() == done as usize, "`{}` is too short", log_file.display());
    } else {
        ensure!(
            !state_file.exists(),
            "`{}` already holds a run; add `--resume` to go on or choose another `--out`",
            job.out.display()
        );
    }
    sweep(&job.out)?;
    let text = config.to_toml();
    tensorfile::atomic::write(&at("config.toml"), |f| Ok(f.write_all(text.as_bytes())?))?;
    watch.start(done);
    while done < config.epochs {
        let clock = Instant::now();
        let mut epoch = Epoch {
            job,
            number: done,
            objective: &*objective,
            schedule: &*schedule,
            optimizer: &mut *optimizer,
            ema: ema.as_mut(),
        };
        let mut line = epoch.train(watch)?;
        let evaluated = job.evaluated(ema.as_ref())?;
        line.test_accuracy =
            Some(accuracy(&evaluated.folded(config.precision), &job.test, 500, |_| {}).fraction);
        line.seconds = clock.elapsed().as_secs_f64();
        done += 1;
        watch.epoch(&line);
        lines.push(line);
        // The log first: a resumed run cuts what is too long, and cannot invent what is missing.
        log::write(&log_file, &lines)?;
        tensorboard::write(&at("events.out.tfevents.gradproof"), &lines)?;
        save_weights(&at("last.safetensors"), job, &evaluated, &lines)?;
        let state = State { model: &job.model, optimizer: &mut *optimizer, ema: ema.as_mut() };
        resume::save(&state_file, &state, done, config)?;
    }
    Ok(lines)
}

/// Removes what writers that were killed left in `folder`: temporary files of `tensorfile::atomic`.
fn sweep(folder: &Path) -> Result<()> {
    let Ok(entries) = folder.read_dir() else { return Ok(()) };
    for path in entries.flatten().map(|entry| entry.path()) {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if name.starts_with(".gradproof-") && path.is_file() {
            let told = || format!("cannot remove `{}`", path.display());
            std::fs::remove_file(&path).with_context(told)?;
        }
    }
    Ok(())
}

impl Job {
    /// The network whose accuracy counts: the average where there is one.
    fn evaluated(&self, ema: Option<&Ema>) -> Result<Classifier> {
        let Some(ema) = ema else { return Ok(self.model.frozen()) };
        let m = &self.model;
        let mut average = Classifier::blank(m.arch, m.shape, m.normalisation.clone(), m.device());
        average.params().fill(ema.average())?;
        average.classes.clone_from(&m.classes);
        Ok(average)
    }
}

fn save_weights(path: &Path, job: &Job, model: &Classifier, lines: &[EpochLine]) -> Result<()> {
    let config = &job.config;
    let objective = config.objective.get("name").and_then(|n| n.as_str()).unwrap_or("natural");
    let mut about = BTreeMap::from([
        ("training".to_owned(), objective.to_owned()),
        ("dataset".to_owned(), job.train.name.clone()),
        ("seed".to_owned(), config.seed.to_string()),
        ("epochs".to_owned(), lines.len().to_string()),
        ("config".to_owned(), config.to_toml()),
    ]);
    if let Some(accuracy) = lines.last().and_then(|l| l.test_accuracy) {
        about.insert("test_accuracy".into(), format!("{accuracy:.4}"));
    }
    checkpoint::save(path, model, Kind::Float, &about)
}

struct Epoch<'a> {
    job: &'a Job,
    number: u32,
    objective: &'a dyn Objective,
    schedule: &'a dyn Schedule,
    optimizer: &'a mut dyn Optimizer,
    ema: Option<&'a mut Ema>,
}

impl Epoch<'_> {
    fn train(&mut self, watch: &mut dyn Watch) -> Result<EpochLine> {
        let (config, clock) = (&self.job.config, Instant::now());
        let weights = self.job.model.params().weights();
        let (seed, epoch, augment) = (config.seed, u64::from(self.number), config.data.augment);
        let shuffle = Shuffle { seed, epoch, augment, last: Last::Keep };
        let batches = self.job.train.epoch(config.batch_size, shuffle);
        let steps = self.job.train.len().div_ceil(config.batch_size);
        let mut sums = Sums::default();
        let mut lr = 0.;
        for (i, (x, y)) in batches.enumerate() {
            let at = f64::from(self.number) + i as f64 / steps as f64;
            let factor = self.schedule.factor(at, f64::from(config.epochs));
            lr = self.optimizer.learning_rate() * factor;
            let step = Step { model: &self.job.model, x: &x, y: &y, precision: config.precision };
            let loss = self.objective.loss(&step);
            let parts: Vec<&Tensor> = loss.parts.iter().map(|(_, t)| t).collect();
            Tensor::stack(&parts, 0).sum(Kind::Float).backward();
            if let Some(most) = config.clip {
                clip_gradients(&weights, most);
            }
            self.optimizer.step(&weights, lr);
            if let Some(ema) = &mut self.ema {
                ema.update(self.job.model.params());
            }
            sums.add(&loss, &y);
            let step = i + 1;
            let read = step % READ_EVERY == 0 || step == steps;
            let so_far = read.then(|| (sums.mean_total(), sums.accuracy()));
            watch.tick(&Tick { step, steps, epoch: self.number + 1, so_far });
        }
        let total = sums.mean_total();
        ensure!(
            total.is_finite(),
            "the loss is {total} in epoch {}; lower `optimizer.learning_rate` or set `clip`",
            self.number + 1
        );
        Ok(EpochLine {
            epoch: self.number + 1,
            loss: sums.means(),
            train_accuracy: sums.accuracy(),
            test_accuracy: None,
            learning_rate: lr,
            seconds: 0.,
            images_per_second: sums.images as f64 / clock.elapsed().as_secs_f64(),
        })
    }
}

/// Sums over an epoch, kept on the device.
#[derive(Default)]
struct Sums {
    parts: BTreeMap<&'static str, Tensor>,
    correct: Option<Tensor>,
    images: i64,
}

impl Sums {
    fn add(&mut self, loss: &objective::Loss, y: &Tensor) {
        let n = y.numel() as i64;
        for (name, value) in &loss.parts {
            let value = value.detach().to_kind(Kind::Double) * n;
            let sum = self.parts.remove(name).map_or(value.shallow_clone(), |s| s + &value);
            self.parts.insert(name, sum);
        }
        let correct = loss.logits.detach().argmax(1, false).eq_tensor(y).sum(Kind::Int64);
        self.correct = Some(self.correct.take().map_or(correct.shallow_clone(), |c| c + &correct));
        self.images += n;
    }

    fn means(&self) -> BTreeMap<String, f64> {
        let mean = |t: &Tensor| t.double_value(&[]) / self.images as f64;
        let mut means: BTreeMap<String, f64> =
            self.parts.iter().map(|(name, t)| ((*name).to_owned(), mean(t))).collect();
        means.insert("total".into(), means.values().sum());
        means
    }

    fn mean_total(&self) -> f64 {
        self.means()["total"]
    }

    fn accuracy(&self) -> f64 {
        self.correct.as_ref().map_or(0., |c| c.double_value(&[]) / self.images as f64)
    }
}
