//! Local Lipschitz constants (Tan & Tian 2023, Eq. 4): how far maps move, in units of how far the
//! image moved, over sampled neighbours or, as far from the image as these are, by ascent. What is
//! found bounds the constant from below.

use super::{
    Aggregate, Draws, Neighbourhood, Norm,
    ascent::{Height, OfMaps, OfScore, Region, Search, climb},
    each, seen, zeros,
};
use crate::{
    Batch,
    engine::chunks::Pass,
    metric::{Better, Case, Column, Metric, Needs},
    sampling::{neighbours::Noise, smoothing_kernel::Kernel},
};
use anyhow::{Result, ensure};
use registry::{Entry, described};
use serde::{Deserialize, Serialize};
use tch::{Kind, Tensor};
use toml::Table;

/// In the list of metrics.
pub(crate) const ENTRY: Entry<dyn Metric> = Entry {
    name: "lipschitz",
    about: "local Lipschitz constant of maps and of the score (Tan & Tian 2023, Eq. 4)",
    options: described::<Options>(&[
        ("samples", "neighbours of an image"),
        ("sigma", "σ of the neighbours, in [0, 1] pixels, above 0"),
        ("channels", "all; mean: of maps, over channels"),
        ("norm", "l2 or l1"),
        (
            "ratio",
            "true: a distance of maps over that of images; false: the distance of maps alone, as \
             Agarwal et al. 2021",
        ),
        ("aggregate", "max or mean, over neighbours"),
        (
            "search",
            "sample: the largest of the neighbours; ascent: also what 50 steps of gradient ascent find, \
             as far from the image, where the method has a product with its Jacobian",
        ),
        (
            "draws",
            "shared: a method draws at a neighbour what it draws at the image; fresh: something \
             else",
        ),
    ]).alias(&["LocalLipschitzEstimate"]).option_aliases(&[("nr_samples", "samples"), ("perturb_std", "sigma")]),
    build,
};

struct Lipschitz {
    near: Neighbourhood,
    options: Options,
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
struct Options {
    samples: u64,
    #[serde(deserialize_with = "registry::fraction")]
    sigma: f64,
    channels: Channels,
    norm: Norm,
    ratio: bool,
    aggregate: Aggregate,
    search: Search,
    draws: Draws,
}

#[derive(Clone, Copy, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
enum Channels {
    All,
    Mean,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            samples: 50,
            sigma: 0.03,
            channels: Channels::All,
            norm: Norm::L2,
            ratio: true,
            aggregate: Aggregate::Max,
            search: Search::Sample,
            draws: Draws::Shared,
        }
    }
}

fn build(table: Table) -> Result<Box<dyn Metric>> {
    let options: Options = registry::options(table)?;
    let Options { samples, sigma, draws, search, aggregate, .. } = options;
    let most = matches!(aggregate, Aggregate::Max);
    ensure!(most || search == Search::Sample, "`search=ascent` finds a maximum, not a mean");
    registry::positive("sigma", sigma)?;
    let noise =
        Noise { kernel: Kernel::Gaussian, size: sigma, relative: false, samples, pairs: false };
    let near = Neighbourhood { noise: noise.checked("sigma")?, id: "lipschitz", draws };
    Ok(Box::new(Lipschitz { near, options }))
}

const RATIOS: &[Column] = &[
    Column {
        name: "lipschitz",
        about: "|φ(x) − φ(x′)| / |x − x′| over neighbours x′, maps signed: the found maximum, a lower \
                bound; 0 or more, map per pixel value",
        better: Better::Lower,
    },
    Column {
        name: "model-lipschitz",
        about: "|f(x) − f(x′)| / |x − x′| over the same neighbours: the found maximum, a lower bound; 0 \
                or more, score per pixel value",
        better: Better::Lower,
    },
];

const DISTANCES: &[Column] = &[
    Column {
        name: "distance",
        about: "|φ(x) − φ(x′)| over neighbours x′, maps signed; 0 or more, in units of the map",
        better: Better::Lower,
    },
    Column {
        name: "model-distance",
        about: "|f(x) − f(x′)| over the same neighbours; 0 or more, in units of the score",
        better: Better::Lower,
    },
];

