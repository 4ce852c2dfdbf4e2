//! Right sides of Wang et al. 2020 on the sphere of radius δ around the image: Theorem 1 of the
//! gradient, Proposition 2 of SmoothGrad, Theorem 3 and Appendix B2 of the cross-entropy ℓ of the
//! explained class.

use super::{Local, Seen, asked, beside, column, constant, length, range, tightness, wide, zeros};
use crate::{
    Batch,
    engine::chunks,
    metric::{Better, Case, Column, Metric},
};
use anyhow::{Result, ensure};
use models::{
    Model, Score,
    grad::{Graph, pull},
};
use registry::{Entry, described};
use serde::{Deserialize, Serialize};
use tch::{Kind, Tensor};
use toml::Table;

/// In the list of metrics.
pub(in crate::metric) const ENTRY: Entry<dyn Metric> = Entry {
    name: "bounds-wang20",
    about: "changes of the gradient, of SmoothGrad and of the loss beside Theorems 1 and 3, \
            Proposition 2 and Appendix B2 of Wang et al. 2020; the method makes no difference",
    options: described::<Options>(&[
        ("samples", "neighbours of an image"),
        ("radius", "δ, their ℓ2 distance, in [0, 1] pixels, above 0"),
        ("draws", "noisy copies of SmoothGrad, the same at neighbours"),
        ("iterations", "products with the Hessian of ℓ, for its largest eigenvalue"),
    ]),
    build,
};

#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
struct Options {
    samples: u64,
    #[serde(deserialize_with = "registry::fraction")]
    radius: f64,
    draws: u64,
    iterations: u64,
}

impl Default for Options {
    fn default() -> Self {
        Options { samples: 20, radius: 0.5, draws: 20, iterations: 20 }
    }
}

fn build(table: Table) -> Result<Box<dyn Metric>> {
    let options: Options = registry::options(table)?;
    let Options { samples, radius, draws, iterations } = options;
    registry::positive("radius", radius)?;
    for (name, count) in [("samples", samples), ("draws", draws), ("iterations", iterations)] {
        ensure!(count > 0, "`{name}` is 0; it must be positive");
    }
    Ok(Box::new(options))
}

const COLUMNS: &[Column] = &[
    column(
        "saliency-found",
        "|∇f(x) − ∇f(x′)| / |x − x′|, the largest of neighbours x′; 0 or more",
        Better::Lower,
    ),
    column(
        "saliency-bound",
        "2L / |x − x*|, x* the neighbour where f moves most, L that or the largest |∇f|: Theorem 1",
        Better::Lower,
    ),
    tightness("saliency-tightness", "saliency-found / saliency-bound"),
    column(
        "sigma-needed",
        "√(δF / L), F the largest |f|, 1 of a probability: the σ of Proposition 2, in [0, 1] pixels",
        Better::Neither,
    ),
    column(
        "smoothgrad-found",
        "the same as saliency-found of SmoothGrad with that σ; 0 or more",
        Better::Lower,
    ),
    tightness(
        "smoothgrad-tightness",
        "smoothgrad-found / saliency-bound, which is what 2F / σ² is with that σ: Proposition 2",
    ),
    column(
        "gradient-found",
        "|∇ℓ(x) − ∇ℓ(x′)|, the largest of neighbours x′; 0 or more",
        Better::Lower,
    ),
    column(
        "gradient-bound",
        "δ max |ξ|, ξ an eigenvalue of the Hessian of ℓ at x: Theorem 3, by Taylor's first order",
        Better::Lower,
    ),
    tightness("gradient-tightness", "gradient-found / gradient-bound"),
    column(
        "loss-found",
        "ℓ(x′) − ℓ(x), the largest of neighbours x′ and of the step δ along ∇ℓ; 0 or more",
        Better::Lower,
    ),
    column(
        "loss-bound",
        "δ|∇ℓ(x)| + ½δ² max |ξ|: Appendix B2, by Taylor's second order",
        Better::Lower,
    ),
    tightness("loss-tightness", "loss-found / loss-bound"),
];

