//! Attacks on predictions: from images and labels to images of the ball that the network gets
//! wrong. Whole batches; between attempts the images that are broken already are left out.

use anyhow::Result;
use models::registry::{self, Entry};
use toml::Table;

mod adversary;
mod apgd;
mod attempts;
pub mod autoattack;
pub mod loss;
mod objective;
mod pgd;
mod square;

pub use adversary::{Adversary, AttackInput};
pub use loss::Loss;
pub use square::Square;

/// Every attack on predictions, sorted by name.
pub const ADVERSARIES: &[Entry<dyn Adversary>] =
    &[apgd::CE, apgd::DLR, apgd::TARGETED, pgd::FGSM, pgd::PGD, square::ENTRY];

/// The attack that `table` (`name` and options) asks for.
pub fn adversary(table: Table) -> Result<Box<dyn Adversary>> {
    registry::build("attack", ADVERSARIES, table)
}
