//! One epoch: batches, steps, and the sums that make its line of the log.

use crate::{
    EpochLine, Job, OnNan, Tick, Watch,
    ema::Ema,
    log::Quantiles,
    objective::{Loss, Objective, Step},
    optimizer::{Optimizer, clip_gradients},
    schedule::Schedule,
};
use anyhow::{Result, bail, ensure};
use data::{Last, Shuffle};
use models::noise;
use std::{collections::BTreeMap, time::Instant};
use tch::{Kind, Tensor};

/// Steps between two readings of the running loss.
const READ_EVERY: usize = 20;

/// What an epoch works with.
pub(crate) struct Epoch<'a> {
    pub job: &'a Job,
    /// From 0 on.
    pub number: u32,
    pub objective: &'a mut dyn Objective,
    pub schedule: &'a dyn Schedule,
    pub optimizer: &'a mut dyn Optimizer,
    pub ema: Option<&'a mut Ema>,
}

impl Epoch<'_> {
    /// Trains and returns the line of the log, test accuracy and seconds still open.
    pub fn train(&mut self, watch: &mut dyn Watch) -> Result<EpochLine> {
        let (job, config, clock) = (self.job, &self.job.config, Instant::now());
        let (seed, epoch, augment) = (config.seed, u64::from(self.number), config.data.augment);
        let shuffle = Shuffle { seed, epoch, augment, last: Last::Keep };
        let order = job.train.order(config.batch_size, &shuffle);
        let steps = order.len();
        let mut sums = Sums::default();
        let mut lr = 0.;
        for (i, numbers) in order.iter().enumerate() {
            let (x, y) = job.train.shuffled(numbers, &shuffle);
            let at = f64::from(self.number) + i as f64 / steps as f64;
            lr =
                self.optimizer.learning_rate() * self.schedule.factor(at, f64::from(config.epochs));
            let keys: Vec<u64> =
                numbers.iter().map(|&image| noise::key(seed, image as u64, epoch)).collect();
            let step = Step {
                model: &job.model,
                x: &x,
                y: &y,
                numbers,
                images: job.train.len(),
                keys: &keys,
                epoch: at,
                precision: config.precision,
                frozen_norm: config.model.frozen_norm,
                adversary: job.adversary.as_deref(),
            };
            if let Some(loss) = self.descend(&step, lr) {
                sums.add(loss, &y);
            } else {
                sums.skipped += 1;
            }
            let step = i + 1;
            let read = step % READ_EVERY == 0 || step == steps;
            if read {
                self.check(&mut sums, step)?;
            }
            let so_far = read.then(|| (sums.mean_total(), sums.accuracy()));
            watch.tick(&Tick { step, steps, epoch: self.number + 1, so_far });
        }
        ensure!(
            sums.images > 0,
            "every step of epoch {} had a loss that is not finite",
            self.number + 1
        );
        self.check_weights()?;
        Ok(EpochLine {
            epoch: self.number + 1,
            loss: sums.means(),
            observed: sums.quantiles(),
            train_accuracy: sums.accuracy(),
            test_accuracy: None,
            robust_accuracy: None,
            skipped: sums.skipped,
            learning_rate: lr,
            seconds: 0.,
            images_per_second: sums.images as f64 / clock.elapsed().as_secs_f64(),
        })
    }

    /// One step down the loss; none if it was not finite and such steps are skipped.
    fn descend(&mut self, step: &Step, lr: f64) -> Option<Loss> {
        let (job, config) = (self.job, &self.job.config);
        let weights = job.model.params().weights();
        let skips = job.on_nan == OnNan::Skip;
        // A pass with NaN in it has moved running statistics before its loss is known.
        let before = skips.then(|| job.model.params().buffers());
        let loss = self.objective.loss(step);
        let total = loss.total();
        total.backward();
        if let Some(before) = before {
            let gradients = weights.iter().map(|(_, w)| w.grad()).filter(Tensor::defined);
            if !finite(gradients.chain([total])) {
                job.model.params().restore_buffers(&before);
                weights.iter().for_each(|(_, w)| w.shallow_clone().zero_grad());
                return None;
            }
        }
        self.objective.after_backward();
        if let Some(most) = config.clip {
            clip_gradients(&weights, most);
        }
        self.optimizer.step(&weights, lr);
        if let Some(ema) = &mut self.ema {
            ema.update(job.model.params());
        }
        Some(loss)
    }

    /// Errors: a loss since the last reading, the last of them at `step`, that is not finite.
    fn check(&self, sums: &mut Sums, step: usize) -> Result<()> {
        let unread = std::mem::take(&mut sums.unread);
        let values = |l: &Vec<(&str, Tensor)>| -> Vec<Tensor> {
            l.iter().map(|(_, t)| t.shallow_clone()).collect()
        };
        if finite(unread.iter().flat_map(values)) {
            return Ok(());
        }
        let bad = |l: &&Vec<(&str, Tensor)>| !finite(values(l).into_iter());
        let parts = unread.iter().find(bad).expect("one of them is not finite");
        let after = unread.iter().rev().take_while(|l| !std::ptr::eq(*l, parts)).count();
        let told: Vec<String> = parts
            .iter()
            .map(|(name, value)| format!("{name} {}", value.double_value(&[])))
            .collect();
        bail!("the loss is not finite: {}; {}", told.join(", "), self.place(Some(step - after)))
    }

    /// Errors: a weight that is not finite, before it is written over the last good checkpoint.
    fn check_weights(&self) -> Result<()> {
        // What is only stored may be infinite: attention masks are.
        if finite(self.job.model.params().weights().into_iter().map(|(_, weight)| weight)) {
            return Ok(());
        }
        bail!("a weight is not finite although every loss was; {}", self.place(None))
    }

    /// Where it happened, what is left and what would do.
    fn place(&self, step: Option<usize>) -> String {
        let step = step.map_or("at the end".to_owned(), |step| format!("step {step}"));
        let good = match self.number {
            0 => "there is no checkpoint yet".to_owned(),
            n => format!(
                "the last good checkpoint is `{}` (epoch {n})",
                self.job.out.join("last.safetensors").display()
            ),
        };
        format!(
            "{step} of epoch {}; {good}; lower `optimizer.learning_rate`, set `clip`, or add \
             `--on-nan skip` to leave such steps out",
            self.number + 1
        )
    }
}