/// max |ξ| of the Hessian of the score of `batch`, f64 `[N]`, by power iteration: what it has come to
/// is a lower bound.
pub(super) fn curvature(
    model: &dyn Model,
    batch: &Batch,
    start: &Tensor,
    iterations: u64,
) -> Tensor {
    let unit = |v: &Tensor| v / wide(&length(v).clamp_min(f64::MIN_POSITIVE));
    let (mut v, mut size) = (unit(start), zeros(batch));
    for _ in 0..iterations {
        let [turned] = chunks::map(batch, |pass| {
            let x = pass.block.x.detach().set_requires_grad(true);
            let direction = pass.part(&v).to_kind(x.kind());
            let g = tch::with_grad(|| {
                let score = pass.block.target.of(&model.logits(&x)).sum(None::<Kind>);
                (pull(&score, &x, Graph::Keep) * direction).sum(None::<Kind>)
            });
            [pull(&g, &x, Graph::Free).detach().to_kind(Kind::Double)]
        });
        size = length(&turned);
        v = unit(&turned);
    }
    size
}

impl Options {
    /// The constant of SmoothGrad with a σ of each image, over the neighbours.
    fn smoothed(&self, near: &Local, sigma: &Tensor, steps: &[Tensor]) -> Tensor {
        let x = near.images();
        let map = |at: &Tensor| {
            let each = (0..self.draws).map(|draw| {
                let noise = near.normal("bounds-smoothgrad", draw) * wide(sigma);
                near.gradient(&(at + noise)) / self.draws as f64
            });
            each.reduce(|sum, one| sum + one).expect("one draw at least")
        };
        constant(&x, steps, map)
    }

    /// ℓ: the change of its gradient and its own, each found and allowed.
    fn of_loss(&self, case: &Case, steps: &[Tensor]) -> [Tensor; 4] {
        let batch = asked(case.batch, Score::Logprob);
        let loss = Local::about(case.model, &batch);
        let x = loss.images();
        let Seen { score: here, gradient: slope, .. } = loss.seen(&x);
        let start = loss.normal("bounds-hessian", 0);
        let most = curvature(case.model, &batch, &start, self.iterations);
        let steep = length(&slope);
        let along = &slope * wide(&(-self.radius / steep.clamp_min(f64::MIN_POSITIVE)));
        let (mut turned, mut rise) = (zeros(&batch), zeros(&batch));
        for step in steps.iter().chain([&loss.rounded(&along)]) {
            let at = &x + step;
            let there = loss.seen(&at);
            rise = rise.maximum(&(&here - there.score));
            turned = turned.maximum(&length(&(there.gradient - &slope)));
        }
        let delta = self.radius;
        [turned, &most * delta, rise, steep * delta + most * (delta * delta / 2.)]
    }
}

impl Metric for Options {
    fn columns(&self) -> &[Column] {
        COLUMNS
    }

    fn is_of_map(&self, _column: usize) -> bool {
        false
    }

    fn undefined(&self) -> &'static str {
        "a bound of zero"
    }

    fn measure(&self, case: &Case) -> Vec<Tensor> {
        let near = Local::of(case);
        let x = near.images();
        let steps: Vec<Tensor> =
            (0..self.samples).map(|s| near.step("bounds-wang20", s, self.radius)).collect();
        let Seen { score, shifted: here, gradient: slope } = near.seen(&x);
        let mut high = score.abs();
        let mut steep = length(&slope);
        let (mut turned, mut moved) = (zeros(case.batch), zeros(case.batch));
        let mut furthest = length(&steps[0]);
        for step in &steps {
            let (at, apart) = (&x + step, length(step));
            let there = near.seen(&at);
            steep = steep.maximum(&length(&there.gradient));
            turned = turned.maximum(&(length(&(there.gradient - &slope)) / &apart));
            let rate = (there.shifted - &here).abs() / &apart;
            furthest = apart.where_self(&rate.gt_tensor(&moved), &furthest);
            moved = moved.maximum(&rate);
            high = high.maximum(&there.score.abs());
        }
        let l = steep.maximum(&moved);
        let bound = &l * 2. / furthest;
        let sigma = (range(case.batch.target.score, &high) * self.radius / &l).sqrt();
        let sigma = sigma.masked_fill(&l.eq(0.), f64::NAN);
        let smoothed = self.smoothed(&near, &sigma.nan_to_num(0., 0., 0.), &steps);
        let [_, _, saved] = beside(smoothed.shallow_clone(), bound.shallow_clone());
        let [gradient, allowed, loss, rise] = self.of_loss(case, &steps);
        let mut columns: Vec<Tensor> = beside(turned, bound).into();
        columns.extend([sigma, smoothed, saved]);
        columns.extend(beside(gradient, allowed));
        columns.extend(beside(loss, rise));
        columns
    }
}
