//! `simulated`, two Gaussians in the plane.

use super::kind::{READ, Source};
use crate::{
    features,
    simulated::{self, Simulated},
};
use registry::described;

/// In the list of kinds.
pub(super) const KIND: Source = Source {
    name: "simulated",
    about: "two Gaussians in the plane: `simulated`, or with settings `simulated:points=500`",
    options: described::<Simulated>(&[
        ("seed", "another seed is another set"),
        ("points", "of both splits, 5 to 10000000; a fifth is for testing"),
        ("mean", "of the classes, ± this in both coordinates, 0 or more"),
    ]),
    is_drawn: true,
    load: |rest, options| {
        features::fitted(simulated::load(rest, options.split)?, options.features.as_ref())
    },
    ..READ
};
