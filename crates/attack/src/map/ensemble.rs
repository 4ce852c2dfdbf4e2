//! Attacks that fail at different images, one after another, each image keeping its strongest result:
//! the pattern of AutoAttack (Croce & Hein 2020).

use super::{Beta, Descent, Ground, Known, MapAttack, Outcome, Reference, Start};
use crate::{AutoPgd, Ball, Optimizer, Sign, Step, optim::square::SquareSearch};
use anyhow::Result;
use explain::Batch;
use serde::{Deserialize, Serialize};

/// How much an attack may cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Strength {
    /// One walk: [`MapAttack::fast`].
    Fast,
    /// Several: [`Ensemble::standard`].
    Standard,
}

/// Walks of one goal over the maps of one method on one network.
pub struct Ensemble<'a>(Vec<Member<'a>>);

/// A walk, and whether it begins at a random image of the ball.
struct Member<'a>(MapAttack<'a>, bool);

/// Iterations of each walk of [`Ensemble::standard`].
const ITERATIONS: u32 = 48;
/// Those of each walk that only evaluates maps, which a gradient's pass is three of.
const QUERIES: u32 = 500;
/// A growth of β that begins softer and ends sharper than [`Beta::USUAL`].
const WIDE: Beta = Beta { start: 10., end: 1000., relative: true };

impl<'a> Ensemble<'a> {
    /// One attack: the first of its starts is what is known, the others are random.
    pub fn of(attack: MapAttack<'a>) -> Self {
        Ensemble((0..attack.restarts.max(1)).map(|start| Member(attack, start > 0)).collect())
    }

    /// Without parameters: six walks, by Auto-PGD and by signs, at two growths of β and down two
    /// losses, the last two from a random start; random search where there are no gradients, random
    /// steps where `attack` has no aim.
    pub fn standard(attack: MapAttack<'a>, ball: &Ball) -> Self {
        let attack = MapAttack { iterations: ITERATIONS, restarts: 1, ..attack };
        let by_signs = (&Sign::CLAMPED as &dyn Optimizer, Step::Falling(ball.eps));
        let walk = |(optimizer, step), beta, descent, random| {
            Member(MapAttack { optimizer, step, beta, descent, ..attack }, random)
        };
        if attack.objective.gradient_free() {
            let alike = |start| walk(by_signs, attack.beta, attack.descent, start > 0);
            return Ensemble((0..6).map(alike).collect());
        }
        if attack.method.differentiable().is_none() {
            let search = MapAttack { optimizer: &SquareSearch {}, iterations: QUERIES, ..attack };
            return Ensemble((0..2).map(|start| Member(search, start > 0)).collect());
        }
        let by_apgd = (&AutoPgd {} as &dyn Optimizer, attack.step);
        let (near, other) = (Descent::Near, Descent::Other);
        Ensemble(vec![
            walk(by_apgd, Beta::USUAL, near, false),
            walk(by_signs, Beta::USUAL, near, false),
            walk(by_apgd, WIDE, near, false),
            walk(by_signs, WIDE, other, false),
            walk(by_apgd, Beta::USUAL, other, true),
            walk(by_apgd, WIDE, near, true),
        ])
    }

    /// Errors: those of [`MapAttack::check`].
    pub fn check(&self, image: [i64; 3]) -> Result<()> {
        self.0.iter().try_for_each(|member| member.0.check(image))
    }

    /// How many iterations it takes.
    pub fn iterations(&self) -> u64 {
        self.0.iter().map(|member| u64::from(member.0.iterations)).sum()
    }

    /// As [`MapAttack::run`]; what a member finds is no start of another's.
    pub fn run(
        &self,
        batch: &Batch,
        clean: &Reference,
        ball: &Ball,
        smaller: Option<&Outcome>,
        tick: &dyn Fn(),
    ) -> Outcome {
        let begun = &self.0[0].0.begun(batch, clean, smaller);
        let on = Ground { begun, batch, clean, ball, tick };
        let known =
            (0..).zip(&self.0).fold(Known::of(begun), |known, (number, Member(attack, random))| {
                attack.walk(&on, Start { number, random: *random }, known)
            });
        begun.followed_by(known)
    }
}
