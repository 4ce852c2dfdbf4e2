//! Right sides of Lim et al. 2021 for the loss L(x, m) = −log p(m ⊙ x) of the explained class, m the
//! mask that a map makes: the gradient's change (Theorem 2), the loss near the image (Eq. 7), and γ⁺,
//! the shortest change that loses the class under the mask (Eq. 2), beside its least length (Eq. 5).

use super::{Local, asked, column, length, tightness, used, wide, zeros};
use crate::metric::{Better, Case, Column, Metric, retrieval::Mask};
use anyhow::{Result, ensure};
use models::Score;
use registry::{Entry, described};
use serde::{Deserialize, Serialize};
use std::f64::consts::LN_2;
use tch::{Kind, Tensor};
use toml::Table;

/// In the list of metrics.
pub(in crate::metric) const ENTRY: Entry<dyn Metric> = Entry {
    name: "bounds-lim21",
    about: "loss under the map's mask, its gradient, and the shortest change that loses the class, \
            beside Theorems 1 and 2 of Lim et al. 2021",
    options: described::<Options>(&[
        ("mask", "percentile, minmax or raw, as of `retrieval`"),
        ("samples", "neighbours of an image"),
        ("radius", "their ℓ2 distance, in [0, 1] pixels, above 0"),
        ("reach", "how far γ⁺ is looked for, in the same unit, above 0"),
        ("steps", "steps of that search up the gradient; as many halvings follow"),
    ]),
    build,
};

#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
struct Options {
    mask: Mask,
    samples: u64,
    #[serde(deserialize_with = "registry::fraction")]
    radius: f64,
    #[serde(deserialize_with = "registry::fraction")]
    reach: f64,
    steps: u64,
}

impl Default for Options {
    fn default() -> Self {
        Options { mask: Mask::default(), samples: 20, radius: 0.5, reach: 5., steps: 20 }
    }
}

fn build(table: Table) -> Result<Box<dyn Metric>> {
    let options: Options = registry::options(table)?;
    for (name, length) in [("radius", options.radius), ("reach", options.reach)] {
        registry::positive(name, length)?;
    }
    for (name, count) in [("samples", options.samples), ("steps", options.steps)] {
        ensure!(count > 0, "`{name}` is 0; it must be positive");
    }
    Ok(Box::new(options))
}

const COLUMNS: &[Column] = &[
    column("mask-size", "‖m‖₁, in numbers of the image; 0 or more", Better::Lower),
    column(
        "gradient-found",
        "|∇L(x′, m) − ∇L(x, m)|, the largest of neighbours x′; 0 or more",
        Better::Lower,
    ),
    column(
        "gradient-bound",
        "‖m‖₁ |g(x′) − g(x)|, g of the masked image, the largest: Theorem 2, Eq. 8",
        Better::Lower,
    ),
    tightness("gradient-tightness", "gradient-found / gradient-bound"),
    column("loss-found", "L(x′, m), the largest of neighbours x′; 0 or more", Better::Lower),
    column(
        "loss-bound",
        "α ‖m‖₁ (½|g(x′) − g(x)| + |g(x)|), α the radius, the largest, as printed: Theorem 1, Eq. 7",
        Better::Lower,
    ),
    tightness("loss-tightness", "loss-found / loss-bound"),
    column(
        "loss-bound-whole",
        "the same with L(x, m), which Eq. 1 has and Eq. 7 leaves out",
        Better::Lower,
    ),
    tightness("loss-whole-tightness", "loss-found / loss-bound-whole"),
    column(
        "gamma",
        "γ⁺, Eq. 2: ℓ2 length of the shortest change found whose L(x + γ, m) is log 2, where the class \
         may be lost; above 0, an upper bound of the shortest",
        Better::Higher,
    ),
    column(
        "gamma-bound",
        "2c / (‖m‖₁ (|g(x + γ) − g(x)| + 2|g(x)|)), c = log 2 − L(x, m): its least length by Theorem 1, \
         Eq. 5, by Taylor's second order",
        Better::Higher,
    ),
    tightness("gamma-tightness", "gamma-bound / gamma"),
];

