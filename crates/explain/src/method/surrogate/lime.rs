//! LIME for images (Ribeiro et al. 2016) as captum computes it with scikit-learn's Ridge: groups
//! switched off at random, one weighted ridge regression an image, coefficients painted on groups.

use crate::{
    Attribution, Batch,
    engine::{
        estimate::{COMPLEMENTS, Count, Draws, TENTH, TOLERANCE},
        surrogate::{
            Fit, Linear, Masked, PerturbedInputs, Surrogate, complemented, masked, operator,
            through_origin, uniform,
        },
    },
    sampling::features::{Features, Grouping, Segments},
};
use anyhow::{Result, ensure};
use registry::{Entry, described};
use serde::{Deserialize, Serialize};
use tch::{Kind, Tensor};
use toml::Table;

/// In the list of methods.
pub(crate) const ENTRY: Entry<dyn Attribution> = Entry {
    name: "lime",
    about: "LIME: ridge regression on groups switched off (Ribeiro et al. 2016)",
    options: described::<Options>(&[
        ("samples", "perturbed copies of the image, or auto: as many as the tolerance takes"),
        TOLERANCE,
        COMPLEMENTS,
        ("groups", "quickshift, grid, pixels or scalars: what is switched off together"),
        ("cells", "cells along a side of the grid, for groups=grid alone; there 10"),
        (
            "kernel",
            "a copy's weight is by the cosine distance of its mask and ones (cosine), or of copy \
             and image (images); exp(−|x − z|₂² / width²) of copy z and image x (l2: Tan & Tian \
             2023, C.10); or 1 (uniform: C.9)",
        ),
        (
            "width",
            "width of the kernel, in cosine distance, for kernel=l2 in ℓ2 distance of pixels; above 0",
        ),
        ("alpha", "ridge penalty: 0 for the shortest least-squares fit, else 1e-9 or more"),
        (
            "intercept",
            "true: a constant that is not penalised is fitted too; false: none, as in Tan & Tian \
             2023; needs an `alpha`",
        ),
        ("baseline", "value of what is switched off, in [0, 1]"),
    ]).alias(&["Lime"]).option_aliases(&[("n_samples", "samples")]),
    build,
};

/// What the cosine distance of a copy's weight is between.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
enum Kernel {
    /// Mask and all ones: no derivative.
    #[default]
    Cosine,
    /// Copy and image, as in captum; derivatives go through the weights too.
    Images,
    /// No cosine: the ℓ2 distance of copy and image; derivatives go through the weights too.
    L2,
    /// None: all copies weigh the same.
    Uniform,
}

impl Kernel {
    /// Whether weights depend on the image.
    fn sees_image(self) -> bool {
        matches!(self, Kernel::Images | Kernel::L2)
    }

    /// Weights of copies z `[N, n, C, H, W]` of x `[N, C, H, W]`, `[N, n]`.
    fn of(self, x: &Tensor, z: &Tensor, width: f64) -> Tensor {
        match self {
            Kernel::L2 => {
                let far = (x.unsqueeze(1) - z).square().flatten(2, -1);
                (far.sum_dim_intlist([2].as_slice(), false, far.kind()) / (-width * width)).exp()
            }
            _ => exponential_kernel(&cosine(x, z), width),
        }
    }
}

/// Distance of an image and a copy that keeps half of it: 1 − √½.
const HALF: f64 = 1. - std::f64::consts::FRAC_1_SQRT_2;

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
struct Options {
    samples: Count,
    #[serde(deserialize_with = "registry::fraction")]
    tolerance: f64,
    pairs: bool,
    groups: Grouping,
    cells: Option<i64>,
    kernel: Kernel,
    #[serde(deserialize_with = "registry::fraction")]
    width: f64,
    #[serde(deserialize_with = "registry::fraction")]
    alpha: f64,
    intercept: bool,
    #[serde(deserialize_with = "registry::fraction")]
    baseline: f64,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            samples: Count::Fixed(100),
            tolerance: TENTH,
            pairs: true,
            groups: Grouping::Quickshift,
            cells: None,
            kernel: Kernel::Cosine,
            width: 1.,
            alpha: 1.,
            intercept: true,
            baseline: 0.,
        }
    }
}

#[derive(Clone, Debug)]
struct Lime {
    samples: i64,
    draws: Draws,
    features: Features,
    kernel: Kernel,
    width: f64,
    fit: Fit,
    intercept: bool,
    baseline: f64,
}

fn build(table: Table) -> Result<Box<dyn Attribution>> {
    let Options {
        samples,
        tolerance,
        pairs,
        groups,
        cells,
        kernel,
        width,
        alpha,
        intercept,
        baseline,
    } = registry::options(table)?;
    let draws = Draws::new(samples, tolerance, pairs)?;
    let samples = samples.most() as i64;
    ensure!(samples > 0, "`samples` is {samples}; it must be positive");
    registry::positive("width", width)?;
    ensure!(
        alpha == 0. || alpha >= 1e-9,
        "`alpha` is {alpha}; it must be 0 (the shortest least-squares fit) or at least 1e-9"
    );
    ensure!(
        alpha > 0. || !kernel.sees_image(),
        "`kernel = \"images\"` and `\"l2\"` need a positive `alpha`; their weights depend on the image"
    );
    ensure!(alpha > 0. || intercept, "`intercept = false` needs a positive `alpha`");
    let fit = if alpha == 0. { Fit::Shortest } else { Fit::Ridge(alpha) };
    let features = groups.with(cells)?;
    let lime = Lime { samples, draws, features, kernel, width, fit, intercept, baseline };
    Ok(Box::new(Linear(lime)))
}

