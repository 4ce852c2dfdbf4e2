//! Mass is moved off the clean map's k largest pixels (Ghorbani et al. 2019).

use super::sums::total;
use crate::map::reference::{MapObjective, Reference};
use explain::{heatmap::top, similarity::overlap};
use registry::{Entry, described};
use serde::{Deserialize, Serialize};
use tch::Tensor;

/// In the list of attacks on maps.
pub(super) const ENTRY: Entry<dyn MapObjective> = Entry {
    name: "topk",
    about: "moves mass off the clean map's k largest pixels (Ghorbani et al. 2019); judged by \
            k-in; --k says how many",
    options: described::<TopK>(&[(
        "anchor",
        "clean: off those of the clean map; current: off those of each iterate",
    )]),
    build: |t| Ok(Box::new(registry::options::<TopK>(t)?)),
};

/// Which k largest pixels lose their mass.
#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
enum Anchor {
    /// Those of the clean map.
    #[default]
    Clean,
    /// Those of each iterate.
    Current,
}

/// Σ of the heat on the k largest pixels.
#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct TopK {
    anchor: Anchor,
}

impl MapObjective for TopK {
    fn loss(&self, heat: &Tensor, clean: &Reference) -> Tensor {
        let top = match self.anchor {
            Anchor::Clean => clean.top.shallow_clone(),
            Anchor::Current => top(&heat.detach(), clean.k),
        };
        total(&(heat.flatten(1, -1) * top.to_kind(heat.kind())))
    }

    fn measure(&self, heat: &Tensor, clean: &Reference) -> Tensor {
        overlap(&clean.top, &top(heat, clean.k), clean.k)
    }
}
