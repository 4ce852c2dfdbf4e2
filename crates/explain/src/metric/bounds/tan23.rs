//! Right sides of Tan & Tian 2023 that `bounds` has not: LIME with an exponential kernel (C.10) and
//! with equal weights (C.9), SHAP (C.11), and the assumptions and the claim of Theorem 5.2 on the
//! faithfulness of SmoothGrad over σ.

use super::{Local, beside, column, constant, dot, length, named, range, tightness, zeros};
use crate::{
    Attribution,
    metric::{Better, Case, Column, Memo, Metric, Needs, faithfulness::Faithfulness},
};
use anyhow::{Result, ensure};
use models::noise;
use registry::{Entry, described};
use serde::{Deserialize, Serialize};
use tch::{Kind, Tensor};
use toml::{Table, Value};

/// In the list of metrics.
pub(in crate::metric) const ENTRY: Entry<dyn Metric> = Entry {
    name: "bounds-tan23",
    about: "Lipschitz constants of LIME and SHAP beside Theorem 4.1 of Tan & Tian 2023, and what \
            Theorem 5.2 assumes of SmoothGrad; the method makes no difference",
    options: described::<Options>(&[
        ("samples", "neighbours of an image"),
        ("radius", "their ℓ2 distance, in [0, 1] pixels, above 0"),
        ("copies", "masked copies of LIME and SHAP, the same at neighbours"),
        ("lambda", "λ of LIME's ridge, above 0"),
        (
            "width",
            "σ of LIME's kernel, in ℓ2 distance of pixels, above 0: about the length of an image",
        ),
        ("cells", "cells along a side of the grid that Theorem 5.2's p is of"),
        ("draws", "noisy copies of SmoothGrad"),
        ("sigmas", "its σ from which Theorem 5.2's is chosen: so many, each twice the one before"),
        ("sigma", "the least of them, in [0, 1] pixels, above 0"),
    ]),
    build,
};

#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
struct Options {
    samples: u64,
    #[serde(deserialize_with = "registry::fraction")]
    radius: f64,
    copies: i64,
    lambda: f64,
    width: f64,
    cells: i64,
    draws: u64,
    sigmas: u32,
    #[serde(deserialize_with = "registry::fraction")]
    sigma: f64,
}

impl Default for Options {
    fn default() -> Self {
        let (samples, copies, draws, sigmas) = (10, 64, 16, 8);
        let (radius, lambda, width, cells, sigma) = (0.5, 1., 20., 10, 0.01);
        Options { samples, radius, copies, lambda, width, cells, draws, sigmas, sigma }
    }
}

struct Bounds {
    options: Options,
    lime: Box<dyn Attribution>,
    uniform: Box<dyn Attribution>,
    shap: Box<dyn Attribution>,
    faithfulness: Faithfulness,
}

fn build(table: Table) -> Result<Box<dyn Metric>> {
    let options: Options = registry::options(table)?;
    let Options { samples, radius, copies, lambda, width, cells, draws, sigmas, sigma } = options;
    for (name, size) in [("radius", radius), ("lambda", lambda), ("width", width), ("sigma", sigma)]
    {
        registry::positive(name, size)?;
    }
    for (name, count) in [("samples", samples), ("draws", draws)] {
        ensure!(count > 0, "`{name}` is 0; it must be positive");
    }
    ensure!(copies >= 2, "`copies` is {copies}; it must be at least 2");
    ensure!((3..=30).contains(&sigmas), "`sigmas` is {sigmas}; it must be 3 to 30");
    let scalars = || ("groups", Value::String("scalars".into()));
    let lime = |kernel: &str| {
        named(
            "lime",
            &[
                scalars(),
                ("kernel", Value::String(kernel.into())),
                ("samples", Value::Integer(copies)),
                ("width", Value::Float(width)),
                // The paper's penalty stands beside a mean over copies, the method's beside a sum.
                ("alpha", Value::Float(lambda * copies as f64)),
                ("intercept", Value::Boolean(false)),
            ],
        )
    };
    Ok(Box::new(Bounds {
        lime: lime("l2")?,
        uniform: lime("uniform")?,
        shap: named("kernelshap", &[scalars(), ("samples", Value::Integer(copies))])?,
        faithfulness: Faithfulness::of_cells(cells)?,
        options,
    }))
}

