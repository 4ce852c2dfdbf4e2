//! Smooth surface regularisation (Wang et al. 2020, Def. 7): cross-entropy and the largest
//! eigenvalue ξ_max of its Hessian in the image. The eigenvector is found out of reach of the
//! weights and held fixed. `warm` follows each image's from visit to visit and lags a little: what the
//! penalty itself computes is the next power iteration.

use super::{
    Again, Loss, Objective, Statistics, Step,
    adversarial::{check_ramp, ramped},
    cross_entropy,
};
use crate::curvature::{self, Channels};
use anyhow::{Context, Result, ensure};
use models::upload;
use registry::{Entry, described};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use tch::{Kind, Tensor};
use toml::Table;

/// In the list of objectives.
pub(super) const ENTRY: Entry<dyn Objective> = Entry {
    name: "ssr",
    about: "cross-entropy + beta · scale · ξ_max, the largest eigenvalue of its Hessian in the \
            image (Wang et al. 2020; with smooth activations, as Swin's GELU, of its Gauss-Newton \
            part)",
    options: described::<Ssr>(&[
        ("beta", "weight of the penalty, 0 or more"),
        ("scale", "factor on it; the default is 1e6/255², the paper's 1e6 for pixels up to 255"),
        (
            "eigenvector",
            "exact; warm: a power iteration and a half a visit; naive: the expensive reference",
        ),
        (
            "norm",
            "statistics of batch norms in the penalty's pass: running (or eval), batch (or \
             train)",
        ),
        ("convex", "true: 1 − beta before the cross-entropy"),
        ("channels", "all or mean: gradients averaged over channels"),
        ("clip", "quantile of a batch, in (0, 1], above which ξ_max is cut; without it none is"),
        ("ramp", "epochs until the full beta"),
    ]),
    build,
};

/// The name of what is kept per image.
const DIRECTIONS: &str = "directions";

/// How the eigenvector is found.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
enum Eigenvector {
    /// From all classes at every step.
    #[default]
    Exact,
    /// A power iteration a visit from where the image's last one ended, and half of the next.
    Warm,
    /// Not at all: the eigenvalue is differentiated with a graph through every class.
    Naive,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Ssr {
    #[serde(default = "beta")]
    beta: f64,
    #[serde(default = "scale", deserialize_with = "registry::fraction")]
    scale: f64,
    #[serde(default)]
    eigenvector: Eigenvector,
    #[serde(default)]
    norm: Statistics,
    #[serde(default)]
    convex: bool,
    #[serde(default)]
    channels: Channels,
    clip: Option<f64>,
    #[serde(default = "ramp")]
    ramp: f64,
    /// The last eigenvector of every training image `[images, K]`; zero before its first visit.
    #[serde(skip)]
    directions: Option<Tensor>,
}

fn beta() -> f64 {
    0.3
}

/// Running statistics do not fit fresh weights yet, and ξ_max is then meaningless and huge: the
/// penalty comes in slowly, over the first epoch.
pub(super) fn ramp() -> f64 {
    1.
}

/// Wang et al.'s 10⁶ for pixels up to 255.
fn scale() -> f64 {
    1e6 / (255. * 255.)
}

fn build(table: Table) -> Result<Box<dyn Objective>> {
    let ssr: Ssr = registry::options(table)?;
    let (beta, scale) = (ssr.beta, ssr.scale);
    ensure!(beta.is_finite() && beta >= 0., "`beta` is {beta}; it must not be negative");
    ensure!(!ssr.convex || beta <= 1., "`beta` is {beta}; with `convex` it is in [0, 1]");
    registry::positive("scale", scale)?;
    check_ramp(ssr.ramp)?;
    if let Some(clip) = ssr.clip {
        ensure!(clip > 0. && clip <= 1., "`clip` is {clip}, not a quantile in (0, 1]");
    }
    Ok(Box::new(ssr))
}

impl Ssr {
    /// ξ_max of the step's images with a graph into the weights.
    fn xi(&mut self, step: &Step, Again { x, logits, pass }: &Again) -> Tensor {
        let channels = self.channels;
        let (u, v) = match self.eigenvector {
            Eigenvector::Naive => return curvature::naive(logits, x, channels),
            Eigenvector::Exact => {
                let top = curvature::exact(logits, x, channels);
                (top.u, top.v)
            }
            Eigenvector::Warm => {
                let u = curvature::begun(logits, &self.last(step, logits));
                let v = curvature::pulled(logits, x, &u, channels);
                (u, v)
            }
        };
        let Some(pass) = pass else { return self.through_backward(step, (x, logits), u) };
        let image = curvature::pushed(pass, x, &v, channels);
        self.keep(step, &curvature::next(&u, &image.detach()));
        curvature::squared(&image)
    }

