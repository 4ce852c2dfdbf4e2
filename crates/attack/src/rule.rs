//! How an attack on maps moves from iterate to iterate.

use crate::{Ball, Case, apgd, map::Search, pgd::Objective, square};
use anyhow::{Result, ensure};
use models::registry::{self, Entry};
use serde::Deserialize;
use std::cell::Cell;
use tch::Tensor;
use toml::Table;

/// A way to move through the ball.
pub trait Rule {
    /// Walks from the images `start` and has every iterate judged, `search.iterations()` times.
    fn walk(&self, search: &Search, start: Tensor);

    /// Whether it asks for gradients.
    fn follows_gradients(&self) -> bool {
        true
    }
}

/// Every rule, sorted by name.
pub const RULES: &[Entry<dyn Rule>] = &[
    Entry {
        name: "adam",
        about: "Adam with steps of --step (as Dombrowski et al. 2019), then into the ball; options: \
                beta1 (0.9), beta2 (0.999)",
        options: registry::Described::NONE,
        build: |t| {
            let adam = registry::options::<Adam>(t)?;
            for (name, value) in [("beta1", adam.beta1), ("beta2", adam.beta2)] {
                ensure!((0. ..1.).contains(&value), "`{name}` is {value}, not in [0, 1)");
            }
            Ok(Box::new(adam))
        },
    },
    Entry {
        name: "apgd",
        about: "Auto-PGD: momentum and steps that halve, per image, where the surrogate's loss stalls \
                (Croce & Hein 2020); --step is not used; no options",
        options: registry::Described::NONE,
        build: |t| Ok(Box::new(registry::options::<Auto>(t)?)),
    },
    Entry {
        name: "sign",
        about: "steps of --step along the gradient's signs, or along the gradient for l2 (Ghorbani et al. \
                2019); options: projection (clamp; radial: a change that leaves the ball is shrunk \
                whole)",
        options: registry::Described::NONE,
        build: |t| Ok(Box::new(registry::options::<Sign>(t)?)),
    },
    Entry {
        name: "square",
        about: "random search that repaints one window an iteration and asks for no gradient, so for any \
                method (after Andriushchenko et al. 2020); --step and --beta are not used; no options",
        options: registry::Described::NONE,
        build: |t| Ok(Box::new(registry::options::<Windows>(t)?)),
    },
];

/// The rule that `table` (`name` and options) asks for.
pub fn rule(table: Table) -> Result<Box<dyn Rule>> {
    registry::build("rule", RULES, table)
}

/// How an iterate outside the ball is brought back.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Projection {
    /// To the nearest image of the ball.
    #[default]
    Clamp,
    /// Towards the clean image, all pixels by the same factor.
    Radial,
}

impl Projection {
    fn apply(self, ball: &Ball, x: &Tensor, at: &Tensor) -> Tensor {
        match self {
            Projection::Clamp => ball.project(x, at),
            Projection::Radial => ball.shrink(x, at),
        }
    }
}

/// Steepest descent.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Sign {
    projection: Projection,
}

impl Rule for Sign {
    fn walk(&self, search: &Search, start: Tensor) {
        let mut at = start;
        for _ in 0..search.iterations() {
            let (_, g) = search.gradient(&at);
            let next = &at - search.ball.ascent(&g) * search.step();
            at = self.projection.apply(search.ball, search.x(), &next);
            let _ = search.judge(&at);
        }
    }
}

/// What keeps Adam's quotient finite where there is no slope; far below any slope there is.
const TINY: f64 = 1e-18;

/// Adam, entry by entry.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Adam {
    beta1: f64,
    beta2: f64,
}

impl Default for Adam {
    fn default() -> Self {
        Adam { beta1: 0.9, beta2: 0.999 }
    }
}

impl Rule for Adam {
    fn walk(&self, search: &Search, start: Tensor) {
        let (mut mean, mut square) = (start.zeros_like(), start.zeros_like());
        let mut at = start;
        for i in 1..=search.iterations() as i32 {
            let (_, g) = search.gradient(&at);
            mean = mean * self.beta1 + &g * (1. - self.beta1);
            square = square * self.beta2 + g.square() * (1. - self.beta2);
            let root = (&square / (1. - self.beta2.powi(i))).sqrt() + TINY;
            let direction = &mean / (1. - self.beta1.powi(i)) / root;
            at = search.ball.project(search.x(), &(&at - direction * search.step()));
            let _ = search.judge(&at);
        }
    }
}

/// Auto-PGD.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Auto {}

impl Rule for Auto {
    fn walk(&self, search: &Search, start: Tensor) {
        let first = Cell::new(true);
        let objective = |at: &Tensor| {
            let (value, g) = search.gradient(at);
            if !first.replace(false) {
                let _ = search.judge(at);
            }
            (value.neg(), g.neg())
        };
        let objective: &Objective = &objective;
        let _ = apgd::climb(objective, search.x(), &start, search.ball, search.iterations());
    }
}

/// Random search on the real network's loss.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Windows {}

impl Rule for Windows {
    fn walk(&self, search: &Search, start: Tensor) {
        let (model, prediction) = search.victim();
        let case = Case::new(model, (search.x(), prediction), *search.ball, &search.keys);
        let mut best = start;
        let mut loss = search.start_loss.shallow_clone();
        tch::no_grad(|| {
            square::proposals(&case, search.iterations(), |propose| {
                let proposal = propose(&best);
                let value = search.judge(&proposal);
                let better = value.less_tensor(&loss);
                best = proposal.where_self(&better.view([-1, 1, 1, 1]), &best);
                loss = value.minimum(&loss);
            });
        });
    }

    fn follows_gradients(&self) -> bool {
        false
    }
}
