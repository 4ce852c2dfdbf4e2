//! `simulated`: two Gaussians in the plane, a class each (Agarwal et al. 2021, 6.1). With the paper's
//! means the best classifier is right for Φ(√2) = 92.1 % of all points; its 99.5 % need a mean of 1.82.

use crate::{Dataset, Features, Split, keyed, table::rows_of};
use anyhow::{Result, ensure};
use rand::Rng;
use serde::{Deserialize, Serialize};
use std::f64::consts::TAU;
use tch::{Kind, Tensor};
use toml::Table;

/// More than this would not fit into the memory of a usual machine.
const MOST: usize = 10_000_000;

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Simulated {
    seed: u64,
    points: usize,
    mean: f64,
}

impl Default for Simulated {
    fn default() -> Self {
        Simulated { seed: 0, points: 1000, mean: 1. }
    }
}

impl Simulated {
    /// Errors: an option is unknown or out of its range.
    pub fn new(table: Table) -> Result<Self> {
        let set: Simulated = registry::options(table)?;
        let Simulated { points, mean, .. } = set;
        ensure!(
            (5..=MOST).contains(&points),
            "`points={points}` of `simulated` is not 5 to {MOST}"
        );
        ensure!(mean.is_finite() && mean >= 0., "`mean={mean}` of `simulated` is not 0 or more");
        Ok(set)
    }

    /// Draws the points of a split, a fifth of them for testing: images f32 [N, 2, 1, 1]. Class y is
    /// N(±mean, I), − for 0 and + for 1.
    pub fn draw(&self, split: Split) -> Dataset {
        let &Simulated { seed, points, mean } = self;
        let rows = rows_of(split, points, seed);
        let (mut images, mut labels) = (vec![], vec![]);
        for &row in &rows {
            let mut rng = keyed::generator(keyed::Purpose::Simulated, [seed, row as u64, 0]);
            let class = i64::from(rng.random_bool(0.5));
            // Two normal numbers of two uniform ones (Box & Muller 1958).
            let (u, angle) = (1. - rng.random::<f64>(), TAU * rng.random::<f64>());
            let radius = (-2. * u.ln()).sqrt();
            let centre = if class == 1 { mean } else { -mean };
            images.extend([centre + radius * angle.cos(), centre + radius * angle.sin()]);
            labels.push(class);
        }
        let name = format!("simulated:seed={seed},points={points},mean={mean}");
        let images = Tensor::from_slice(&images).to_kind(Kind::Float).view([-1, 2, 1, 1]);
        let (labels, classes) = (Tensor::from_slice(&labels), vec!["0".into(), "1".into()]);
        let features = Some(Features::plain(&["x1", "x2"]));
        Dataset { features, ..Dataset::new(name, images, labels, classes) }
    }
}