impl Lipschitz {
    /// What is compared of maps.
    fn view(&self, maps: &Tensor) -> Tensor {
        match self.options.channels {
            Channels::All => maps.shallow_clone(),
            Channels::Mean => maps.mean_dim([1i64].as_slice(), true, Kind::Double),
        }
    }
}

impl Lipschitz {
    /// What ascent finds for maps, of which `maps` are compared, and for the score, `f` at the images.
    fn climbed(
        &self,
        case: &Case,
        maps: &Tensor,
        f: &Tensor,
        sure: Option<&Tensor>,
    ) -> [Tensor; 2] {
        let Options { ratio, norm, .. } = self.options;
        let far = |delta: &Tensor| norm.of(delta);
        let by: Option<&dyn Fn(&Tensor) -> Tensor> = if ratio { Some(&far) } else { None };
        let explained =
            |pass: &Pass, moved: &Tensor| norm.of(&(self.view(moved) - each(pass, maps)));
        let scored = |pass: &Pass, near: &Batch| {
            let sure = sure.map(|sure| each(pass, sure).to_kind(Kind::Bool));
            let score = near.target.shifted(&case.model.logits(&near.x), sure.as_ref());
            (score.to_kind(Kind::Double) - each(pass, f)).abs()
        };
        let heights: [&dyn Height; 2] =
            [&OfMaps { case, change: &explained, by }, &OfScore { change: &scored, by }];
        heights.map(|height| climb(case.batch, &self.near, Region::Sphere, height))
    }
}

impl Metric for Lipschitz {
    fn needs(&self) -> Needs {
        Needs { explains: true, ..Needs::default() }
    }

    fn undefined(&self) -> &'static str {
        "neighbours equal to the image"
    }

    fn columns(&self) -> &[Column] {
        if self.options.ratio { RATIOS } else { DISTANCES }
    }

    fn is_of_map(&self, column: usize) -> bool {
        column == 0
    }

    fn measure(&self, case: &Case) -> Vec<Tensor> {
        let Options { ratio, aggregate, samples, norm, .. } = self.options;
        let (maps, logits) = (self.view(case.maps), case.batch.logits(case.model));
        let sure = case.batch.target.sure(|| logits.shallow_clone());
        let f = case.batch.target.shifted(&logits, sure.as_ref());
        let kept = [zeros(case.batch), zeros(case.batch)];
        let farthest = zeros(case.batch);
        let moved = |pass: &Pass, near: &Batch| {
            let (moved, logits) =
                case.method.with_logits(case.model, &seen(case.method, pass, near));
            let explained = norm.of(&(self.view(&moved) - each(pass, &maps)));
            let sure = sure.as_ref().map(|sure| each(pass, sure).to_kind(Kind::Bool));
            let scored = (near.target.shifted(&logits, sure.as_ref()) - each(pass, &f)).abs();
            let apart = norm.of(&(&near.x - each(pass, &case.batch.x)));
            (explained, scored, apart)
        };
        self.near.each(case.batch, moved, |pass, (explained, scored, apart)| {
            // A neighbour that rounding puts on the image says nothing.
            Aggregate::Max.take(&farthest, pass, &apart, samples);
            let apart = apart.masked_fill(&apart.eq(0.), f64::INFINITY);
            let by = if ratio { apart } else { apart.ones_like() };
            for (kept, rows) in kept.iter().zip([explained, scored]) {
                aggregate.take(kept, pass, &(rows / &by), samples);
            }
        });
        let kept = match self.options.search {
            Search::Sample => kept,
            Search::Ascent => {
                let [map, score] = self.climbed(case, &maps, &f, sure.as_ref());
                [kept[0].maximum(&map), kept[1].maximum(&score)]
            }
        };
        let still = farthest.eq(0.);
        kept.map(|kept| kept.masked_fill(&still, f64::NAN)).into()
    }
}
