//! Data without parts, cut into one for training and one for testing.

use crate::{
    Dataset, Split,
    keyed::{self, Purpose},
};
use anyhow::{Result, ensure};
use rand::seq::SliceRandom;
use tensorfile::upload;

/// How much of each class is for testing, and the seed that draws which.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Holdout {
    /// The share of each class's images, in (0, 1).
    pub fraction: f64,
    /// Another seed is another cut.
    pub seed: u64,
}

impl Holdout {
    /// Errors: a fraction that leaves nothing on one side.
    pub fn check(&self) -> Result<()> {
        let fraction = self.fraction;
        let inside = fraction > 0. && fraction < 1.;
        ensure!(inside, "`holdout = {fraction}` is no fraction between 0 and 1, such as 0.2");
        Ok(())
    }

    /// The part `split` of `set`, in its order. Errors: as of [`Holdout::cut`]; `set` has parts of its own.
    pub(crate) fn part(&self, set: &Dataset, split: Split) -> Result<Dataset> {
        self.check()?;
        ensure!(
            set.whole,
            "`holdout`: `{}` has a part for testing of its own; leave `holdout` out",
            set.name
        );
        let [trained, tested] = self.cut(set, 0)?;
        Ok(if split == Split::Train { trained } else { tested })
    }

    /// `set` in two, each in its order: what is left, and what is held out. Of the n images of a class
    /// round(fraction · n) are held out, drawn by the seed and `number`, at least one and not all; of a single
    /// image none. Errors: every class has a single image.
    pub fn cut(&self, set: &Dataset, number: u64) -> Result<[Dataset; 2]> {
        self.check()?;
        let labels: Vec<i64> = (&set.labels).try_into()?;
        let mut tested = vec![false; labels.len()];
        for class in 0..set.classes.len() as i64 {
            let mut own: Vec<usize> = (0..labels.len()).filter(|&i| labels[i] == class).collect();
            own.shuffle(&mut keyed::generator(Purpose::Holdout, [self.seed, class as u64, number]));
            let share = (self.fraction * own.len() as f64).round() as usize;
            let share = if own.len() > 1 { share.clamp(1, own.len() - 1) } else { 0 };
            own[..share].iter().for_each(|&image| tested[image] = true);
        }
        ensure!(
            tested.contains(&true),
            "`holdout`: no class of `{}` has two images, one of which would be for testing",
            set.name
        );
        Ok([false, true].map(|held| {
            let rows = (0..labels.len()).filter(|&i| tested[i] == held).map(|i| i as i64);
            let rows = upload(&rows.collect::<Vec<_>>(), set.labels.device());
            Dataset { whole: false, ..set.rows(&rows) }
        }))
    }
}
