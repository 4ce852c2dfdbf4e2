//! Points drawn around each image: SmoothGrad (Smilkov et al. 2017) and UniGrad (Wang et al. 2020).
//! They may leave [0, 1], as in the papers.

use crate::{
    Attribution, Batch,
    engine::{
        estimate::{Count, Draws, PAIRS, TENTH, TOLERANCE},
        gradient_average::{Average, SamplePoints, Samples},
    },
    sampling::{neighbours::Noise, smoothing_kernel::Kernel},
};
use anyhow::{Result, ensure};
use registry::{Entry, described};
use serde::{Deserialize, Serialize};
use toml::Table;

/// In the list of methods.
pub(crate) const SMOOTHGRAD: Entry<dyn Attribution> = Entry {
    name: "smoothgrad",
    about: "mean ∇f(x + e), e ~ N(0, σ²I) (Smilkov et al. 2017)",
    options: described::<SmoothGrad>(&[
        ("sigma", "σ, in [0, 1] pixels"),
        ("relative", "true: sigma in units of each image's max − min"),
        (
            "samples",
            "neighbours, or auto: as many as the tolerance takes; 10 up to sigma 0.01, then 10 for \
             each hundredth (Tan & Tian 2023)",
        ),
        TOLERANCE,
        PAIRS,
    ])
    .alias(&["SmoothGrad"])
    .option_aliases(&[("stdevs", "sigma"), ("nt_samples", "samples")]),
    build: build_smoothgrad,
};

/// In the list of methods.
pub(crate) const UNIGRAD: Entry<dyn Attribution> = Entry {
    name: "unigrad",
    about: "mean ∇f(x + e), e ~ U[−r, r] (Wang et al. 2020)",
    options: described::<UniGrad>(&[
        ("radius", "r, in [0, 1] pixels"),
        ("samples", "neighbours, or auto: as many as the tolerance takes"),
        TOLERANCE,
        PAIRS,
    ]),
    build: build_unigrad,
};

impl SamplePoints for Noise {
    fn count(&self) -> u64 {
        self.samples
    }

    fn place(&self, batch: &Batch, samples: &[u64]) -> Samples {
        Samples { points: self.around(batch, samples), factor: None }
    }

    fn note(&self, image: [i64; 3]) -> Option<String> {
        Noise::note(self, image, "gradient")
    }
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
struct SmoothGrad {
    #[serde(deserialize_with = "registry::fraction")]
    sigma: f64,
    relative: bool,
    samples: Option<Count>,
    #[serde(deserialize_with = "registry::fraction")]
    tolerance: f64,
    pairs: bool,
}

impl Default for SmoothGrad {
    fn default() -> Self {
        SmoothGrad { sigma: 0.03, relative: false, samples: None, tolerance: TENTH, pairs: true }
    }
}

/// Tan et al. 2023: 10 samples up to σ = 0.01, then ten for each hundredth.
fn default_samples(sigma: f64) -> u64 {
    let hundredths = (sigma / 0.01 + 1e-9).floor();
    (hundredths.clamp(1., 1e6) * 10.) as u64
}

/// Mean of ∇f over Gaussian neighbours.
fn build_smoothgrad(table: Table) -> Result<Box<dyn Attribution>> {
    let SmoothGrad { sigma, relative, samples, tolerance, pairs } = registry::options(table)?;
    ensure!(
        samples.is_some() || sigma.is_nan() || sigma <= 100.,
        "`sigma` is {sigma}, in pixels of [0, 1]; say how many `samples` it is to have"
    );
    let samples = samples.unwrap_or(Count::Fixed(default_samples(sigma)));
    let draws = Draws::new(samples, tolerance, pairs)?;
    let samples = samples.most();
    let noise = Noise { kernel: Kernel::Gaussian, size: sigma, relative, samples, pairs };
    Ok(Box::new(Average::drawn(noise.checked("sigma")?, draws)))
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
struct UniGrad {
    #[serde(deserialize_with = "registry::fraction")]
    radius: f64,
    samples: Count,
    #[serde(deserialize_with = "registry::fraction")]
    tolerance: f64,
    pairs: bool,
}

impl Default for UniGrad {
    fn default() -> Self {
        UniGrad { radius: 4. / 255., samples: Count::Fixed(50), tolerance: TENTH, pairs: true }
    }
}

/// Mean of ∇f over uniform neighbours.
fn build_unigrad(table: Table) -> Result<Box<dyn Attribution>> {
    let UniGrad { radius, samples, tolerance, pairs } = registry::options(table)?;
    let draws = Draws::new(samples, tolerance, pairs)?;
    let samples = samples.most();
    let noise = Noise { kernel: Kernel::Uniform, size: radius, relative: false, samples, pairs };
    Ok(Box::new(Average::drawn(noise.checked("radius")?, draws)))
}
