//! Right sides of the supplement of Yeh et al. 2019 on the ℓ2 sphere of radius r around the image, for
//! Gaussian perturbations I: A.1 and A.2 of the gradient, Theorem A.1 of the loss; Theorem C.1, D.6 and
//! D.7 of the method's maps.

use super::{
    Local, beside, column, dot, length, most, tightness, used, wang20::curvature, weights::Chain,
    wide, zeros,
};
use crate::{
    engine::chunks,
    metric::{Case, Column, Metric, Needs},
};
use anyhow::{Result, ensure};
use models::{Score, grad::value_and_grad};
use registry::{Entry, described};
use serde::{Deserialize, Serialize};
use tch::{Kind, Tensor};
use toml::Table;

mod columns;
mod smoothed;

use columns::{COLUMNS, OF_THE_MAP};

/// In the list of metrics.
pub(in crate::metric) const ENTRY: Entry<dyn Metric> = Entry {
    name: "bounds-yeh19",
    about: "infidelity and sensitivity of the gradient, of maps and of smoothed maps beside \
            Propositions and Theorems A.1, A.2, C.1, D.6 and D.7 of Yeh et al. 2019",
    options: described::<Options>(&[
        ("samples", "perturbations I of an image"),
        ("sigma", "their σ, in [0, 1] pixels, above 0"),
        ("points", "neighbours of an image"),
        ("radius", "r, their ℓ2 distance, in [0, 1] pixels, above 0"),
        ("draws", "noisy copies of smoothed maps"),
        ("smoothing", "their σ, in [0, 1] pixels, above 0"),
    ]),
    build,
};

#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
struct Options {
    samples: u64,
    #[serde(deserialize_with = "registry::fraction")]
    sigma: f64,
    points: u64,
    #[serde(deserialize_with = "registry::fraction")]
    radius: f64,
    draws: u64,
    #[serde(deserialize_with = "registry::fraction")]
    smoothing: f64,
}

impl Default for Options {
    fn default() -> Self {
        Options { samples: 20, sigma: 0.2, points: 10, radius: 0.5, draws: 5, smoothing: 0.1 }
    }
}

fn build(table: Table) -> Result<Box<dyn Metric>> {
    let options: Options = registry::options(table)?;
    let Options { samples, sigma, points, radius, draws, smoothing } = options;
    for (name, size) in [("sigma", sigma), ("radius", radius), ("smoothing", smoothing)] {
        registry::positive(name, size)?;
    }
    for (name, count) in [("samples", samples), ("points", points), ("draws", draws)] {
        ensure!(count > 0, "`{name}` is 0; it must be positive");
    }
    Ok(Box::new(options))
}

/// Products with a Hessian.
const ITERATIONS: u64 = 20;

/// The images of a case and what is drawn for them, f64 `[N, C, H, W]`.
struct Around<'a> {
    case: &'a Case<'a>,
    local: Local<'a>,
    x: Tensor,
    /// I.
    perturbations: Vec<Tensor>,
    /// u.
    points: Vec<Tensor>,
    /// z − x.
    noise: Vec<Tensor>,
}

impl<'a> Around<'a> {
    fn of(case: &'a Case<'a>, options: &Options) -> Self {
        let local = Local::of(case);
        let gaussian = |what, count, sigma: f64| -> Vec<Tensor> {
            (0..count).map(|s| local.rounded(&(local.normal(what, s) * sigma))).collect()
        };
        let perturbations = gaussian("bounds-perturbation", options.samples, options.sigma);
        let noise = gaussian("bounds-smoothing", options.draws, options.smoothing);
        let point = |s| local.step("bounds-yeh19", s, options.radius);
        let points = (0..options.points).map(point).collect();
        Around { x: local.images(), perturbations, points, noise, case, local }
    }

    /// The method's maps at other images, f64.
    fn map(&self, x: &Tensor) -> Tensor {
        let Case { model, method, .. } = *self.case;
        method.attribute(model, &self.local.at(x)).to_kind(Kind::Double)
    }

    fn score(&self, x: &Tensor) -> Tensor {
        self.local.shifted(x)
    }

    /// The largest ‖∇²f‖ found at and near the images: of the Hessian at x, and of differences of
    /// gradients towards neighbours and halfway to and at x − I. And the gradient there.
    fn bend(&self) -> (Tensor, Tensor) {
        let (near, x) = (&self.local, &self.x);
        let start = near.normal("bounds-hessian", 0);
        let mut most = curvature(near.model, near.batch, &start, ITERATIONS);
        let slope = near.gradient(x);
        let halves = self.perturbations.iter().map(|i| near.rounded(&(i * -0.5)));
        let whole = self.perturbations.iter().map(|i| -i);
        for step in self.points.iter().map(Tensor::shallow_clone).chain(halves).chain(whole) {
            let turned = length(&(near.gradient(&(x + &step)) - &slope)) / length(&step);
            most = most.maximum(&turned);
        }
        (most, slope)
    }

