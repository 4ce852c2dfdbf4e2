//! Attacks on predictions: from images and labels to images of the ball that the network gets
//! wrong. Whole batches; between attempts the images that are broken already are left out.

use crate::OPTIMIZERS;
use anyhow::{Result, anyhow};
use registry::{Entry, Named};
use toml::{Table, Value};

mod adversary;
mod apgd;
mod attempts;
pub mod autoattack;
mod fab;
pub mod loss;
mod objective;
mod pgd;
mod square;

pub use adversary::{Adversary, AttackInput};
pub use loss::Loss;
pub use square::Square;

/// Every attack on predictions, sorted by name.
pub const ADVERSARIES: &[Entry<dyn Adversary>] =
    &[apgd::CE, apgd::DLR, apgd::TARGETED, fab::TARGETED, pgd::FGSM, pgd::PGD, square::ENTRY];

/// A list of attacks as users write it with our names for those of other libraries; their AutoAttack is
/// our selection `standard`. Errors: an option that is given by two of its names.
pub fn own_names(list: &str) -> Result<String> {
    let list = registry::own_names(ADVERSARIES, list)?;
    let own = |one: String| if one == "AutoAttack" { "standard".to_owned() } else { one };
    Ok(registry::split(&list).into_iter().map(own).collect::<Vec<_>>().join(","))
}

/// The attack that `table` (`name` and options) asks for. Errors: as of [`registry::build`]; what is
/// an optimiser is said to be one.
pub fn adversary(table: Table) -> Result<Box<dyn Adversary>> {
    let name = table.get("name").and_then(Value::as_str).unwrap_or_default().to_owned();
    let here = ADVERSARIES.iter().any(|entry| entry.is_called(&name));
    let rule = !here && OPTIMIZERS.iter().any(|entry| entry.is_called(&name));
    let told = |e| if rule { anyhow!("{e:#}; a rule: `pgd:rule={name}`") } else { e };
    registry::build("attack", ADVERSARIES, table).map_err(told)
}