/// L and g under the mask of each image.
struct Masked<'a> {
    local: &'a Local<'a>,
    mask: Tensor,
}

impl Masked<'_> {
    /// L(x, m), f64 `[N]`.
    fn loss(&self, x: &Tensor) -> Tensor {
        -self.local.score(&(x * &self.mask))
    }

    /// g(x) = ∂ log p / ∂(m ⊙ x), f64 `[N, C, H, W]`.
    fn gradient(&self, x: &Tensor) -> Tensor {
        self.local.gradient(&(x * &self.mask))
    }

    /// The shortest change found with L = log 2, NaN where there is none within reach or L is log 2
    /// already.
    fn shortest(&self, x: &Tensor, options: &Options) -> Tensor {
        let lost = |delta: &Tensor| self.loss(&(x + delta)).ge(LN_2);
        let mut delta = x.zeros_like();
        let (before, mut done) = (lost(&delta), lost(&delta));
        for _ in 0..options.steps {
            let up = -self.gradient(&(x + &delta)) * &self.mask;
            let far =
                options.reach / options.steps as f64 / length(&up).clamp_min(f64::MIN_POSITIVE);
            let next = &delta + up * wide(&far);
            delta = delta.where_self(&wide(&done), &next);
            done = done.logical_or(&lost(&delta));
        }
        let (mut low, mut high) = (zeros(self.local.batch), zeros(self.local.batch) + 1.);
        for _ in 0..options.steps {
            let middle = (&low + &high) / 2.;
            let over = lost(&(&delta * wide(&middle)));
            high = middle.where_self(&over, &high);
            low = low.where_self(&over, &middle);
        }
        let never = done.logical_not().logical_or(&before);
        delta * wide(&high.masked_fill(&never, f64::NAN))
    }
}

impl Metric for Options {
    fn columns(&self) -> &[Column] {
        COLUMNS
    }

    fn undefined(&self) -> &'static str {
        "a class that the mask loses, or that no change within reach loses"
    }

    fn measure(&self, case: &Case) -> Vec<Tensor> {
        let batch = asked(case.batch, Score::Logprob);
        let local = Local::about(case.model, &batch);
        let x = local.images();
        let masked = Masked { local: &local, mask: self.mask.of(case.maps).expand_as(&x) };
        let size =
            masked.mask.flatten(1, -1).sum_dim_intlist([1i64].as_slice(), false, Kind::Double);
        let (here, g) = (masked.loss(&x), masked.gradient(&x));
        let steep = length(&g);
        let [mut turned, mut allowed, mut loss, mut bound] = [0; 4].map(|_| zeros(&batch));
        for sample in 0..self.samples {
            let at = &x + local.step("bounds-lim21", sample, self.radius);
            let change = masked.gradient(&at) - &g;
            turned = turned.maximum(&length(&(&change * &masked.mask)));
            let change = length(&change);
            allowed = allowed.maximum(&(&size * &change));
            loss = loss.maximum(&masked.loss(&at));
            bound = bound.maximum(&((&change / 2. + &steep) * &size * self.radius));
        }
        let shortest = masked.shortest(&x, self);
        let change = length(&(masked.gradient(&(&x + shortest.nan_to_num(0., 0., 0.))) - &g));
        let gamma = length(&shortest);
        let least = (LN_2 - &here) * 2. / (&size * (change + &steep * 2.));
        let least = least.masked_fill(&gamma.isnan(), f64::NAN);
        let whole = &bound + &here;
        let tight = [used(&turned, &allowed), used(&loss, &bound), used(&loss, &whole)];
        let [gradient, printed, complete] = tight;
        let ratio = &least / &gamma;
        vec![
            size, turned, allowed, gradient, loss, bound, printed, whole, complete, gamma, least,
            ratio,
        ]
    }
}
