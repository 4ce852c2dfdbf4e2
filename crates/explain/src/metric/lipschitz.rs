//! Local Lipschitz constants (Tan & Tian 2023, Eq. 4): how far maps move, in units of how far the
//! image moved, over sampled neighbours. Sampling bounds the constant from below.

use crate::{
    Attribution, Batch,
    engine::chunks::{self, Pass},
    metric::{Better, Case, Column, Metric},
    sampling::{neighbours::Noise, smoothing_kernel::Kernel},
};
use anyhow::{Result, ensure};
use models::noise;
use registry::{Entry, described};
use serde::{Deserialize, Serialize};
use tch::{Kind, Tensor};
use toml::Table;

/// In the list of metrics.
pub(super) const ENTRY: Entry<dyn Metric> = Entry {
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
            "draws",
            "shared: a method draws at a neighbour what it draws at the image; fresh: something \
             else",
        ),
    ]),
    build,
};

/// Neighbours of every image, drawn apart from what methods draw and the same for all methods.
pub(super) struct Neighbourhood {
    pub noise: Noise,
    /// What they are drawn for.
    pub id: &'static str,
    /// What a method draws at them.
    pub draws: Draws,
}

/// Random numbers of a method at a neighbour.
#[derive(Clone, Copy, Deserialize, Serialize, PartialEq)]
#[serde(rename_all = "lowercase")]
pub(super) enum Draws {
    /// Those that it draws at the image.
    Shared,
    /// Its own.
    Fresh,
}

impl Neighbourhood {
    /// What `make` gives for each pass over the images of `batch` and their neighbours, for `take`. A
    /// neighbour has the class of its image, and its key where draws are shared.
    pub fn each<T>(
        &self,
        batch: &Batch,
        make: impl Fn(&Pass, &Batch) -> T,
        take: impl FnMut(&Pass, T),
    ) {
        let near = |pass: &Pass| make(pass, &self.near(pass));
        chunks::each(batch, self.noise.samples, near, take);
    }

    fn near(&self, pass: &Pass) -> Batch {
        let images = pass.repeated(&pass.block.x);
        let keys = images.keys_of(noise::name_id(self.id));
        let drawn = Batch { keys, ..images.at(&images.x) };
        let points = tch::no_grad(|| self.noise.around(&drawn, &pass.samples()));
        let mut near = images.at(&points);
        if self.draws == Draws::Fresh {
            near.keys = fresh(pass, &near);
        }
        near
    }
}

/// The neighbours of a pass as `method` is given them: where it looks at keys alone, it draws anew.
pub(super) fn seen(method: &dyn Attribution, pass: &Pass, near: &Batch) -> Batch {
    let drawn = near.at(&near.x);
    match method.ignores_image() {
        true => Batch { keys: fresh(pass, near), ..drawn },
        false => drawn,
    }
}

/// A key for each neighbour of a pass.
fn fresh(pass: &Pass, near: &Batch) -> Vec<u64> {
    let rows = near.keys.iter().zip(pass.samples());
    rows.map(|(&key, s)| noise::key(key, noise::name_id("near"), s)).collect()
}

/// What is kept of one number for each neighbour, none negative.
#[derive(Clone, Copy, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Aggregate {
    Max,
    Mean,
}

impl Aggregate {
    /// Takes the numbers of a pass, f64 in the order of its rows, into those of all images, `[N]`.
    pub fn take(self, kept: &Tensor, pass: &Pass, rows: &Tensor, samples: u64) {
        let rows = rows.view([pass.taken.len() as i64, -1]);
        let mut part = pass.part(kept);
        match self {
            Aggregate::Max => part.copy_(&part.maximum(&rows.amax([0i64].as_slice(), false))),
            Aggregate::Mean => {
                let sum = rows.sum_dim_intlist([0i64].as_slice(), false, Kind::Double);
                let _ = part.g_add_(&(sum / samples as f64));
            }
        }
    }
}

/// A zero for each image, f64 `[N]`.
pub(super) fn zeros(batch: &Batch) -> Tensor {
    Tensor::zeros([batch.x.size()[0]], (Kind::Double, batch.x.device()))
}

/// This pass's part of a tensor of the whole batch, in f64, for each of its rows.
pub(super) fn each(pass: &Pass, whole: &Tensor) -> Tensor {
    let mut times = vec![1; whole.dim()];
    times[0] = pass.taken.len() as i64;
    pass.part(whole).to_kind(Kind::Double).repeat(times)
}

/// Σ|t|ᵖ to the power 1/p of each row, f64 `[N]`.
pub(super) fn norm(rows: &Tensor, p: f64) -> Tensor {
    rows.to_kind(Kind::Double).flatten(1, -1).norm_scalaropt_dim(p, [1i64].as_slice(), false)
}

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
    draws: Draws,
}

#[derive(Clone, Copy, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
enum Channels {
    All,
    Mean,
}

#[derive(Clone, Copy, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Norm {
    L1,
    L2,
}

impl Norm {
    /// The length of each row, f64 `[N]`.
    pub fn of(self, rows: &Tensor) -> Tensor {
        norm(rows, if matches!(self, Norm::L1) { 1. } else { 2. })
    }
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
            draws: Draws::Shared,
        }
    }
}

fn build(table: Table) -> Result<Box<dyn Metric>> {
    let options: Options = registry::options(table)?;
    let Options { samples, sigma, draws, .. } = options;
    ensure!(sigma > 0., "`sigma` is {sigma}; it must be positive");
    let noise = Noise { kernel: Kernel::Gaussian, size: sigma, relative: false, samples };
    let near = Neighbourhood { noise: noise.checked("sigma")?, id: "lipschitz", draws };
    Ok(Box::new(Lipschitz { near, options }))
}

const RATIOS: &[Column] = &[
    Column {
        name: "lipschitz",
        about: "|φ(x) − φ(x′)| / |x − x′| over neighbours x′, maps signed; 0 or more, map per pixel \
                value",
        better: Better::Lower,
    },
    Column {
        name: "model-lipschitz",
        about: "|f(x) − f(x′)| / |x − x′| over the same neighbours; 0 or more, score per pixel value",
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

impl Metric for Lipschitz {
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
        let still = farthest.eq(0.);
        kept.map(|kept| kept.masked_fill(&still, f64::NAN)).into()
    }
}