const SHARES: [usize; 2] = [12, 14];

const COLUMNS: &[Column] = &[
    column(
        "lime-found",
        "|φ(x) − φ(x′)| / |x − x′| of LIME with kernel=l2, the largest of neighbours x′; 0 or more",
        Better::Lower,
    ),
    column(
        "lime-bound",
        "C (√(d+1) L/2 + e βR √(d−1)/σ²) + C² e βR d√(d−1)/(2σ²), e = exp(2β/σ²), β the largest |x′|, \
         C = 4 / (exp(−β²/σ²) + 4λ): Theorem C.10, of all copies",
        Better::Lower,
    ),
    tightness("lime-tightness", "lime-found / lime-bound"),
    column("uniform-lime-found", "the same of LIME with equal weights; 0 or more", Better::Lower),
    column(
        "uniform-lime-bound",
        "√(d+1) C L / 2, C = 4 / (1 + 4λ): Lemma C.9, of all copies",
        Better::Lower,
    ),
    tightness("uniform-lime-tightness", "uniform-lime-found / uniform-lime-bound"),
    column("shap-found", "the same of Shapley values of single numbers; 0 or more", Better::Lower),
    column("shap-bound", "2√d L: Theorem C.11, of exact Shapley values", Better::Lower),
    tightness("shap-tightness", "shap-found / shap-bound"),
    column(
        "alpha",
        "α of Theorem 5.2: the least cosine of SmoothGrad and p over σ; in [-1, 1]",
        Better::Higher,
    ),
    column("ratio", "ν = τ = |p| / |∇f|, the tightest of Theorem 5.2; 0 or more", Better::Neither),
    column("condition", "2τ − 1 − α²ν², below 0 in Theorem 5.2", Better::Lower),
    column(
        "assumed",
        "1 where α > 0 and 2τ − 1 − α²ν² < 0, as Theorem 5.2 assumes, else 0",
        Better::Neither,
    ),
    column("best-sigma", "σ whose SmoothGrad is nearest to p, in [0, 1] pixels", Better::Neither),
    column(
        "peaks",
        "1 where that SmoothGrad is nearer to p than the gradient and 0 are, which Theorem 5.2 then \
         says, else 0",
        Better::Neither,
    ),
];

impl Bounds {
    /// Constants of the methods, f64 `[N]` each.
    fn found(&self, near: &Local, steps: &[Tensor]) -> [Tensor; 3] {
        let x = near.images();
        [&self.lime, &self.uniform, &self.shap].map(|method| {
            let map =
                |at: &Tensor| method.attribute(near.model, &near.at(at)).to_kind(Kind::Double);
            constant(&x, steps, map)
        })
    }

    /// L, R and β of the images, their neighbours and masked copies of both.
    fn constants(&self, near: &Local, steps: &[Tensor]) -> [Tensor; 3] {
        let x = near.images();
        let [mut l, mut r] = [0; 2].map(|_| zeros(near.batch));
        let mut beta = length(&x);
        for (sample, step) in steps.iter().enumerate() {
            let half = near.batch.keys_of(noise::name_id("bounds-masks"));
            let keys: Vec<u64> =
                half.iter().map(|&key| noise::key(key, sample as u64, 0)).collect();
            let drawn = noise::uniform(&keys, &near.batch.x.size()[1..], x.device());
            let half = drawn.lt(0.5).to_kind(Kind::Double);
            beta = beta.maximum(&length(&(&x + step)));
            for mask in [half.ones_like(), half] {
                let [here, there] = [&x * &mask, (&x + step) * &mask];
                let apart = length(&(step * &mask));
                let apart = apart.masked_fill(&apart.eq(0.), f64::INFINITY);
                let (here, there) = (near.seen(&here), near.seen(&there));
                let rate = (here.shifted - there.shifted).abs() / apart;
                l = l.maximum(&rate).maximum(&length(&there.gradient));
                r = r.maximum(&here.score.abs()).maximum(&there.score.abs());
            }
        }
        [l, range(near.batch.target.score, &r), beta]
    }

