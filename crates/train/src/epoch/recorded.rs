//! A training step that is recorded once and replayed: forward and backward of an objective that is
//! the same function of images and labels at every step. The optimiser, whose learning rate changes,
//! follows as it does without.

use crate::objective::{Loss, Objective, Step};
use models::{
    params::flat::{Flat, Gradients},
    replay::{Recorder, Replay},
};
use std::ops::Range;

/// A step as recorded.
pub(crate) struct Recorded {
    replay: Replay,
    /// Names of the loss parts.
    parts: Vec<&'static str>,
    /// [`Gradients::given`] and [`Gradients::runs`], which the network decides.
    given: Vec<bool>,
    runs: Vec<Range<i64>>,
}

impl Recorded {
    /// Records steps like `step`. None where that is not possible, which `recorder` is told.
    pub fn of(
        recorder: &dyn Recorder,
        step: &Step,
        objective: &mut dyn Objective,
        flat: &Flat,
    ) -> Option<Self> {
        if !objective.steady() {
            recorder.refused("steps of this objective differ in more than their images and labels");
            return None;
        }
        if step.tape.is_some() {
            recorder.refused("ranks share their norms' statistics");
            return None;
        }
        let (mut parts, mut given, mut runs) = (vec![], vec![], vec![]);
        let moved = [flat.values().shallow_clone()];
        let replay = Replay::of(recorder, &[step.x, step.y], &moved, &mut |at| {
            let loss = objective.loss(&Step { x: &at[0], y: &at[1], ..*step });
            let weights = step.gradients(&loss.total());
            let gradients = flat.gradients(&weights);
            parts = loss.parts.iter().map(|(name, _)| *name).collect();
            (given, runs) = (gradients.given, gradients.runs);
            let mut all = vec![gradients.values, loss.logits];
            all.extend(loss.parts.into_iter().map(|(_, part)| part));
            all
        })?;
        Some(Recorded { replay, parts, given, runs })
    }

    /// Loss and gradients of `step`; none where it has another shape.
    pub fn at(&self, step: &Step, flat: &Flat) -> Option<(Loss, Gradients)> {
        let inputs = [step.x, step.y];
        if !self.replay.fits(&inputs) {
            return None;
        }
        let mut found = self.replay.at(&inputs).into_iter();
        let mut next = || found.next().expect("as many as were recorded");
        let (values, logits) = (next(), next());
        let parts = self.parts.iter().map(|name| (*name, next())).collect();
        let weights = flat.values().narrow(0, 0, flat.trained());
        let (given, runs) = (self.given.clone(), self.runs.clone());
        let loss = Loss { parts, logits, observed: vec![] };
        Some((loss, Gradients { weights, values, given, runs }))
    }
}
