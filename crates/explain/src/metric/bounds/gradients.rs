//! What theorems say of Lipschitz constants beside what is found: right sides of Tan & Tian 2023,
//! Agarwal et al. 2021 and Wang et al. 2020 from the constants of f near the image, and how much of
//! each the maps use. Constants found at sampled neighbours are lower bounds of the true ones.

use super::{column, named, range, used};
use crate::{
    Attribution, Batch,
    engine::chunks::{self, Pass},
    metric::{
        Better, Case, Column, Metric,
        robustness::{Aggregate, Draws, Neighbourhood, each, norm, zeros},
    },
    sampling::{neighbours::Noise, smoothing_kernel::Kernel},
};
use anyhow::Result;
use models::Model;
use registry::{Entry, described};
use serde::{Deserialize, Serialize};
use std::f64::consts::FRAC_2_PI;
use tch::{Kind, Tensor};
use toml::{Table, Value};

/// In the list of metrics.
pub(crate) const ENTRY: Entry<dyn Metric> = Entry {
    name: "bounds",
    about: "Lipschitz constants of gxi, ig, smoothgrad and the smoothed score beside what theorems \
            allow (Tan & Tian 2023, Agarwal et al. 2021, Wang et al. 2020); the method makes no \
            difference",
    options: described::<Options>(&[
        ("samples", "neighbours of an image"),
        ("sigma", "σ of the neighbours, in [0, 1] pixels, above 0"),
        ("smoothing", "σ of SmoothGrad and of the smoothed score, in [0, 1] pixels, above 0"),
        ("draws", "noisy copies for both, the same at neighbours"),
        ("points", "points of the path of integrated gradients"),
    ]),
    build,
};

struct Bounds {
    near: Neighbourhood,
    noise: Noise,
    gradient: Box<dyn Attribution>,
    integrated: Box<dyn Attribution>,
    smoothed: Box<dyn Attribution>,
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
struct Options {
    samples: u64,
    #[serde(deserialize_with = "registry::fraction")]
    sigma: f64,
    #[serde(deserialize_with = "registry::fraction")]
    smoothing: f64,
    draws: u64,
    points: i64,
}

impl Default for Options {
    fn default() -> Self {
        Options { samples: 20, sigma: 0.03, smoothing: 0.1, draws: 50, points: 20 }
    }
}

fn build(table: Table) -> Result<Box<dyn Metric>> {
    let Options { samples, sigma, smoothing, draws, points } = registry::options(table)?;
    registry::positive("sigma", sigma)?;
    registry::positive("smoothing", smoothing)?;
    let gaussian = |size, samples| Noise {
        kernel: Kernel::Gaussian,
        size,
        relative: false,
        samples,
        pairs: false,
    };
    let noise = gaussian(smoothing, draws).checked("smoothing")?;
    let near = gaussian(sigma, samples).checked("sigma")?;
    let draws = Value::Integer(i64::try_from(draws)?);
    Ok(Box::new(Bounds {
        near: Neighbourhood { noise: near, id: "bounds", draws: Draws::Shared },
        noise,
        gradient: named("saliency", &[])?,
        integrated: named(
            "ig",
            &[("points", Value::Integer(points)), ("rule", Value::String("midpoint".into()))],
        )?,
        smoothed: named("smoothgrad", &[("sigma", Value::Float(smoothing)), ("samples", draws)])?,
    }))
}

/// Constants found, what theorems allow, and the one over the other.
const COLUMNS: &[Column] = &[
    column(
        "score-lipschitz",
        "L: |f(x) − f(x′)| / |x − x′| or |∇f(x′)|, the largest of neighbours x′; 0 or more",
        Better::Lower,
    ),
    column(
        "score-smoothness",
        "H: |∇f(x) − ∇f(x′)| / |x − x′|, the largest; 0 or more",
        Better::Lower,
    ),
    column(
        "gxi-found",
        "|φ(x) − φ(x′)| / |x − x′| of gradient × input, the largest; 0 or more",
        Better::Lower,
    ),
    column("gxi-bound", "BH + L, B the largest |x′|: Tan & Tian 2023, Theorem C.16", Better::Lower),
    column("gxi-tightness", "gxi-found / gxi-bound", Better::Neither),
    column("ig-found", "the same of integrated gradients; 0 or more", Better::Lower),
    column("ig-bound", "(BH + 2L) / 2: Tan & Tian 2023, Theorem C.14", Better::Lower),
    column("ig-tightness", "ig-found / ig-bound", Better::Neither),
    column("smoothgrad-found", "the same of SmoothGrad; 0 or more", Better::Lower),
    column("smoothgrad-bound", "√(2/π) L / σ: Tan & Tian 2023, Theorem C.7", Better::Lower),
    column("smoothgrad-tightness", "smoothgrad-found / smoothgrad-bound", Better::Neither),
    column("smoothgrad-half", "max |∇f| / (2σ): Agarwal et al. 2021, Theorem 2", Better::Lower),
    column("smoothgrad-half-tightness", "smoothgrad-found / smoothgrad-half", Better::Neither),
    column(
        "smoothgrad-range",
        "2F / σ², F the largest |f|, 1 of a probability: Wang et al. 2020, Theorem 2",
        Better::Lower,
    ),
    column("smoothgrad-range-tightness", "smoothgrad-found / smoothgrad-range", Better::Neither),
    column(
        "smoothed-score-found",
        "|f_σ(x) − f_σ(x′)| / |x − x′| of the smoothed score, the largest",
        Better::Lower,
    ),
    column(
        "smoothed-score-bound",
        "min(L, F / (2σ)): Tan & Tian 2023, Proposition 4.2",
        Better::Lower,
    ),
    column(
        "smoothed-score-tightness",
        "smoothed-score-found / smoothed-score-bound",
        Better::Neither,
    ),
    column(
        "smoothed-score-kernel",
        "R γ, R = F, γ = √(2/π) / σ the total variation of the kernel: Tan & Tian 2023, Theorem 4.3",
        Better::Lower,
    ),
    column(
        "smoothed-score-kernel-tightness",
        "smoothed-score-found / smoothed-score-kernel",
        Better::Neither,
    ),
];

/// What theorems speak of, at the images of a batch.
struct Values {
    /// f and f_σ, f64 `[N]`.
    scores: [Tensor; 2],
    /// ∇f, gradient × input, integrated gradients and SmoothGrad, f64 `[N, C, H, W]`.
    maps: [Tensor; 4],
}

impl Bounds {
    fn at(&self, model: &dyn Model, batch: &Batch) -> Values {
        let (gradient, logits) = self.gradient.with_logits(model, batch);
        let wide = |t: Tensor| t.to_kind(Kind::Double);
        let gradient = wide(gradient);
        let times_input = &gradient * &batch.x;
        let integrated = wide(self.integrated.attribute(model, batch));
        let smoothed = wide(self.smoothed.attribute(model, batch));
        Values {
            scores: [wide(batch.target.of(&logits)), self.smoothed_score(model, batch)],
            maps: [gradient, times_input, integrated, smoothed],
        }
    }

