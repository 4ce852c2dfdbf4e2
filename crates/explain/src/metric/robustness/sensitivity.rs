//! Sensitivity of explanations (Yeh et al. 2019, Definition 3.1): how much of a map changes within an
//! ℓ∞ ball, over sampled points or by ascent, which bounds the true maximum from below.

use crate::{
    Batch,
    engine::chunks::Pass,
    metric::{
        Better, Case, Column, Metric, Needs,
        robustness::{
            Aggregate, Draws, Neighbourhood,
            ascent::{OfMaps, Region, Search, climb},
            each, norm, seen, zeros,
        },
    },
    sampling::{neighbours::Noise, smoothing_kernel::Kernel},
};
use anyhow::Result;
use registry::{Entry, described};
use serde::{Deserialize, Serialize};
use tch::{Kind, Tensor};
use toml::Table;

/// In the list of metrics.
pub(crate) const ENTRY: Entry<dyn Metric> = Entry {
    name: "sensitivity",
    about: "share of a map that changes in an ℓ∞ ball (Yeh et al. 2019, Definition 3.1)",
    options: described::<Options>(&[
        ("samples", "points of the ball"),
        ("radius", "of the ball, in [0, 1] pixels"),
        (
            "unit",
            "true: every map is first divided by its length, as the paper writes; false: both by \
             that of the clean map, as its code does",
        ),
        (
            "search",
            "sample: the largest of the points; ascent: also what 50 steps of gradient ascent find, \
             where the method has a product with its Jacobian",
        ),
        (
            "draws",
            "shared: a method draws at a point what it draws at the image; fresh: something else, \
             as the paper's code does",
        ),
    ]).alias(&["sensitivity_max"]).option_aliases(&[("n_perturb_samples", "samples"), ("perturb_radius", "radius")]),
    build,
};

struct Sensitivity {
    near: Neighbourhood,
    unit: bool,
    search: Search,
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
struct Options {
    samples: u64,
    #[serde(deserialize_with = "registry::fraction")]
    radius: f64,
    unit: bool,
    search: Search,
    draws: Draws,
}

impl Default for Options {
    fn default() -> Self {
        let (search, draws) = (Search::Sample, Draws::Shared);
        Options { samples: 50, radius: 0.1, unit: false, search, draws }
    }
}

fn build(table: Table) -> Result<Box<dyn Metric>> {
    let Options { samples, radius, unit, search, draws } = registry::options(table)?;
    let noise =
        Noise { kernel: Kernel::Uniform, size: radius, relative: false, samples, pairs: false };
    let near = Neighbourhood { noise: noise.checked("radius")?, id: "sensitivity", draws };
    Ok(Box::new(Sensitivity { near, unit, search }))
}

const COLUMNS: &[Column] = &[
    Column {
        name: "max-sensitivity",
        about: "max |Φ(x + δ) − Φ(x)|₂ / |Φ(x)|₂ over points of the ball: the found maximum, a lower bound; 0 or \
                more",
        better: Better::Lower,
    },
    Column {
        name: "avg-sensitivity",
        about: "the mean of the same over sampled points; 0 or more",
        better: Better::Lower,
    },
];

/// |Φ|₂ of each map, one where it is zero, f64 `[N, 1, 1, 1]`.
fn lengths(maps: &Tensor) -> Tensor {
    let length = norm(maps, 2.);
    let empty = length.eq(0.).to_kind(Kind::Double);
    (length + empty).view([-1, 1, 1, 1])
}

impl Metric for Sensitivity {
    fn needs(&self) -> Needs {
        Needs { explains: true, ..Needs::default() }
    }

    fn columns(&self) -> &[Column] {
        COLUMNS
    }

    fn measure(&self, case: &Case) -> Vec<Tensor> {
        let before = lengths(case.maps);
        let maps = case.maps / &before;
        let kept = [Aggregate::Max, Aggregate::Mean].map(|keep| (keep, zeros(case.batch)));
        let change = |pass: &Pass, moved: &Tensor| {
            let by = if self.unit { lengths(moved) } else { each(pass, &before) };
            norm(&(moved / by - each(pass, &maps)), 2.)
        };
        let changed = |pass: &Pass, near: &Batch| {
            change(pass, &case.method.attribute(case.model, &seen(case.method, pass, near)))
        };
        self.near.each(case.batch, changed, |pass, changed| {
            for (keep, kept) in &kept {
                keep.take(kept, pass, &changed, self.near.noise.samples);
            }
        });
        let [most, mean] = kept.map(|(_, kept)| kept);
        let most = match self.search {
            Search::Sample => most,
            Search::Ascent => {
                let region = Region::Box(self.near.noise.size);
                let height = OfMaps { case, change: &change, by: None };
                most.maximum(&climb(case.batch, &self.near, region, &height))
            }
        };
        vec![most, mean]
    }
}
