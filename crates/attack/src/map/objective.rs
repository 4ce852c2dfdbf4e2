//! Goals of attacks on maps, a file each, and the list of them.

use super::reference::MapObjective;
use anyhow::Result;
use registry::Entry;
use toml::Table;

mod manipulate;
mod mass_centre;
mod random;
mod sums;
mod targeted;
mod topk;

/// Every attack on maps, sorted by name.
pub const ATTACKS: &[Entry<dyn MapObjective>] =
    &[manipulate::ENTRY, mass_centre::ENTRY, random::ENTRY, targeted::ENTRY, topk::ENTRY];

/// The attack that `table` (`name` and options) asks for.
pub fn map_objective(table: Table) -> Result<Box<dyn MapObjective>> {
    registry::build("attack", ATTACKS, table)
}
