//! Square on predictions (Andriushchenko et al. 2020): random search on the margin, black box.

use super::{
    adversary::{Adversary, AttackInput},
    attempts::{attempts, seen, still_correct},
    loss::margin,
};
use crate::{
    Best, Objective, Walk,
    optim::square::{BLOCK, search},
};
use anyhow::{Result, ensure};
use models::grad::value_and_grad;
use registry::{Entry, described};
use serde::{Deserialize, Serialize};
use std::{cell::RefCell, ops::Range};
use tch::Tensor;
use toml::Table;

/// In the list of attacks on predictions.
pub(super) const ENTRY: Entry<dyn Adversary> = Entry {
    name: "square",
    about: "random search with squares, black box (Andriushchenko et al. 2020)",
    options: described::<Square>(&[("queries", "passes an image, the first included")])
        .alias(&["Square"])
        .option_aliases(&[("n_queries", "queries")]),
    build: |t| Ok(Box::new(Square::parse(t)?)),
};

/// The attack; `queries` counts passes per image, the first image included.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Square {
    /// Passes per image.
    pub queries: u32,
}

impl Default for Square {
    fn default() -> Self {
        Square { queries: 5000 }
    }
}

impl Square {
    /// From a table of settings. Errors: unknown keys, no queries.
    pub fn parse(table: Table) -> Result<Self> {
        let square: Square = registry::options(table)?;
        ensure!(square.queries > 0, "`queries` is 0; it must be positive");
        Ok(square)
    }

    /// The best images; those that are broken leave the batch every [`BLOCK`] queries.
    fn search(&self, input: &AttackInput) -> Best {
        let mut all = self.block(input, None, 0..1);
        for from in (1..self.queries).step_by(BLOCK as usize) {
            let open = still_correct(&all);
            if open.is_empty() {
                break;
            }
            let queries = from..self.queries.min(from + BLOCK);
            let part = self.block(&input.pick(&open), Some(all.pick(&open)), queries);
            all.put(&open, &part);
        }
        all
    }

    /// The best images after the queries with these numbers.
    fn block(&self, input: &AttackInput, best: Option<Best>, queries: Range<u32>) -> Best {
        let start = best.as_ref().map_or(&input.x, |best| &best.images).shallow_clone();
        let start_value = best.as_ref().map(|best| best.loss.neg());
        let walk = Walk { start_value, steps: self.queries, ..input.walk(start, &input.keys) };
        let margin = Margin { input, best: RefCell::new(best) };
        let _ = search(&margin, &walk, queries);
        margin.best.into_inner().expect("there is a query in every block")
    }
}

impl Adversary for Square {
    fn attack(&self, input: &AttackInput) -> Tensor {
        attempts(input, 1, |_, input| self.search(input))
    }

    fn check(&self, classes: i64) -> Result<()> {
        ensure!(classes >= 2, "an attack needs 2 classes, the network has {classes}");
        Ok(())
    }

    fn black_box(&self) -> bool {
        true
    }
}

/// The margin of each image; what is positive is wrong, and stays as it is.
struct Margin<'a> {
    input: &'a AttackInput<'a>,
    best: RefCell<Option<Best>>,
}

impl Margin<'_> {
    fn at(&self, x: &Tensor) -> Tensor {
        margin(&self.input.model.logits(x), &self.input.y)
    }

    /// Keeps what is better; the values, −∞ where there is nothing left to win.
    fn note(&self, x: &Tensor, value: Tensor) -> Tensor {
        let wrong = value.gt(0.);
        match &mut *self.best.borrow_mut() {
            Some(best) => {
                let value = value.masked_fill(&best.success, f64::NEG_INFINITY);
                best.keep(&seen(x, &value, &wrong));
                value
            }
            none => {
                *none = Some(seen(x, &value, &wrong));
                value
            }
        }
    }
}

impl Objective for Margin<'_> {
    fn value_and_grad(&self, x: &Tensor, _iteration: u32) -> (Tensor, Tensor) {
        let (value, g) = value_and_grad(x, |x| self.at(x));
        (self.note(x, value), g)
    }

    fn value(&self, x: &Tensor) -> Tensor {
        self.note(x, tch::no_grad(|| self.at(x)))
    }
}