impl Surrogate for Lime {
    fn samples(&self, _x: &Tensor) -> i64 {
        self.samples
    }

    fn draws(&self) -> Option<Draws> {
        Some(self.draws)
    }

    fn with_samples(&self, samples: i64) -> Box<dyn Surrogate> {
        Box::new(Lime { samples, ..self.clone() })
    }

    fn vanishes(&self) -> Option<String> {
        if matches!(self.kernel, Kernel::L2 | Kernel::Uniform) {
            return None;
        }
        let weight = f64::exp(-HALF.powi(2) / (2. * self.width * self.width));
        (weight == 0.).then(|| {
            let width = self.width;
            format!("at `width` {width}, copies that keep half of an image weigh nothing")
        })
    }

    fn segments(&self, x: &Tensor) -> Segments {
        self.features.segments(x)
    }

    fn copies(&self, block: &Batch, segments: &Segments) -> Box<dyn PerturbedInputs> {
        let groups = self.features.given(&block.x, segments);
        let on = uniform(block, self.samples, groups.count).lt(0.5).logical_and(&groups.real());
        let paired = self.draws.together == 2;
        let on = if paired { complemented(&on, &groups.real()) } else { on };
        let masks = on.to_kind(Kind::Double);
        let weights = match self.kernel {
            Kernel::Cosine => {
                let kept = masks.sum_dim_intlist([2].as_slice(), false, Kind::Double);
                exponential_kernel(&(kept / groups.counts.unsqueeze(1)).sqrt(), self.width)
            }
            Kernel::Uniform => masks.new_ones(&masks.size()[..2], (Kind::Double, masks.device())),
            Kernel::Images | Kernel::L2 => tch::no_grad(|| {
                let x = block.x.detach();
                let each = (0..self.samples).map(|s| {
                    let z = masked(&x, &groups, &masks.narrow(1, s, 1), self.baseline);
                    self.kernel.of(&x, &z, self.width)
                });
                Tensor::cat(&each.collect::<Vec<_>>(), 1).to_kind(Kind::Double)
            }),
        };
        let operator = match (self.fit, self.intercept) {
            (Fit::Ridge(alpha), false) => through_origin(&masks, &weights, alpha),
            (fit, _) => operator(&masks, &weights, fit),
        };
        let (baseline, channels) = (self.baseline, block.x.size()[1]);
        let Lime { kernel, width, intercept, .. } = *self;
        let copies = Masked { groups, masks, baseline, operator, weights, intercept, channels };
        Box::new(Weighted { copies, kernel, width })
    }
}

/// exp(−d²/(2 width²)) for the distance d = 1 − cosine.
fn exponential_kernel(cosine: &Tensor, width: f64) -> Tensor {
    let distance: Tensor = 1. - cosine;
    (distance.square() / (-2. * width * width)).exp()
}

/// Cosine of x `[N, C, H, W]` and each of its copies `[N, n, C, H, W]`: `[N, n]`.
fn cosine(x: &Tensor, z: &Tensor) -> Tensor {
    Tensor::cosine_similarity(&x.unsqueeze(1).flatten(2, -1), &z.flatten(2, -1), 2, 1e-8)
}

/// Masked copies with their weights.
struct Weighted {
    copies: Masked,
    kernel: Kernel,
    width: f64,
}

impl PerturbedInputs for Weighted {
    fn at(&self, x: &Tensor, start: i64, n: i64) -> Tensor {
        self.copies.at(x, start, n)
    }

    fn map(&self, values: &Tensor) -> Tensor {
        self.copies.map(values)
    }

    fn transposed(&self, v: &Tensor) -> Tensor {
        self.copies.transposed(v)
    }

    /// ∂c/∂wₛ = H⁻¹ mₛ rₛ for residuals r and masks m, centred where there is an intercept; P has the columns wₛ H⁻¹ mₛ.
    fn to_weights(&self, values: &Tensor, v: &Tensor) -> Option<Tensor> {
        if !self.kernel.sees_image() {
            return None;
        }
        let residual = self.copies.residuals(values);
        let weights = self.copies.weights.clamp_min(f64::MIN_POSITIVE);
        Some(self.transposed(v) / weights * residual)
    }

    fn error(&self, values: &Tensor, together: i64) -> Option<Tensor> {
        self.copies.error(values, together)
    }

    fn weights(&self, x: &Tensor, z: &Tensor) -> Tensor {
        self.kernel.of(x, z, self.width)
    }
}
