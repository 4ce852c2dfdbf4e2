//! Nothing as a map: the control of measures that a map may pass by saying nothing.

use crate::{Attribution, Batch};
use anyhow::Result;
use registry::{Described, Entry, NoOptions};
use tch::Tensor;
use toml::Table;

/// In the list of methods.
pub(crate) const ENTRY: Entry<dyn Attribution> = Entry {
    name: "zero",
    about: "0 everywhere: a control that says nothing; it has no heat map, so measures of heat are \
            undefined",
    options: Described::NONE,
    build,
};

/// A map of zeros. Tan & Tian's faithfulness of it is 1 / ‖p‖: what a map says counts only where its
/// own is more.
#[derive(Debug)]
struct Zero;

impl Attribution for Zero {
    fn attribute(&self, _model: &dyn models::Model, batch: &Batch) -> Tensor {
        batch.x.zeros_like()
    }

    fn ignores_image(&self) -> bool {
        true
    }
}

/// The control.
fn build(table: Table) -> Result<Box<dyn Attribution>> {
    registry::options::<NoOptions>(table)?;
    Ok(Box::new(Zero))
}
