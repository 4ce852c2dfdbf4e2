//! `simulated`, two Gaussians in the plane.

use super::kind::{Loader, READ, Source};
use crate::{Dataset, Options, dataset::fitted, simulated::Simulated};
use anyhow::Result;
use registry::described;
use std::path::Path;

/// In the list of kinds.
pub(super) const ENTRY: Source = Source {
    name: "simulated",
    about: "two Gaussians in the plane: `simulated`, or with options `simulated:points=500`",
    options: described::<Simulated>(&[
        ("seed", "another seed is another set"),
        ("points", "of both splits, 5 to 10000000; a fifth is for testing"),
        ("mean", "of the classes, ± this in both coordinates, 0 or more"),
    ]),
    build: |table| Ok(Box::new(Simulated::new(table)?)),
    is_drawn: true,
    ..READ
};

impl Loader for Simulated {
    fn load(&self, _: &Path, how: &Options) -> Result<Dataset> {
        fitted::fitted(self.draw(how.split), how.features.as_ref())
    }
}