    /// The same of a network that cannot be followed along a direction, from unit vectors `u`.
    fn through_backward(
        &mut self,
        step: &Step,
        (x, logits): (&Tensor, &Tensor),
        u: Tensor,
    ) -> Tensor {
        let u = match self.eigenvector {
            Eigenvector::Warm => curvature::turned(logits, x, &u, self.channels),
            _ => u,
        };
        self.keep(step, &u);
        curvature::along(logits, x, &u, self.channels)
    }

    /// The eigenvectors of the step's images when they were visited last `[N, K]`; zero before that.
    fn last(&mut self, step: &Step, logits: &Tensor) -> Tensor {
        let options = (logits.kind(), logits.device());
        if step.numbers.is_empty() {
            return logits.detach().zeros_like();
        }
        let (images, classes) = (step.images as i64, step.model.shape.classes);
        // An eigenvector of other data would say nothing.
        let kept = self.directions.take().filter(|kept| kept.size() == [images, classes]);
        let kept = kept.unwrap_or_else(|| Tensor::zeros([images, classes], options));
        let last = kept.index_select(0, &upload(step.numbers, kept.device()));
        self.directions = Some(kept);
        last
    }

    /// Keeps the eigenvectors of the step's images for their next visit.
    fn keep(&mut self, step: &Step, u: &Tensor) {
        if let (Eigenvector::Warm, Some(kept)) = (self.eigenvector, &mut self.directions)
            && !step.numbers.is_empty()
        {
            let _ = kept.index_copy_(0, &upload(step.numbers, kept.device()), u);
        }
    }

    /// ξ_max cut at its quantile within the batch; what is not finite stays.
    fn clipped(&self, xi: &Tensor) -> Tensor {
        let Some(clip) = self.clip else { return xi.shallow_clone() };
        let sorted = xi.detach().sort(0, false).0;
        let last = sorted.size()[0] - 1;
        let most = sorted.select(0, (clip * last as f64).round() as i64);
        most.where_self(&xi.gt_tensor(&most), xi)
    }
}

/// What it says of every image.
const OBSERVED: &str = "xi";

impl Objective for Ssr {
    fn observes(&self) -> &'static [&'static str] {
        &[OBSERVED]
    }

    fn loss(&mut self, step: &Step) -> Loss {
        let (logits, again) = step.passes(self.norm, step.precision);
        let xi = self.xi(step, &again);
        let share = if self.convex { 1. - self.beta } else { 1. };
        let ce = cross_entropy(&logits, step.y) * share;
        let weight = self.beta * self.scale * ramped(step.epoch, self.ramp);
        let penalty = self.clipped(&xi).mean(xi.kind()) * weight;
        let parts = vec![("cross-entropy", ce), ("ssr", penalty)];
        Loss { parts, logits, observed: vec![(OBSERVED, xi.detach())] }
    }

    fn state(&self) -> BTreeMap<String, Tensor> {
        let kept = self.directions.iter().map(|t| (DIRECTIONS.to_owned(), t.copy()));
        kept.collect()
    }

    fn restore(&mut self, mut state: BTreeMap<String, Tensor>) -> Result<()> {
        if self.eigenvector == Eigenvector::Warm {
            let kept = state.remove(DIRECTIONS);
            let kept =
                kept.with_context(|| format!("`{DIRECTIONS}` of the objective are missing"))?;
            let found = kept.size();
            ensure!(found.len() == 2, "`{DIRECTIONS}` are {found:?}, not [images, classes]");
            let zero = (&kept * 0.).sum(Kind::Double).double_value(&[]);
            ensure!(zero == 0., "`{DIRECTIONS}` are not finite");
            self.directions = Some(kept);
        }
        let unknown: Vec<&String> = state.keys().collect();
        ensure!(unknown.is_empty(), "the objective does not keep {unknown:?}");
        Ok(())
    }
}
