//! `shapes`, silhouettes drawn from a seed.

use super::kind::{READ, Source};
use crate::shapes::Shapes;
use registry::described;

/// In the list of kinds.
pub(super) const KIND: Source = Source {
    name: "shapes",
    about: "ten silhouettes drawn from a seed: `shapes`, or with settings `shapes:seed=1,train=600`",
    options: described::<Shapes>(&[
        ("seed", "another seed is another set"),
        ("train", "images for training, 1 to 10000000"),
        ("test", "images for testing, 1 to 10000000"),
        (
            "pair",
            "left or right: two side by side, of which that one makes the class; without it one",
        ),
    ]),
    is_drawn: true,
    load: |rest, options| Ok(Shapes::parse(rest)?.generate(options.split)),
    ..READ
};
