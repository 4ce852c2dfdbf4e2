//! LIME for images (Ribeiro et al. 2016) as captum computes it with scikit-learn's Ridge: groups
//! switched off at random, one weighted ridge regression an image, coefficients painted on groups.

use crate::{
    Attribution, Batch,
    engine::surrogate::{
        Fit, Linear, Masked, PerturbedInputs, Surrogate, masked, operator, uniform,
    },
    sampling::features::{Features, Grouping},
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
        ("samples", "perturbed copies of the image"),
        ("groups", "quickshift, grid, pixels or scalars: what is switched off together"),
        ("cells", "cells along a side of the grid, for groups=grid alone; there 10"),
        (
            "kernel",
            "a copy's weight is by the cosine distance of its mask and ones (cosine), or of copy \
             and image (images)",
        ),
        ("width", "width of the kernel, in cosine distance, above 0"),
        ("alpha", "ridge penalty: 0 for the shortest least-squares fit, else 1e-9 or more"),
        ("baseline", "value of what is switched off, in [0, 1]"),
    ]),
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
}

/// Distance of an image and a copy that keeps half of it: 1 − √½.
const HALF: f64 = 1. - std::f64::consts::FRAC_1_SQRT_2;

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
struct Options {
    samples: i64,
    groups: Grouping,
    cells: Option<i64>,
    kernel: Kernel,
    #[serde(deserialize_with = "registry::fraction")]
    width: f64,
    #[serde(deserialize_with = "registry::fraction")]
    alpha: f64,
    #[serde(deserialize_with = "registry::fraction")]
    baseline: f64,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            samples: 100,
            groups: Grouping::Quickshift,
            cells: None,
            kernel: Kernel::Cosine,
            width: 1.,
            alpha: 1.,
            baseline: 0.,
        }
    }
}

#[derive(Debug)]
struct Lime {
    samples: i64,
    features: Features,
    kernel: Kernel,
    width: f64,
    fit: Fit,
    baseline: f64,
}

fn build(table: Table) -> Result<Box<dyn Attribution>> {
    let Options { samples, groups, cells, kernel, width, alpha, baseline } =
        registry::options(table)?;
    ensure!(samples > 0, "`samples` is {samples}; it must be positive");
    ensure!(width > 0., "`width` is {width}; it must be positive");
    ensure!(
        alpha == 0. || alpha >= 1e-9,
        "`alpha` is {alpha}; it must be 0 (the shortest least-squares fit) or at least 1e-9"
    );
    ensure!(
        alpha > 0. || kernel == Kernel::Cosine,
        "`kernel = \"images\"` needs a positive `alpha`; its weights depend on the image"
    );
    let fit = if alpha == 0. { Fit::Shortest } else { Fit::Ridge(alpha) };
    let features = groups.with(cells)?;
    Ok(Box::new(Linear(Lime { samples, features, kernel, width, fit, baseline })))
}

impl Surrogate for Lime {
    fn samples(&self, _x: &Tensor) -> i64 {
        self.samples
    }

    fn vanishes(&self) -> Option<String> {
        let weight = f64::exp(-HALF.powi(2) / (2. * self.width * self.width));
        (weight == 0.).then(|| {
            let width = self.width;
            format!("at `width` {width}, copies that keep half of an image weigh nothing")
        })
    }

    fn copies(&self, block: &Batch) -> Box<dyn PerturbedInputs> {
        let groups = self.features.of(&block.x);
        let on = uniform(block, self.samples, groups.count).lt(0.5).logical_and(&groups.real());
        let masks = on.to_kind(Kind::Double);
        let weights = match self.kernel {
            Kernel::Cosine => {
                let kept = masks.sum_dim_intlist([2].as_slice(), false, Kind::Double);
                exponential_kernel(&(kept / groups.counts.unsqueeze(1)).sqrt(), self.width)
            }
            Kernel::Images => tch::no_grad(|| {
                let x = block.x.detach();
                let each = (0..self.samples).map(|s| {
                    let z = masked(&x, &groups, &masks.narrow(1, s, 1), self.baseline);
                    exponential_kernel(&cosine(&x, &z), self.width)
                });
                Tensor::cat(&each.collect::<Vec<_>>(), 1).to_kind(Kind::Double)
            }),
        };
        let operator = operator(&masks, &weights, self.fit);
        let (baseline, channels) = (self.baseline, block.x.size()[1]);
        let copies = Masked { groups, masks, baseline, operator, channels };
        Box::new(Weighted { copies, weights, kernel: self.kernel, width: self.width })
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
    weights: Tensor, // f64 [N, S]
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

    /// ∂c/∂wₛ = H⁻¹ mₛ rₛ for residuals r and centred masks m; P has the columns wₛ H⁻¹ mₛ.
    fn to_weights(&self, values: &Tensor, v: &Tensor) -> Option<Tensor> {
        if self.kernel == Kernel::Cosine {
            return None;
        }
        let c = self.copies.coefficients(values);
        let fitted = self.copies.masks.matmul(&c.unsqueeze(-1)).squeeze_dim(-1);
        let off = values - fitted;
        let sum = |t: &Tensor| t.sum_dim_intlist([1].as_slice(), true, Kind::Double);
        let total = sum(&self.weights).clamp_min(f64::MIN_POSITIVE);
        let residual = &off - sum(&(&off * &self.weights)) / total;
        Some(self.transposed(v) / self.weights.clamp_min(f64::MIN_POSITIVE) * residual)
    }

    fn weights(&self, x: &Tensor, z: &Tensor) -> Tensor {
        exponential_kernel(&cosine(x, z), self.width)
    }
}
