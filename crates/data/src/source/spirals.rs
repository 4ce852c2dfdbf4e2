//! `spirals`, two that wind around each other (Lang & Witbrock 1988).

use super::kind::{Loader, READ, Source};
use crate::{Dataset, Features, Options, Split, dataset::fitted};
use anyhow::{Result, ensure};
use registry::described;
use serde::{Deserialize, Serialize};
use std::{f64::consts::TAU, path::Path};
use tch::{Device, Kind, Tensor};

/// In the list of kinds.
pub(super) const ENTRY: Source = Source {
    name: "spirals",
    about: "two spirals in the plane, a class each (Lang & Witbrock 1988): `spirals`, or with options \
         `spirals:points=500`",
    options: described::<Spirals>(&[
        ("points", "of a class and split, 1 to 1000000; those for testing lie between the others"),
        ("turns", "that a spiral makes, above 0"),
    ]),
    build: |table| {
        let set: Spirals = registry::options(table)?;
        let Spirals { points, turns } = set;
        ensure!((1..=1_000_000).contains(&points), "`points` is {points}, not 1 to 1000000");
        ensure!(turns.is_finite() && turns > 0., "`turns` is {turns}; it must be above 0");
        Ok(Box::new(set))
    },
    is_drawn: true,
    ..READ
};

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
struct Spirals {
    points: i64,
    turns: f64,
}

impl Default for Spirals {
    fn default() -> Self {
        Spirals { points: 97, turns: 3. }
    }
}

impl Loader for Spirals {
    fn load(&self, _: &Path, how: &Options) -> Result<Dataset> {
        let &Spirals { points, turns } = self;
        let between = if how.split == Split::Train { 0. } else { 0.5 };
        let at = (Tensor::arange(points, (Kind::Double, Device::Cpu)) + between) / points as f64;
        // From the rim, at radius 1, inwards.
        let (radius, angle) = (1. - &at * 0.9, at * (TAU * turns));
        let one = Tensor::stack(&[&radius * angle.sin(), radius * angle.cos()], 1);
        let images = Tensor::cat(&[&one, &one.neg()], 0).to_kind(Kind::Float).view([-1, 2, 1, 1]);
        let labels = Tensor::from_slice(&[0i64, 1]).view([2, 1]).repeat([1, points]).flatten(0, 1);
        let name = format!("spirals:points={points},turns={turns}");
        let classes = vec!["0".into(), "1".into()];
        let features = Some(Features::plain(&["x1", "x2"]));
        let set = Dataset { features, ..Dataset::new(name, images, labels, classes) };
        fitted::fitted(set, how.features.as_ref())
    }
}