    /// Infidelity of the gradient, and the largest change that neighbours have.
    fn of_gradient(&self, slope: &Tensor) -> [Tensor; 2] {
        let mut infidelity = zeros(self.case.batch);
        let here = self.score(&self.x);
        for i in &self.perturbations {
            let off = dot(i, slope) - (&here - self.score(&(&self.x - i)));
            infidelity += off.square() / self.perturbations.len() as f64;
        }
        let turned = |u: &Tensor| length(&(self.local.gradient(&(&self.x + u)) - slope));
        [infidelity, most(self.points.iter().map(turned))]
    }

    /// E ‖I‖⁴.
    fn fourth(&self) -> Tensor {
        let each = self.perturbations.iter().map(|i| length(i).square().square());
        let sum = each.reduce(|sum, one| sum + one).expect("one perturbation at least");
        sum / self.perturbations.len() as f64
    }

    /// r times what the weights allow by A.1, as printed and by the chain rule; NaN where they say
    /// nothing.
    fn by_weights(&self, radius: f64) -> [Tensor; 2] {
        let batch = self.case.batch;
        let unknown = || zeros(batch) + f64::NAN;
        let chain =
            Chain::of(self.case.model, &batch.x).filter(|_| batch.target.score == Score::Logit);
        let Some(chain) = chain else { return [unknown(), unknown()] };
        let class: Vec<i64> = Vec::try_from(&batch.target.class).expect("classes are i64");
        let of = |by: &dyn Fn(usize) -> f64| {
            let each: Vec<f64> = class.iter().map(|&c| by(c as usize) * radius).collect();
            Tensor::from_slice(&each).to_device(batch.x.device())
        };
        [of(&|c| chain.printed(c)), of(&|c| chain.summed(c))]
    }

    /// f = log p − log(1 − p) and its gradient.
    fn odds(&self, x: &Tensor) -> [Tensor; 2] {
        let at = self.local.at(x);
        chunks::map(&at, |pass| {
            let of = |x: &Tensor| pass.block.target.log_odds(&self.case.model.logits(x));
            let (odds, slope) = value_and_grad(&pass.block.x, of);
            [odds, slope.to_kind(Kind::Double)]
        })
    }

    /// Theorem A.1: the largest loss of the neighbours and of the step against the gradient, and what
    /// is allowed.
    fn adversarial(&self, radius: f64) -> [Tensor; 2] {
        let loss = |odds: &Tensor| -odds.log_sigmoid();
        let [odds, slope] = self.odds(&self.x);
        let steep = length(&slope);
        let down = &slope * wide(&(-radius / steep.clamp_min(f64::MIN_POSITIVE)));
        let (mut found, mut bend) = (loss(&odds), zeros(self.case.batch));
        for u in self.points.iter().chain([&self.local.rounded(&down)]) {
            let [there, turned] = self.odds(&(&self.x + u));
            found = found.maximum(&loss(&there));
            let far = length(u).clamp_min(f64::MIN_POSITIVE);
            bend = bend.maximum(&(length(&(turned - &slope)) / far));
        }
        [found, loss(&odds) + steep * radius + bend * (radius * radius / 2.)]
    }
}

impl Metric for Options {
    fn needs(&self) -> Needs {
        Needs { explains: true, ..Needs::default() }
    }

    fn columns(&self) -> &[Column] {
        COLUMNS
    }

    fn is_of_map(&self, column: usize) -> bool {
        column >= OF_THE_MAP
    }

    fn undefined(&self) -> &'static str {
        "no chain of smooth layers (A.1), C1 of 1/4 or more (D.7), or a bound of zero"
    }

    fn measure(&self, case: &Case) -> Vec<Tensor> {
        let around = Around::of(case, self);
        let r = self.radius;
        let (bend, slope) = around.bend();
        let [infidelity, sensitivity] = around.of_gradient(&slope);
        let [printed, summed] = around.by_weights(r);
        let [loss, allowed] = around.adversarial(r);
        let tight = [used(&sensitivity, &printed), used(&sensitivity, &summed)];
        let mut columns: Vec<Tensor> =
            beside(infidelity, around.fourth() * bend.square() / 2.).into();
        columns.extend(beside(sensitivity, bend * r));
        for (bound, tight) in [printed, summed].into_iter().zip(tight) {
            columns.extend([bound, tight]);
        }
        columns.extend(beside(loss, allowed));
        let [found, least] = around.robust();
        let tight = used(&least, &found);
        columns.extend([found, least, tight]);
        let [found, allowed] = around.smooth_sensitivity();
        columns.extend(beside(found, allowed));
        let [found, bound, c1] = around.smooth_infidelity();
        columns.extend(beside(found, bound));
        columns.push(c1);
        columns
    }
}
