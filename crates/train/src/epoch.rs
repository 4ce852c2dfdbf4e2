//! One epoch: batches, of which each rank has its share, steps, and the line of the log.

mod recorded;
mod stats;

use crate::{
    EpochLine, Job, Observer, OnNan, Tick,
    communicator::{self, Share},
    ema::Ema,
    log::Reading,
    objective::{Loss, Objective, Step},
    optimizer::Optimizer,
    schedule::Schedule,
};
use anyhow::{Result, bail, ensure};
use data::{Last, Shuffle};
use models::{
    SyncTraining, noise,
    params::flat::{Flat, Gradients},
};
pub(crate) use recorded::Recorded;
use stats::{NonFinite, Sums};
use std::{cell::OnceCell, collections::BTreeMap, time::Instant};
use tch::{Kind, Tensor};

/// Steps between two readings of the running loss.
const READ_EVERY: usize = 20;

/// What an epoch works with.
pub(crate) struct Epoch<'a> {
    pub job: &'a Job,
    /// Where the job's network has its tensors.
    pub flat: &'a Flat,
    /// From 0 on.
    pub number: u32,
    pub objective: &'a mut dyn Objective,
    pub schedule: &'a dyn Schedule,
    pub optimizer: &'a mut dyn Optimizer,
    pub ema: Option<&'a mut Ema>,
    /// The step as recorded, of all epochs; none inside: it is refused.
    pub recorded: &'a OnceCell<Option<Recorded>>,
}

impl Epoch<'_> {
    /// Trains and returns the line of the log, test accuracy and seconds still open.
    pub fn train(&mut self, watch: &mut dyn Observer) -> Result<EpochLine> {
        let (job, config, clock) = (self.job, &self.job.config, Instant::now());
        let (seed, epoch, augment) = (config.seed, u64::from(self.number), config.data.augment);
        let shuffle = Shuffle { seed, epoch, augment, last: Last::Keep };
        let mut order = job.train.order(config.batch_size, &shuffle);
        merge_last(&mut order, least(job));
        let (mut sums, mut at, ranks) = (Sums::default(), 0., &*job.ranks);
        let shares: Vec<Share> = order.iter().map(|batch| Share::new(ranks, batch)).collect();
        let own = shares.iter().map(|share| share.numbers.to_vec()).collect();
        let steps = order.len();
        let (mut readings, before) = (vec![], u64::from(self.number) * steps as u64);
        for (i, (share, batch)) in shares.iter().zip(job.train.epoch(own, shuffle)).enumerate() {
            at = f64::from(self.number) + i as f64 / steps as f64;
            self.take(share, batch?, at, &mut sums);
            let step = i + 1;
            let read = step % READ_EVERY == 0 || step == steps;
            if read {
                sums.read(ranks).or_else(|non_finite| self.stop(step, &non_finite))?;
                readings.extend(sums.lately().map(|loss| Reading {
                    step: before + step as u64,
                    loss,
                    seconds: clock.elapsed().as_secs_f64(),
                }));
            }
            let so_far = read.then(|| (sums.means()["total"], sums.accuracy()));
            watch.tick(&Tick { step, steps, epoch: self.number + 1, so_far });
        }
        ensure!(
            sums.images > 0,
            "every step of epoch {} had a loss that is not finite",
            self.number + 1
        );
        self.check_weights()?;
        let images_per_second = sums.images as f64 / clock.elapsed().as_secs_f64();
        self.meet(&order)?;
        Ok(EpochLine {
            epoch: self.number + 1,
            loss: sums.means(),
            observed: sums.quantiles(ranks),
            train_accuracy: sums.accuracy(),
            test_accuracy: None,
            validation_accuracy: None,
            robust_accuracy: None,
            skipped: sums.skipped,
            steps: readings,
            learning_rate: self.rate(at),
            seconds: 0.,
            images_per_second,
            ended: 0.,
        })
    }

    /// The learning rate `at` epochs into the run.
    fn rate(&self, at: f64) -> f64 {
        let of = f64::from(self.job.config.epochs);
        self.optimizer.learning_rate() * self.schedule.factor(at, of)
    }

    /// The step of this rank's share of a batch, images and labels, `at` epochs into the run.
    fn take(&mut self, share: &Share, (x, y): (Tensor, Tensor), at: f64, sums: &mut Sums) {
        let Job { config, model, train, ranks, .. } = self.job;
        let numbers = share.numbers;
        let key = |&image: &i64| noise::key(config.seed, image as u64, self.number.into());
        let keys: Vec<u64> = numbers.iter().map(key).collect();
        let sum = |t: &Tensor| ranks.sum(t);
        let shared = config.sync_norm && ranks.size() > 1;
        let tape = shared.then(|| SyncTraining::new(&sum, share.own > 0));
        let step = Step {
            model,
            x: &x,
            y: &y,
            numbers,
            images: train.len(),
            keys: &keys,
            epoch: at,
            precision: config.precision,
            frozen_norm: config.model.frozen_norm,
            adversary: self.job.adversary.as_deref(),
            tape: tape.as_ref(),
        };
        match self.descend(&step, share, self.rate(at)) {
            Some(loss) => sums.add(loss, &y, share),
            None => sums.skipped += 1,
        }
    }

    /// One step down the loss; none if it was not finite and such steps are skipped.
    fn descend(&mut self, step: &Step, share: &Share, lr: f64) -> Option<Loss> {
        let (job, config) = (self.job, &self.job.config);
        let skips = job.on_nan == OnNan::Skip;
        // A pass with NaN in it has moved running statistics before its loss is known.
        let before = skips.then(|| job.model.params().statistics());
        let (total, mut gradients, loss) = match self.replayed(step) {
            Some((loss, gradients)) => (loss.total(), gradients, loss),
            None => {
                let loss = self.objective.loss(step);
                // This rank's part of the mean over the batch.
                let total = loss.total() * share.weight();
                let weights = step.gradients(&total);
                (total, self.flat.gradients(&weights), loss)
            }
        };
        let summed = [gradients.values.shallow_clone(), total.detach()];
        communicator::sum_all(&*job.ranks, &summed);
        if let Some(before) = before
            && !finite(summed.into_iter())
        {
            job.model.params().restore_statistics(&before);
            return None;
        }
        if let Some(most) = config.clip {
            gradients.clip(most);
        }
        self.optimizer.step(&gradients, lr);
        if let Some(ema) = &mut self.ema {
            ema.update(self.flat);
        }
        Some(loss)
    }

    /// Loss and gradients of `step` as recorded; none where it is not.
    fn replayed(&mut self, step: &Step) -> Option<(Loss, Gradients)> {
        let recorder = self.job.recorder.as_deref()?;
        let (flat, objective) = (self.flat, &mut *self.objective);
        let recorded = self.recorded.get_or_init(|| match self.job.ranks.size() {
            1 => Recorded::of(recorder, step, objective, flat),
            _ => {
                recorder.refused("several ranks train together");
                None
            }
        });
        recorded.as_ref()?.at(step, flat)
    }

    /// Brings together what the ranks know of their own images only.
    fn meet(&mut self, order: &[Vec<i64>]) -> Result<()> {
        let Job { config, model, ranks, .. } = self.job;
        if ranks.size() == 1 {
            return Ok(());
        }
        if !config.sync_norm && !config.model.frozen_norm {
            let running = model.params().statistics();
            let of = |tensors: &BTreeMap<String, Tensor>| {
                let of = running.keys().map(|name| tensors[name].shallow_clone());
                communicator::average_statistics(&**ranks, &of.collect::<Vec<_>>());
            };
            of(&model.params().tensors());
            self.ema.iter().for_each(|ema| of(&ema.average()));
        }
        let shares = order.iter().map(|batch| Share::new(&**ranks, batch));
        let own: Vec<i64> =
            shares.filter(|share| share.own > 0).flat_map(|share| share.numbers.to_vec()).collect();
        let state = communicator::merge_rows(&**ranks, self.objective.state(), &own);
        self.objective.restore(state)
    }

    /// The error of a loss that is not finite, read at `step`.
    fn stop(&self, step: usize, non_finite: &NonFinite) -> Result<()> {
        let place = self.place(Some(step - non_finite.after));
        bail!("the loss is not finite: {}; {place}", non_finite.parts)
    }

    /// Errors: a weight or a running statistic that is not finite, before it is written over the last
    /// good checkpoint.
    fn check_weights(&self) -> Result<()> {
        let params = self.job.model.params();
        let weights = params.weights().into_iter().map(|(_, weight)| weight);
        // What else is only stored may be infinite: attention masks are.
        if finite(weights.chain(params.statistics().into_values())) {
            return Ok(());
        }
        bail!(
            "a weight or a running statistic is not finite although every loss was; {}",
            self.place(None)
        )
    }

    /// Where it happened, what is left and what would do.
    fn place(&self, step: Option<usize>) -> String {
        let step = step.map_or("at the end".to_owned(), |step| format!("step {step}"));
        let good = match self.number {
            0 => "there is no checkpoint yet".to_owned(),
            n => format!(
                "the last good checkpoint is `{}` (epoch {n})",
                self.job.out.join(self.job.weights()).display()
            ),
        };
        format!(
            "{step} of epoch {}; {good}; lower `optimizer.learning_rate`, set `clip`, or add \
             `--on-nan skip` to leave such steps out",
            self.number + 1
        )
    }
}