    /// f_σ, f64 `[N]`: the mean of f at copies with the same noise at every image of a key.
    fn smoothed_score(&self, model: &dyn Model, batch: &Batch) -> Tensor {
        let count = self.noise.samples;
        let [sum] = chunks::sums(batch, count, [zeros(batch)], |pass| {
            tch::no_grad(|| {
                let images = pass.repeated(&pass.block.x);
                let near = self.noise.around(&images, &pass.samples());
                let scores = images.target.of(&model.logits(&near)).to_kind(Kind::Double);
                let rows = scores.view([pass.taken.len() as i64, -1]);
                [rows.sum_dim_intlist([0i64].as_slice(), false, Kind::Double)]
            })
        });
        sum / count as f64
    }
}

/// The largest of what was found: L, H, the largest |∇f|, |f| and |x|, then the constants of
/// gradient × input, integrated gradients, SmoothGrad and the smoothed score.
const KEPT: usize = 9;

/// Those of the neighbours of a pass, f64 rows.
fn found(
    pass: &Pass,
    near: &Batch,
    (here, x): (&Values, &Tensor),
    there: &Values,
) -> [Tensor; KEPT] {
    let apart = norm(&(&near.x - each(pass, x)), 2.);
    // A neighbour that rounding puts on the image says nothing.
    let apart = apart.masked_fill(&apart.eq(0.), f64::INFINITY);
    let score = |i: usize| (&there.scores[i] - each(pass, &here.scores[i])).abs() / &apart;
    let map = |i: usize| norm(&(&there.maps[i] - each(pass, &here.maps[i])), 2.) / &apart;
    let slope = norm(&there.maps[0], 2.);
    [
        score(0).maximum(&slope),
        map(0),
        slope,
        there.scores[0].abs(),
        norm(&near.x, 2.),
        map(1),
        map(2),
        map(3),
        score(1),
    ]
}

impl Metric for Bounds {
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
        let here = self.at(case.model, case.batch);
        let slope = norm(&here.maps[0], 2.);
        let none = || zeros(case.batch);
        let kept: [Tensor; KEPT] = [
            slope.copy(),
            none(),
            slope,
            here.scores[0].abs(),
            norm(&case.batch.x, 2.),
            none(),
            none(),
            none(),
            none(),
        ];
        let (samples, x) = (self.near.noise.samples, &case.batch.x);
        let moved =
            |pass: &Pass, near: &Batch| found(pass, near, (&here, x), &self.at(case.model, near));
        self.near.each(case.batch, moved, |pass, rows| {
            for (kept, rows) in kept.iter().zip(rows) {
                Aggregate::Max.take(kept, pass, &rows, samples);
            }
        });
        let [l, h, slope, furthest, length, gxi, ig, smoothgrad, smoothed] = kept;
        let range = range(case.batch.target.score, &furthest);
        let sigma = self.noise.size;
        let mut columns = vec![l.shallow_clone(), h.shallow_clone()];
        let mut against = |found: &Tensor, bounds: &[Tensor]| {
            columns.push(found.shallow_clone());
            for bound in bounds {
                columns.extend([bound.shallow_clone(), used(found, bound)]);
            }
        };
        against(&gxi, &[&length * &h + &l]);
        against(&ig, &[(&length * &h + &l * 2.) / 2.]);
        let tan = &l * FRAC_2_PI.sqrt() / sigma;
        against(&smoothgrad, &[tan, slope / (2. * sigma), &range * 2. / (sigma * sigma)]);
        let kernel = &range * FRAC_2_PI.sqrt() / sigma;
        against(&smoothed, &[l.minimum(&(&range / (2. * sigma))), kernel]);
        columns
    }
}
