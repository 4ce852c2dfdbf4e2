//! What an epoch's line of the log is made of: sums over its steps and over all ranks. They stay
//! on the device and with their rank until they are read.

use crate::{
    communicator::{Communicator, Share, gather},
    log::Quantiles,
    objective::Loss,
};
use std::collections::BTreeMap;
use tch::{Kind, Tensor};

/// Sums over an epoch.
#[derive(Default)]
pub(crate) struct Sums {
    /// Names of the loss parts.
    parts: Vec<&'static str>,
    /// The steps since the last reading: this rank's loss parts, times its images, and its correct
    /// predictions, f64 `[parts + 1]`; and the images of the whole batch.
    unread: Vec<(Tensor, usize)>,
    /// The same of all ranks and steps that were read.
    totals: Vec<f64>,
    observed: BTreeMap<&'static str, Vec<Tensor>>,
    /// The sum of all loss parts and the images, when [`Sums::lately`] was asked last.
    before: (f64, usize),
    /// Images of the steps that were taken, of all ranks.
    pub images: usize,
    /// Steps left out.
    pub skipped: u64,
}

/// A step whose loss is not finite.
pub(crate) struct NonFinite {
    /// Steps after it.
    pub after: usize,
    /// The loss parts of its batch.
    pub parts: String,
}

impl Sums {
    /// Adds a step of this rank: its loss and its labels.
    pub fn add(&mut self, loss: Loss, y: &Tensor, share: &Share) {
        let value = |(_, part): &(_, Tensor)| part.detach().to_kind(Kind::Double);
        let mut row: Vec<Tensor> = loss.parts.iter().map(value).collect();
        let correct = loss.logits.detach().argmax(1, false).eq_tensor(y);
        row.push(correct.to_kind(Kind::Double).mean(Kind::Double));
        self.unread.push((Tensor::stack(&row, 0) * share.own as f64, share.of));
        self.parts = loss.parts.iter().map(|(name, _)| *name).collect();
        self.images += share.of;
        for (name, values) in loss.observed {
            let own = values.detach().narrow(0, 0, share.own as i64);
            self.observed.entry(name).or_default().push(own);
        }
    }

    /// Brings the totals up to now: one reading of the device. Errors: the first step since the
    /// last reading whose loss was not finite.
    pub fn read(&mut self, ranks: &dyn Communicator) -> Result<(), NonFinite> {
        let unread = std::mem::take(&mut self.unread);
        if unread.is_empty() {
            return Ok(());
        }
        let rows: Vec<&Tensor> = unread.iter().map(|(row, _)| row).collect();
        let rows = Vec::<Vec<f64>>::try_from(ranks.sum(&Tensor::stack(&rows, 0)));
        self.totals.resize(self.parts.len() + 1, 0.);
        for (i, row) in rows.expect("a matrix of f64").iter().enumerate() {
            if !row.iter().all(|value| value.is_finite()) {
                let mean = |(name, sum)| format!("{name} {}", sum / unread[i].1 as f64);
                let parts: Vec<String> = self.parts.iter().zip(row).map(mean).collect();
                return Err(NonFinite { after: unread.len() - 1 - i, parts: parts.join(", ") });
            }
            self.totals.iter_mut().zip(row).for_each(|(total, value)| *total += value);
        }
        Ok(())
    }

    /// The mean of every loss part, as last read, and `total`.
    pub fn means(&self) -> BTreeMap<String, f64> {
        let mean = |(name, sum): (&&str, &f64)| ((*name).to_owned(), sum / self.images as f64);
        let mut means: BTreeMap<String, f64> =
            self.parts.iter().zip(&self.totals).map(mean).collect();
        means.insert("total".into(), means.values().sum());
        means
    }

    /// The mean loss over the images since this was asked last; none where there were none.
    pub fn lately(&mut self) -> Option<f64> {
        let now = (self.totals.iter().take(self.parts.len()).sum::<f64>(), self.images);
        let (sum, images) = (now.0 - self.before.0, now.1 - self.before.1);
        self.before = now;
        (images > 0).then(|| sum / images as f64)
    }

    /// Training accuracy in [0, 1], as last read.
    pub fn accuracy(&self) -> f64 {
        self.totals.last().map_or(0., |correct| correct / self.images as f64)
    }

    /// What was observed of the images of all ranks.
    pub fn quantiles(&self, ranks: &dyn Communicator) -> BTreeMap<String, Quantiles> {
        let of = |values: &Vec<Tensor>| Quantiles::of(&gather(ranks, &Tensor::cat(values, 0)));
        self.observed.iter().map(|(name, values)| ((*name).to_owned(), of(values))).collect()
    }
}
