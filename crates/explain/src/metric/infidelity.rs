//! Infidelity (Yeh et al. 2019, Definition 2.1), E (β IᵀΦ − (f(x) − f(x − I)))², and its maximum near
//! the image (Definition C.1), sampled. Draws are not those that `square` and `noisy-baseline` are
//! fitted to.

use crate::{
    Batch,
    engine::chunks::{self, Pass},
    metric::{
        Better, Case, Column, Metric, Needs, Units,
        robustness::{Aggregate, Draws, Neighbourhood, each, seen, zeros},
    },
    sampling::perturbation::{Perturbation, Perturbations},
    sampling::{neighbours::Noise, smoothing_kernel::Kernel},
};
use anyhow::{Result, bail, ensure};
use models::{Model, noise};
use registry::{Entry, described};
use serde::{Deserialize, Serialize};
use tch::{Kind, Tensor};
use toml::Table;

/// In the list of metrics.
pub(super) const ENTRY: Entry<dyn Metric> = Entry {
    name: "infidelity",
    about: "squared error of what a map tells of perturbations I (Yeh et al. 2019)",
    options: described::<Options>(&[
        (
            "perturbation",
            "gaussian; square: a square becomes black; noisy-baseline: the image becomes noise",
        ),
        (
            "samples",
            "perturbations drawn; without `all` 1000, and every square where there are no more",
        ),
        ("sigma", "σ, for perturbation=gaussian alone, in [0, 1] pixels; there 0.2"),
        (
            "scale",
            "σ of the noise, for perturbation=noisy-baseline alone, in [0, 1] pixels; there 0.2",
        ),
        ("largest", "largest side of a square, for perturbation=square alone, in pixels; there 10"),
        ("all", "true: every square, one pixel apart, for perturbation=square alone; there false"),
        ("scaling", "optimal: the map times the number that fits best; none"),
        ("units", "gradient: IᵀΦ; contribution: the sum of Φ in the square"),
        (
            "robust",
            "radius of a ball whose worst point is a second column, in [0, 1] pixels; 0: no such \
             column (Definition C.1)",
        ),
        ("robust_samples", "points of that ball, 1 or more"),
    ])
    .option_aliases(&[("n_perturb_samples", "samples")]),
    build,
};

struct Infidelity {
    perturbations: Perturbations,
    scaling: Scaling,
    units: Units,
    /// Where the map is explained too.
    near: Option<Neighbourhood>,
}

#[derive(Default, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
enum Named {
    #[default]
    Gaussian,
    Square,
    NoisyBaseline,
}

#[derive(Clone, Copy, Default, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
enum Scaling {
    /// The β of least infidelity.
    #[default]
    Optimal,
    None,
}

#[derive(Deserialize, Serialize)]
#[serde(transparent)]
struct Size(#[serde(deserialize_with = "registry::fraction")] f64);

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
struct Options {
    perturbation: Named,
    samples: Option<u64>,
    sigma: Option<Size>,
    scale: Option<Size>,
    largest: Option<i64>,
    all: Option<bool>,
    scaling: Scaling,
    units: Units,
    #[serde(deserialize_with = "registry::fraction")]
    robust: f64,
    robust_samples: u64,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            perturbation: Named::default(),
            samples: None,
            sigma: None,
            scale: None,
            largest: None,
            all: None,
            scaling: Scaling::default(),
            units: Units::default(),
            robust: 0.,
            robust_samples: 10,
        }
    }
}

impl Options {
    fn perturbation(&self) -> Result<Perturbation> {
        let size = |given: &Option<Size>| given.as_ref().map_or(0.2, |size| size.0);
        let (of, own): (_, &[&str]) = match self.perturbation {
            Named::Gaussian => (Perturbation::Gaussian { sigma: size(&self.sigma) }, &["sigma"]),
            Named::NoisyBaseline => (Perturbation::Noise { scale: size(&self.scale) }, &["scale"]),
            Named::Square => {
                let (largest, all) = (self.largest.unwrap_or(10), self.all.unwrap_or(false));
                (Perturbation::Square { largest, all }, &["largest", "all"])
            }
        };
        let given = [
            ("sigma", "gaussian", self.sigma.is_some()),
            ("scale", "noisy-baseline", self.scale.is_some()),
            ("largest", "square", self.largest.is_some()),
            ("all", "square", self.all.is_some()),
        ];
        let foreign = given.iter().find(|(name, _, given)| *given && !own.contains(name));
        if let Some((name, whose, _)) = foreign {
            bail!("`{name}` is an option of `perturbation = \"{whose}\"`; leave it out");
        }
        Ok(of)
    }
}