/// Whether no entry is NaN or infinite; one synchronisation in all.
fn finite(tensors: impl Iterator<Item = Tensor>) -> bool {
    // A sum of zeros times the entries: NaN as soon as one entry is not finite.
    let zeros: Vec<Tensor> =
        tensors.map(|t| (t.detach().to_kind(Kind::Float) * 0.).sum(Kind::Float)).collect();
    zeros.is_empty() || Tensor::stack(&zeros, 0).sum(Kind::Float).double_value(&[]) == 0.
}

/// Sums over an epoch, kept on the device.
#[derive(Default)]
struct Sums {
    parts: BTreeMap<&'static str, Tensor>,
    /// Loss parts of the steps since the last reading.
    unread: Vec<Vec<(&'static str, Tensor)>>,
    observed: BTreeMap<&'static str, Vec<Tensor>>,
    correct: Option<Tensor>,
    images: i64,
    skipped: u64,
}

impl Sums {
    fn add(&mut self, loss: Loss, y: &Tensor) {
        let n = y.numel() as i64;
        for (name, value) in &loss.parts {
            let value = value.detach().to_kind(Kind::Double) * n;
            let sum = self.parts.remove(name).map_or(value.shallow_clone(), |s| s + &value);
            self.parts.insert(name, sum);
        }
        let correct = loss.logits.detach().argmax(1, false).eq_tensor(y).sum(Kind::Int64);
        self.correct = Some(self.correct.take().map_or(correct.shallow_clone(), |c| c + &correct));
        self.images += n;
        for (name, values) in loss.observed {
            self.observed.entry(name).or_default().push(values.detach());
        }
        self.unread.push(loss.parts.into_iter().map(|(name, t)| (name, t.detach())).collect());
    }

    fn means(&self) -> BTreeMap<String, f64> {
        let mean = |t: &Tensor| t.double_value(&[]) / self.images as f64;
        let mut means: BTreeMap<String, f64> =
            self.parts.iter().map(|(name, t)| ((*name).to_owned(), mean(t))).collect();
        means.insert("total".into(), means.values().sum());
        means
    }

    fn quantiles(&self) -> BTreeMap<String, Quantiles> {
        let of = |values: &Vec<Tensor>| Quantiles::of(&Tensor::cat(values, 0));
        self.observed.iter().map(|(name, values)| ((*name).to_owned(), of(values))).collect()
    }

    fn mean_total(&self) -> f64 {
        self.means()["total"]
    }

    fn accuracy(&self) -> f64 {
        self.correct.as_ref().map_or(0., |c| c.double_value(&[]) / self.images as f64)
    }
}
