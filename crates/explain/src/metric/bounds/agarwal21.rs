//! Numbers of samples of Agarwal et al. 2021 (Proposition 1 of SmoothGrad, Theorem 3 of C-LIME) with
//! C = 1, beside how many it takes: the smallest power of two at which all but δ of repeated maps are
//! within ε of their limit.

use super::{Local, Seen, column, length, named, range, tightness, zeros};
use crate::{
    Batch,
    metric::{Better, Case, Column, Metric, Needs},
};
use anyhow::{Result, ensure};
use models::noise;
use registry::{Entry, described};
use serde::{Deserialize, Serialize};
use tch::{Kind, Tensor};
use toml::{Table, Value};

/// In the list of metrics.
pub(in crate::metric) const ENTRY: Entry<dyn Metric> = Entry {
    name: "bounds-agarwal21",
    about: "samples that SmoothGrad and C-LIME need beside Proposition 1 and Theorem 3 of Agarwal et \
            al. 2021; the method makes no difference",
    options: described::<Options>(&[
        ("samples", "the most samples that are tried"),
        ("repeats", "maps of as many samples that are compared with the limit"),
        ("sigma", "σ of both methods, in [0, 1] pixels, above 0"),
        ("epsilon", "ε, of the length of the limit, above 0"),
        ("delta", "δ, the share of maps that may be further, in (0, 1)"),
    ]),
    build,
};

#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
struct Options {
    samples: u64,
    repeats: u64,
    #[serde(deserialize_with = "registry::fraction")]
    sigma: f64,
    #[serde(deserialize_with = "registry::fraction")]
    epsilon: f64,
    #[serde(deserialize_with = "registry::fraction")]
    delta: f64,
}

impl Default for Options {
    fn default() -> Self {
        Options { samples: 64, repeats: 10, sigma: 0.1, epsilon: 0.5, delta: 0.1 }
    }
}

fn build(table: Table) -> Result<Box<dyn Metric>> {
    let options: Options = registry::options(table)?;
    let Options { samples, repeats, sigma, epsilon, delta } = options;
    ensure!(samples >= 2, "`samples` is {samples}; it must be at least 2");
    ensure!(repeats >= 2, "`repeats` is {repeats}; it must be at least 2");
    for (name, size) in [("sigma", sigma), ("epsilon", epsilon)] {
        registry::positive(name, size)?;
    }
    ensure!(delta > 0. && delta < 1., "`delta` is {delta}; it must be between 0 and 1");
    Ok(Box::new(options))
}

const COLUMNS: &[Column] = &[
    column(
        "smoothgrad-samples",
        "n of SmoothGrad that keeps 1 − δ of maps within ε, a power of two; undefined where more than \
         `samples`",
        Better::Lower,
    ),
    column(
        "smoothgrad-samples-bound",
        "(max |∇f| / ε)² ln(d / δ), C = 1, the largest gradient found: Proposition 1",
        Better::Lower,
    ),
    tightness("smoothgrad-samples-tightness", "smoothgrad-samples / smoothgrad-samples-bound"),
    column("clime-samples", "the same n of C-LIME", Better::Lower),
    column(
        "clime-samples-bound",
        "d ln(d / δ) / min(εσ², εσ³ / |x|, |x|, 1 / σ²)², C = 1, f over the largest |f| found: Theorem 3",
        Better::Lower,
    ),
    tightness("clime-samples-tightness", "clime-samples / clime-samples-bound"),
];

/// Of SmoothGrads of many draws.
struct Drawn {
    /// Maps of 1, 2, 4, … draws, each repeated.
    maps: Vec<Vec<Tensor>>,
    /// The mean of all draws.
    limit: Tensor,
    /// The largest |∇f| and |f| of all.
    most: [Tensor; 2],
}

impl Options {
    /// 1, 2, 4, … up to the most samples.
    fn counts(&self) -> Vec<u64> {
        (0..64).map(|k| 1u64 << k).take_while(|n| *n <= self.samples).collect()
    }

