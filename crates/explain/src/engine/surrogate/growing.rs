//! Surrogates whose copies are draws: standard errors, and copies until these are small.

use super::{Linear, PerturbedInputs, Surrogate, scores, still};
use crate::{
    Batch,
    engine::{
        chunks::{self, Pass},
        estimate::{self, Draws, Estimate, Growing},
    },
    sampling::features::Segments,
};
use models::Model;
use std::ops::Range;
use tch::Tensor;

impl<S: Surrogate> Linear<S> {
    /// What the copies come to.
    pub(super) fn estimated(&self, model: &dyn Model, batch: &Batch, draws: Draws) -> Estimate {
        let segments = self.0.segments(&batch.x);
        let growing = Endless { of: &self.0, model, segments, together: draws.together as i64 };
        if let Some(tolerance) = draws.tolerance {
            return estimate::grow(batch, tolerance, &growing);
        }
        let samples = self.0.samples(&batch.x);
        let [map, values] = self.values(model, batch, &growing.segments);
        let rows: Vec<i64> = (0..batch.x.size()[0]).collect();
        let [_, error] = growing.found(batch, &rows, &[values], samples as u64);
        Estimate { map, error, samples: vec![samples as u64; rows.len()] }
    }
}

/// Copies without an end.
struct Endless<'a> {
    of: &'a dyn Surrogate,
    model: &'a dyn Model,
    segments: Segments,
    together: i64,
}

impl Endless<'_> {
    /// The first `samples` copies of a pass's images, which `rows` names in the whole batch.
    fn copies(&self, pass: &Pass, rows: &[i64], samples: i64) -> Box<dyn PerturbedInputs> {
        let own = &rows[pass.first as usize..pass.first as usize + pass.block.keys.len()];
        self.of.with_samples(samples).copies(&pass.block, &self.segments.select(own))
    }
}

impl Growing for Endless<'_> {
    fn more(
        &self,
        batch: &Batch,
        rows: &[i64],
        state: Vec<Tensor>,
        draws: Range<u64>,
    ) -> Vec<Tensor> {
        let range = draws.start as i64..draws.end as i64;
        let images = |chunk: i64| chunk / (range.end - range.start);
        let [new] = chunks::map_sized(batch, images, |pass| {
            let copies = self.copies(pass, rows, range.end);
            [scores(self.model, &pass.block, &*copies, range.clone())]
        });
        let all = state.iter().chain([&new]).collect::<Vec<_>>();
        vec![Tensor::cat(&all, 1)]
    }

    fn found(&self, batch: &Batch, rows: &[i64], state: &[Tensor], draws: u64) -> [Tensor; 2] {
        let kind = batch.x.kind();
        chunks::map_sized(
            batch,
            |chunk| chunk / draws as i64,
            |pass| {
                let copies = self.copies(pass, rows, draws as i64);
                let values = pass.part(&state[0]);
                let none = still(&values, kind);
                let error = copies.error(&values, self.together).expect("its copies are draws");
                [copies.map(&values), error]
                    .map(|t| t.to_kind(kind).reshape(pass.block.x.size()).masked_fill(&none, 0.))
            },
        )
    }
}
