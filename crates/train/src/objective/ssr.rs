//! Smooth surface regularisation (Wang et al. 2020, Def. 7): cross-entropy and the largest
//! eigenvalue ξ_max of its Hessian in the image. The eigenvector is found out of reach of the
//! weights and held fixed; `warm` follows each image's from visit to visit and lags a little.

use super::{
    Loss, Objective, Statistics, Step,
    adversarial::{check_ramp, ramped},
    cross_entropy,
};
use crate::curvature::{self, Channels};
use anyhow::{Context, Result, ensure};
use models::registry;
use serde::Deserialize;
use std::collections::BTreeMap;
use tch::{Kind, Tensor};
use toml::Table;

/// The name of what is kept per image.
const DIRECTIONS: &str = "directions";

/// How the eigenvector is found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Eigenvector {
    /// From all classes at every step.
    #[default]
    Exact,
    /// One power iteration a step from where the image's last visit ended.
    Warm,
    /// Not at all: the eigenvalue is differentiated with a graph through every class.
    Naive,
}

#[derive(Debug, Deserialize)]
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

pub(super) fn build(table: Table) -> Result<Box<dyn Objective>> {
    let ssr: Ssr = registry::options(table)?;
    let (beta, scale) = (ssr.beta, ssr.scale);
    ensure!(beta.is_finite() && beta >= 0., "`beta` is {beta}; it must not be negative");
    ensure!(!ssr.convex || beta <= 1., "`beta` is {beta}; with `convex` it is in [0, 1]");
    ensure!(scale.is_finite() && scale > 0., "`scale` is {scale}; it must be positive");
    check_ramp(ssr.ramp)?;
    if let Some(clip) = ssr.clip {
        ensure!(clip > 0. && clip <= 1., "`clip` is {clip}, not a quantile in (0, 1]");
    }
    Ok(Box::new(ssr))
}

impl Ssr {
    /// ξ_max of every image of the step, with a graph into the weights.
    fn xi(&mut self, step: &Step) -> Tensor {
        let (norm, channels) = (self.norm, self.channels);
        let logits = |x: &Tensor| step.logits(x, norm);
        let u = match self.eigenvector {
            Eigenvector::Naive => return curvature::naive(&logits, step.x, channels),
            Eigenvector::Exact => curvature::exact(&*step.network(norm), step.x, channels).u,
            Eigenvector::Warm => self.warmer(step),
        };
        curvature::along(&logits, step.x, &u, channels)
    }

    /// The eigenvectors of the step's images, one power iteration on, and kept.
    fn warmer(&mut self, step: &Step) -> Tensor {
        let n = step.x.size()[0];
        let (images, classes) = (step.images as i64, step.model.shape.classes);
        let options = (step.x.kind(), step.x.device());
        let next = |last: &Tensor| {
            curvature::warmer(&*step.network(self.norm), step.x, last, self.channels)
        };
        if step.numbers.is_empty() {
            return next(&Tensor::zeros([n, classes], options));
        }
        // An eigenvector of other data would say nothing.
        let kept = self.directions.take().filter(|kept| kept.size() == [images, classes]);
        let mut kept = kept.unwrap_or_else(|| Tensor::zeros([images, classes], options));
        let index = Tensor::from_slice(step.numbers).to_device(kept.device());
        let u = next(&kept.index_select(0, &index));
        let _ = kept.index_copy_(0, &index, &u);
        self.directions = Some(kept);
        u
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

impl Objective for Ssr {
    fn loss(&mut self, step: &Step) -> Loss {
        // First, because it moves the running statistics, on which ξ_max's graph depends.
        let logits = step.train_logits(step.x);
        let xi = self.xi(step);
        let share = if self.convex { 1. - self.beta } else { 1. };
        let ce = cross_entropy(&logits, step.y) * share;
        let weight = self.beta * self.scale * ramped(step.epoch, self.ramp);
        let penalty = self.clipped(&xi).mean(xi.kind()) * weight;
        let parts = vec![("cross-entropy", ce), ("ssr", penalty)];
        Loss { parts, logits, observed: vec![("xi", xi.detach())] }
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