    fn drawn(&self, near: &Local) -> Drawn {
        let counts = self.counts();
        let x = near.images();
        let mut maps: Vec<Vec<Tensor>> = counts.iter().map(|_| vec![]).collect();
        let mut limit = x.zeros_like();
        let [mut steep, mut high] = [0; 2].map(|_| zeros(near.batch));
        let each = *counts.last().expect("1 is among them");
        for repeat in 0..self.repeats {
            let mut sum = x.zeros_like();
            for draw in 0..each {
                let noise = near.normal("bounds-agarwal21", repeat * each + draw) * self.sigma;
                let at = &x + noise;
                let Seen { score, gradient, .. } = near.seen(&at);
                steep = steep.maximum(&length(&gradient));
                high = high.maximum(&score.abs());
                sum += gradient;
                if let Some(place) = counts.iter().position(|n| *n == draw + 1) {
                    maps[place].push(&sum / (draw + 1) as f64);
                }
            }
            limit += sum / (each * self.repeats) as f64;
        }
        Drawn { maps, limit, most: [steep, high] }
    }

    /// The first of the counts at which all but δ of the maps are within ε of the limit, NaN for none.
    fn needed(&self, maps: impl Iterator<Item = (u64, Vec<Tensor>)>, limit: &Tensor) -> Tensor {
        let near = length(limit) * self.epsilon;
        let mut found = near.zeros_like() + f64::NAN;
        for (count, maps) in maps {
            let within = maps.iter().map(|map| length(&(map - limit)).le_tensor(&near));
            let within = within.map(|t| t.to_kind(Kind::Double)).reduce(|sum, one| sum + one);
            let share = within.expect("repeated twice at least") / self.repeats as f64;
            let enough = share.ge(1. - self.delta - 1e-9).logical_and(&found.isnan());
            found = found.masked_fill(&enough, count as f64);
        }
        found
    }

    /// C-LIME of `count` samples, repeated with draws of its own.
    fn fitted(&self, near: &Local, count: u64) -> Vec<Tensor> {
        let options =
            [("samples", Value::Integer(count as i64)), ("sigma", Value::Float(self.sigma))];
        let method = named("clime", &options).expect("checked when it was built");
        let one = |repeat: u64| {
            let draw = noise::key(noise::name_id("bounds-clime"), count, repeat);
            let batch = Batch { keys: near.batch.keys_of(draw), ..near.batch.at(&near.batch.x) };
            method.attribute(near.model, &batch).to_kind(Kind::Double)
        };
        (0..self.repeats).map(one).collect()
    }
}

impl Metric for Options {
    fn needs(&self) -> Needs {
        Needs { explains: true, ..Needs::default() }
    }

    fn columns(&self) -> &[Column] {
        COLUMNS
    }

    fn is_of_map(&self, _column: usize) -> bool {
        false
    }

    fn undefined(&self) -> &'static str {
        "more samples than were tried"
    }

    fn measure(&self, case: &Case) -> Vec<Tensor> {
        let near = Local::of(case);
        let x = near.images();
        let Drawn { maps, limit, most: [steep, high] } = self.drawn(&near);
        let counts = self.counts();
        let drawn = self.needed(counts.iter().copied().zip(maps), &limit);
        // Fewer samples than numbers of an image fit no plane.
        let d = x.flatten(1, -1).size()[1];
        let enough = counts.iter().copied().filter(|n| *n as i64 > d + 1);
        let fitted = self.needed(enough.map(|n| (n, self.fitted(&near, n))), &limit);
        let epsilon = length(&limit) * self.epsilon;
        let log = (d as f64 / self.delta).ln();
        let allowed = (steep / &epsilon).square() * log;
        let (sigma, far) = (self.sigma, length(&x));
        let unit = epsilon / range(case.batch.target.score, &high);
        let least = (&unit * sigma.powi(2)).minimum(&(unit * sigma.powi(3) / &far));
        let least = least.minimum(&far).clamp_max(1. / (sigma * sigma));
        let bound = least.square().reciprocal() * (d as f64 * log);
        let ratios = [&drawn / &allowed, &fitted / &bound];
        let [first, second] = ratios;
        vec![drawn, allowed, first, fitted, bound, second]
    }
}
