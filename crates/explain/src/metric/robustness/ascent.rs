//! The largest change near an image, found by gradient ascent: a lower bound of the maximum, nearer to
//! it than sampled neighbours.

use super::{Neighbourhood, norm, seen, zeros};
use crate::{
    Batch,
    engine::chunks::{self, Pass},
    metric::Case,
};
use models::{grad::value_and_grad, grown, softened_by};
use serde::{Deserialize, Serialize};
use tch::{Kind, Tensor};

/// How a maximum is looked for.
#[derive(Clone, Copy, Default, Deserialize, Serialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub(super) enum Search {
    /// The largest of sampled neighbours.
    #[default]
    Sample,
    /// The same, and what ascent finds from the first of them.
    Ascent,
}

/// Steps of an ascent.
const STEPS: u32 = 50;
/// Share of the way that the first goes; later ones fall to 0 by equal differences. Longer ones jump
/// about: turning all the way finds half as much on the shipped networks.
const FIRST: f64 = 0.3;
/// Sharpness of the softplus at the first step and after the last, in units of one over spreads. Softer
/// than an attack's, because a neighbour is farther from the image.
const SHARPNESS: [f64; 2] = [3., 30.];

/// Where an ascent stays.
#[derive(Clone, Copy)]
pub(super) enum Region {
    /// As far in ℓ2 from the image as where it began.
    Sphere,
    /// No pixel further from the image than this.
    Box(f64),
}

impl Region {
    /// δ `[N, …]` moved along the gradient, by the share `part` of the way to the place of the region
    /// that is furthest along it.
    fn step(self, delta: &Tensor, gradient: &Tensor, part: f64) -> Tensor {
        let least = f64::MIN_POSITIVE;
        let length = |t: &Tensor| norm(t, 2.).clamp_min(least).view([-1, 1, 1, 1]);
        match self {
            Region::Sphere => {
                let radius = length(delta);
                let furthest = gradient * (&radius / length(gradient));
                let mixed = delta * (1. - part) + furthest * part;
                &mixed * (radius / length(&mixed))
            }
            Region::Box(radius) => {
                (delta + gradient.sign() * (2. * radius * part)).clamp(-radius, radius)
            }
        }
    }
}

/// What is made large, per image: at the images `at` of a pass, which are δ from its block, f64
/// `[N, C, H, W]`.
pub(super) trait Height {
    /// `[N]`.
    fn of(&self, pass: &Pass, at: &Batch, delta: &Tensor) -> Tensor;

    /// A direction in which it, or its logarithm, grows, f64 `[N, C, H, W]`, when this share of the
    /// steps is done.
    fn gradient(&self, pass: &Pass, at: &Batch, delta: &Tensor, share: f64) -> Tensor;
}

/// The largest height found by ascent from the first neighbour of each image, f64 `[N]`, at least 0.
pub(super) fn climb(
    batch: &Batch,
    near: &Neighbourhood,
    region: Region,
    height: &dyn Height,
) -> Tensor {
    let [found] = chunks::map(batch, |pass| {
        let x = pass.block.x.to_kind(Kind::Double);
        let at = |delta: &Tensor, step| near.drawn(pass, &(&x + delta), u64::from(step));
        let mut delta = near.near(pass).x.to_kind(Kind::Double) - &x;
        let mut most = zeros(&pass.block);
        for step in 0..STEPS {
            let share = f64::from(step) / f64::from(STEPS);
            let gradient = height.gradient(pass, &at(&delta, step), &delta, share);
            delta = region.step(&delta, &gradient.nan_to_num(0., 0., 0.), FIRST * (1. - share));
            let found = height.of(pass, &at(&delta, step), &delta);
            most = most.maximum(&found.nan_to_num(0., 0., 0.));
        }
        [most]
    });
    found
}

/// How much maps differ, over a distance.
pub(super) struct OfMaps<'a> {
    pub case: &'a Case<'a>,
    /// Maps of the rows of a pass, f64 -> how much they differ from those of its block, `[N]`;
    /// differentiable.
    pub change: &'a dyn Fn(&Pass, &Tensor) -> Tensor,
    /// δ -> what that is divided by, `[N]`; differentiable.
    pub by: Option<&'a dyn Fn(&Tensor) -> Tensor>,
}

impl Height for OfMaps<'_> {
    fn of(&self, pass: &Pass, at: &Batch, delta: &Tensor) -> Tensor {
        let Case { model, method, .. } = *self.case;
        let maps = method.attribute(model, &seen(method, pass, at)).to_kind(Kind::Double);
        let change = (self.change)(pass, &maps);
        self.by.map_or_else(|| change.shallow_clone(), |by| &change / by(delta))
    }

    /// Of the network with softplus in place of what bends, sharper with every step: a network of
    /// ReLUs has maps without a slope. None without a product with the Jacobian.
    fn gradient(&self, pass: &Pass, at: &Batch, delta: &Tensor, share: f64) -> Tensor {
        let Case { model, method, spreads, .. } = *self.case;
        let Some(method) = method.differentiable() else { return delta.zeros_like() };
        let surrogate = softened_by(model, grown(SHARPNESS, share), spreads);
        let cotangent = |map: &Tensor| {
            let (_, g) =
                value_and_grad(map, |map| (self.change)(pass, &map.to_kind(Kind::Double)).log());
            g.nan_to_num(0., 0., 0.)
        };
        let up = method.pullback(&surrogate, at, &cotangent).1.to_kind(Kind::Double);
        self.by
            .map_or(up.shallow_clone(), |by| up - value_and_grad(delta, |delta| by(delta).log()).1)
    }
}

/// How much the score differs, over a distance.
pub(super) struct OfScore<'a> {
    /// Images of a pass -> how much their scores differ from those of its block, f64 `[N]`;
    /// differentiable.
    pub change: &'a dyn Fn(&Pass, &Batch) -> Tensor,
    /// As in [`OfMaps`].
    pub by: Option<&'a dyn Fn(&Tensor) -> Tensor>,
}

impl OfScore<'_> {
    fn height(&self, pass: &Pass, at: &Batch, delta: &Tensor) -> Tensor {
        let change = (self.change)(pass, at);
        self.by.map_or_else(|| change.shallow_clone(), |by| &change / by(delta))
    }
}

impl Height for OfScore<'_> {
    fn of(&self, pass: &Pass, at: &Batch, delta: &Tensor) -> Tensor {
        tch::no_grad(|| self.height(pass, at, delta))
    }

    fn gradient(&self, pass: &Pass, at: &Batch, delta: &Tensor, _share: f64) -> Tensor {
        let x = &pass.block.x;
        let moved = |delta: &Tensor| at.at(&(x + delta).to_kind(x.kind()));
        value_and_grad(delta, |delta| self.height(pass, &moved(delta), delta)).1
    }
}
