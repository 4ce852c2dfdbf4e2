//! Noise as a map: the control that every measure is compared with.

use crate::{Attribution, Batch};
use anyhow::Result;
use models::noise;
use registry::{Described, Entry, NoOptions};
use tch::Tensor;
use toml::Table;

/// In the list of methods.
pub(crate) const ENTRY: Entry<dyn Attribution> = Entry {
    name: "random",
    about: "N(0, 1) noise: a control that knows nothing; where an image is moved, to a neighbour or by \
            an attack, it is drawn anew",
    options: Described::NONE,
    build,
};

/// A map without meaning, N(0, 1) in every number: what a measure gives to nothing.
#[derive(Debug)]
struct Random;

impl Attribution for Random {
    fn attribute(&self, _model: &dyn models::Model, batch: &Batch) -> Tensor {
        let x = &batch.x;
        let keys = batch.keys_of(noise::name_id("random"));
        noise::normal(&keys, &x.size()[1..], x.device()).to_kind(x.kind())
    }

    fn ignores_image(&self) -> bool {
        true
    }
}

/// The control.
fn build(table: Table) -> Result<Box<dyn Attribution>> {
    registry::options::<NoOptions>(table)?;
    Ok(Box::new(Random))
}