fn build(table: Table) -> Result<Box<dyn Metric>> {
    let options: Options = registry::options(table)?;
    let perturbations = Perturbations::new(options.perturbation()?, options.samples)?;
    let Options { perturbation, scaling, units, robust, robust_samples, .. } = options;
    ensure!(
        units == Units::Gradient || matches!(perturbation, Named::Square),
        "`units = \"contribution\"` needs `perturbation = \"square\"`: only of squares is it known \
         what share of a contribution they take"
    );
    ensure!(robust >= 0., "`robust` is {robust}; it must not be negative");
    ensure!(robust_samples > 0, "`robust_samples` is 0; it must be positive");
    let kernel = Kernel::Uniform;
    let noise =
        Noise { kernel, size: robust, relative: false, samples: robust_samples, pairs: false };
    let near = (robust > 0.).then_some(Neighbourhood {
        noise,
        id: "robust-infidelity",
        draws: Draws::Shared,
    });
    Ok(Box::new(Infidelity { perturbations, scaling, units, near }))
}

const COLUMNS: &[Column] = &[
    Column {
        name: "infidelity",
        about: "mean of (β IᵀΦ − (f(x) − f(x − I)))²; 0 or more, score squared",
        better: Better::Lower,
    },
    Column {
        name: "robust-infidelity",
        about: "its maximum over the image and points of the ball; 0 or more, score squared",
        better: Better::Lower,
    },
];

impl Infidelity {
    /// The images of `batch`, each with draws of its own, and how many there are.
    fn drawn(&self, batch: &Batch) -> (Batch, u64) {
        let (_, _, h, w) = batch.x.size4().expect("images have four dimensions");
        let keys = batch.keys_of(noise::name_id("infidelity"));
        (Batch { keys, ..batch.at(&batch.x) }, self.perturbations.count(h, w))
    }

    /// f(x) − f(x − I) of each draw and image, f64 `[S, N]`.
    fn drops(&self, model: &dyn Model, batch: &Batch) -> Tensor {
        let (batch, count) = self.drawn(batch);
        let logits = batch.logits(model);
        let sure = batch.target.sure(|| logits.shallow_clone());
        let f = batch.target.shifted(&logits, sure.as_ref()).to_kind(Kind::Double);
        let all = f.new_empty([count as i64, f.size()[0]], (Kind::Double, f.device()));
        chunks::fill(&batch, count, &all, |pass| {
            let images = pass.repeated(&pass.block.x);
            let moved = &images.x - self.perturbations.drawn(&images, &pass.samples());
            let sure = sure.as_ref().map(|sure| each(pass, sure).to_kind(Kind::Bool));
            let logits = tch::no_grad(|| model.logits(&moved));
            each(pass, &f) - images.target.shifted(&logits, sure.as_ref())
        });
        all
    }

    /// IᵀΦ of the rows of a pass, f64.
    fn told(&self, pass: &Pass, maps: &Tensor) -> Tensor {
        let (images, samples) = (pass.repeated(&pass.block.x), pass.samples());
        let along = self.perturbations.along(self.units, &images, &samples);
        let told = along * each(pass, maps);
        told.sum_dim_intlist([1i64, 2, 3].as_slice(), false, Kind::Double)
    }

    /// Of the maps of `batch`, f64 `[N]`. Three sums are kept, not the samples.
    fn of(&self, batch: &Batch, maps: &Tensor, drops: &Tensor) -> Tensor {
        let sums = [zeros(batch), zeros(batch), zeros(batch)];
        let (batch, count) = self.drawn(batch);
        let told = |pass: &Pass| self.told(pass, maps);
        chunks::each(&batch, count, told, |pass, told| {
            let drop = pass.place(drops).reshape(told.size());
            for (sum, rows) in sums.iter().zip([&told * &told, &told * &drop, &drop * &drop]) {
                Aggregate::Mean.take(sum, pass, &rows, count);
            }
        });
        let [told, both, drop] = sums;
        let least = match self.scaling {
            // A map that tells nothing is scaled by 0; then `both` is 0 as well.
            Scaling::Optimal => drop - both.square() / told.clamp_min(f64::MIN_POSITIVE),
            Scaling::None => told - both * 2. + drop,
        };
        least.clamp_min(0.)
    }
}

impl Metric for Infidelity {
    fn needs(&self) -> Needs {
        Needs { explains: self.near.is_some(), ..Needs::default() }
    }

    fn columns(&self) -> &[Column] {
        if self.near.is_some() { COLUMNS } else { &COLUMNS[..1] }
    }

    fn measure(&self, case: &Case) -> Vec<Tensor> {
        let drops = |at: &Batch, place: &str| {
            let what = format!("drops {:?} {place}", self.perturbations);
            case.model_cache.get(what, || self.drops(case.model, at))
        };
        let here = self.of(case.batch, case.maps, &drops(case.batch, "at the images"));
        let Some(near) = &self.near else { return vec![here] };
        let most = here.copy();
        let there = |pass: &Pass, points: &Batch| {
            let maps = case.method.attribute(case.model, &seen(case.method, pass, points));
            let images = pass.first..pass.first + pass.block.keys.len() as i64;
            let place = format!("at points {:?} of images {images:?} {:?}", pass.taken, near.noise);
            self.of(points, &maps, &drops(points, &place))
        };
        near.each(case.batch, there, |pass, there| {
            Aggregate::Max.take(&most, pass, &there, near.noise.samples);
        });
        vec![here, most]
    }
}
