//! Batches of images attacked for every row and judged in every column; only per-image numbers are
//! kept.

use crate::{
    cli::Explained,
    evaluation::{Fitted, Judge, Judging, Named, Run},
    session::Loaded,
};
use ::attack::Outcome;
use anyhow::{Result, ensure};
use tch::Tensor;

/// A row: maps that are attacked.
pub(super) struct Source<'a> {
    pub loaded: &'a Loaded,
    pub fitted: Fitted<'a>,
}

/// A column: maps that are judged.
pub(super) struct Target<'a> {
    pub loaded: &'a Loaded,
    pub judging: Judging,
}

/// Every row against every column.
pub(super) struct Matrix<'a> {
    pub explained: &'a Explained,
    pub sources: Vec<Source<'a>>,
    pub targets: Vec<Target<'a>>,
    /// How many.
    pub radii: usize,
}

/// One run for each column, row and radius, in this order.
pub(super) struct Runs {
    runs: Vec<Run>,
    sources: usize,
    radii: usize,
}

impl Matrix<'_> {
    /// Pixels that count as the top; they depend on the images alone.
    pub fn k(&self) -> i64 {
        self.sources[0].fitted.k
    }

    /// No image yet.
    pub fn runs(&self) -> Runs {
        let (sources, radii) = (self.sources.len(), self.radii);
        let count = self.targets.len() * sources * radii;
        Runs { runs: (0..count).map(|_| Run::default()).collect(), sources, radii }
    }

    /// The numbers of one batch in the order of [`Runs`].
    pub fn batch(
        &self,
        (x, y): (&Tensor, &Tensor),
        first: u64,
        tick: &dyn Fn(),
    ) -> Result<Vec<Named>> {
        let attack = |source: &Source| {
            let batch = source.loaded.batch(self.explained, x, y, first)?;
            source.fitted.outcomes(&batch, first, tick)
        };
        let attacked = self.sources.iter().map(attack).collect::<Result<Vec<_>>>()?;
        let attacked: Vec<&Outcome> = attacked.iter().flatten().collect();
        let judged = self.targets.iter().map(|to| self.judge(to, (x, y), first, &attacked));
        Ok(judged.collect::<Result<Vec<_>>>()?.into_iter().flatten().collect())
    }

    /// Judges one column's maps.
    fn judge(
        &self,
        Target { loaded, judging }: &Target,
        (x, y): (&Tensor, &Tensor),
        first: u64,
        attacked: &[&Outcome],
    ) -> Result<Vec<Named>> {
        let batch = loaded.batch(self.explained, x, y, first)?;
        let judge = Judge::new(loaded, &*judging.method, (&batch, y, first), self.k())?;
        attacked.iter().map(|outcome| Ok(judge.numbers(outcome)?.0)).collect()
    }
}

impl Runs {
    /// Adds one batch.
    pub fn push(&mut self, batch: Vec<Named>) -> Result<()> {
        let (found, wanted) = (batch.len(), self.runs.len());
        ensure!(found == wanted, "a part has {found} runs, not {wanted}");
        self.runs.iter_mut().zip(batch).for_each(|(run, batch)| run.push(batch));
        Ok(())
    }

    /// All batches as one.
    pub fn joined(self) -> Self {
        Runs { runs: self.runs.into_iter().map(Run::joined).collect(), ..self }
    }

    /// The runs of a column and a row, the smallest radius first.
    pub fn at(&self, target: usize, source: usize) -> &[Run] {
        let first = (target * self.sources + source) * self.radii;
        &self.runs[first..first + self.radii]
    }
}
