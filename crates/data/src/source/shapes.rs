//! `shapes`, silhouettes drawn from a seed.

use super::kind::{Loader, READ, Source};
use crate::{Dataset, Options, shapes::Shapes};
use anyhow::Result;
use registry::described;
use std::path::Path;

/// In the list of kinds.
pub(super) const ENTRY: Source = Source {
    name: "shapes",
    about: "ten silhouettes drawn from a seed: `shapes`, or with options `shapes:seed=1,train=600`",
    options: described::<Shapes>(&[
        ("seed", "another seed is another set"),
        ("train", "images for training, 1 to 10000000"),
        ("test", "images for testing, 1 to 10000000"),
        (
            "pair",
            "left or right: two side by side, of which that one makes the class; without it one",
        ),
    ]),
    build: |table| Ok(Box::new(Shapes::new(table)?)),
    is_drawn: true,
    ..READ
};

impl Loader for Shapes {
    fn load(&self, _: &Path, how: &Options) -> Result<Dataset> {
        Ok(self.generate(how.split))
    }
}