/// Images that a batch has at least: two for each rank where a batch norm sees one value a channel,
/// since one value has no variance.
fn least(job: &Job) -> usize {
    match job.config.model.frozen_norm || !job.model.footprint().lone {
        true => 1,
        false if job.config.sync_norm => 2,
        false => 2 * job.ranks.size(),
    }
}

/// Adds a last batch of fewer than `least` images to the one before.
fn merge_last(order: &mut Vec<Vec<i64>>, least: usize) {
    if order.len() > 1 && order.last().is_some_and(|last| last.len() < least) {
        let last = order.pop().expect("there are two");
        order.last_mut().expect("there is one").extend(last);
    }
}

/// Errors: batches of fewer images than the network's norms need.
pub(crate) fn check_batches(job: &Job) -> Result<()> {
    let (images, size, least) = (job.train.len(), job.config.batch_size, least(job));
    ensure!(
        size >= least && images >= least,
        "a batch norm of `{}` sees one value a channel of an image, which has no variance: a batch \
         needs {least} images at least; `batch_size` is {size} and there are {images} training \
         images; raise it, or use larger images",
        job.model.source.name()
    );
    Ok(())
}

/// Whether no entry is NaN or infinite; one synchronisation in all.
fn finite(tensors: impl Iterator<Item = Tensor>) -> bool {
    // A sum of zeros times the entries: NaN as soon as one entry is not finite.
    let zeros: Vec<Tensor> =
        tensors.map(|t| (t.detach().to_kind(Kind::Float) * 0.).sum(Kind::Float)).collect();
    zeros.is_empty() || Tensor::stack(&zeros, 0).sum(Kind::Float).double_value(&[]) == 0.
}
