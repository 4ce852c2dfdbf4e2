//! The centre of mass is moved as far as it goes (Ghorbani et al. 2019).

use super::sums::total;
use crate::map::reference::{MapObjective, Reference};
use anyhow::ensure;
use explain::{heatmap::centre, similarity::centre_distance};
use registry::{Entry, described};
use serde::{Deserialize, Serialize};
use tch::Tensor;

/// In the list of attacks on maps.
pub(super) const ENTRY: Entry<dyn MapObjective> = Entry {
    name: "mass-centre",
    about: "moves the map's centre of mass as far as it goes (Ghorbani et al. 2019); judged by \
            that distance",
    options: described::<MassCentre>(&[(
        "push",
        "how far from the clean centre the distance is measured while descending, in pixels, \
             above 0; each image has a direction of its own",
    )]),
    build: |t| {
        let objective = registry::options::<MassCentre>(t)?;
        let push = objective.push;
        ensure!(push.is_finite() && push > 0., "`push` is {push}, not positive");
        Ok(Box::new(objective))
    },
};

/// −|c − c₀|², c₀ a little aside: at the clean centre itself the slope would be zero.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
struct MassCentre {
    push: f64,
}

impl Default for MassCentre {
    fn default() -> Self {
        MassCentre { push: 1. }
    }
}

impl MapObjective for MassCentre {
    fn loss(&self, heat: &Tensor, clean: &Reference) -> Tensor {
        let aside = centre(&clean.heat) - &clean.direction * self.push;
        total(&(centre(heat) - aside).square()).neg().to_kind(heat.kind())
    }

    fn measure(&self, heat: &Tensor, clean: &Reference) -> Tensor {
        centre_distance(heat, &clean.heat).neg()
    }
}