    /// Right sides of C.10, C.9 and C.11.
    fn allowed(&self, [l, r, beta]: [Tensor; 3], d: f64) -> [Tensor; 3] {
        let Options { lambda, width, radius, .. } = self.options;
        let narrow = width * width;
        let c = ((-beta.square() / narrow).exp() + 4. * lambda).reciprocal() * 4.;
        // The proof has |x − x′| ≤ 1.
        let steep = (&beta * (2. * radius.max(1.) / narrow)).exp();
        let kernel = steep * beta * r / narrow;
        let first = &l * ((1. + d).sqrt() / 2.) + &kernel * (d - 1.).sqrt();
        let second = kernel * (d * (d - 1.).sqrt() / 2.);
        let lime = &c * first + c.square() * second;
        let uniform = &l * ((1. + d).sqrt() / 2. * 4. / (1. + 4. * lambda));
        [lime, uniform, l * (2. * d.sqrt())]
    }

    /// α, the ratio, the condition, whether the theorem applies, σ* and whether it is a peak.
    fn tradeoff(&self, case: &Case, near: &Local) -> [Tensor; 6] {
        let x = near.images();
        let groups = |map: &Tensor| {
            let case = Case { maps: map, map_cache: &Memo::default(), ..*case };
            let (map, p, kept) = self.faithfulness.groups(&case);
            [&map * &kept, &p * &kept]
        };
        let slope = near.gradient(&x);
        let [gradient, p] = groups(&slope);
        let size = length(&p);
        let ratio = &size / length(&gradient);
        let ends = length(&(&gradient - &p)).minimum(&size);
        let mut alpha = zeros(case.batch) + 1.;
        let mut nearest = zeros(case.batch) + f64::INFINITY;
        let mut best = zeros(case.batch) + f64::NAN;
        for doubling in 0..self.options.sigmas {
            let sigma = self.options.sigma * f64::from(2u32.pow(doubling));
            let mut map = x.zeros_like();
            for draw in 0..self.options.draws {
                let noise = near.normal("bounds-tradeoff", draw) * sigma;
                map += near.gradient(&(&x + noise)) / self.options.draws as f64;
            }
            let [map, _] = groups(&map);
            alpha = alpha.minimum(&(dot(&map, &p) / (length(&map) * &size)));
            let far = length(&(&map - &p));
            best = best.masked_fill(&far.lt_tensor(&nearest), sigma);
            nearest = nearest.minimum(&far);
        }
        let condition: Tensor = &ratio * 2. - 1. - alpha.square() * ratio.square();
        let share = |t: Tensor| t.to_kind(Kind::Double);
        let assumed = share(alpha.gt(0.).logical_and(&condition.lt(0.)));
        [alpha, ratio, condition, assumed, best, share(nearest.lt_tensor(&ends))]
    }
}

impl Metric for Bounds {
    fn needs(&self) -> Needs {
        Needs { explains: true, ..Needs::default() }
    }

    fn columns(&self) -> &[Column] {
        COLUMNS
    }

    fn is_of_map(&self, _column: usize) -> bool {
        false
    }

    fn is_share(&self, column: usize) -> bool {
        SHARES.contains(&column)
    }

    fn undefined(&self) -> &'static str {
        "a gradient of zero, no drop of the score, or a bound of zero"
    }

    fn measure(&self, case: &Case) -> Vec<Tensor> {
        let near = Local::of(case);
        let step = |sample| near.step("bounds-tan23", sample, self.options.radius);
        let steps: Vec<Tensor> = (0..self.options.samples).map(step).collect();
        let d = near.images().flatten(1, -1).size()[1];
        let allowed = self.allowed(self.constants(&near, &steps), d as f64);
        let pairs = self.found(&near, &steps).into_iter().zip(allowed);
        let mut columns: Vec<Tensor> =
            pairs.flat_map(|(found, bound)| beside(found, bound)).collect();
        columns.extend(self.tradeoff(case, &near));
        columns
    }
}
