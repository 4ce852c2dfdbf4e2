//! Optimisers, a file each, and the list of them. Attacks on predictions, on maps and in training
//! take any of them.

use anyhow::Result;
use registry::Entry;
use toml::Table;

mod adam;
mod apgd;
mod sign;
pub(crate) mod square;
mod walk;

pub use apgd::AutoPgd;
pub use sign::Sign;
pub use walk::{Optimizer, Step, Walk};

pub(crate) use walk::keyed;

/// Every optimiser, sorted by name.
pub const OPTIMIZERS: &[Entry<dyn Optimizer>] =
    &[adam::ENTRY, apgd::ENTRY, sign::ENTRY, square::ENTRY];

/// The optimiser that `table` (`name` and options) asks for; users know it as a rule.
pub fn optimizer(table: Table) -> Result<Box<dyn Optimizer>> {
    registry::build("rule", OPTIMIZERS, table)
}

/// An optimiser as users write it with our names for those of other libraries. Errors: an option that is
/// given by two of its names.
pub fn own_names(text: &str) -> Result<String> {
    registry::own_names(OPTIMIZERS, text)
}

/// The optimiser that `text` asks for: `NAME` or `NAME:key=value`.
pub(crate) fn named(text: &str) -> Result<Box<dyn Optimizer>> {
    optimizer(registry::parse(text)?)
}
