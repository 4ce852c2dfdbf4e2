//! Integrated gradients (Sundararajan et al. 2017): (x − b) ⊙ mean of ∇f over the way from the
//! baseline b to x; with many baselines expected gradients (Erion et al. 2021).

use crate::{
    Attribution, Batch,
    engine::{
        estimate::{Count, Draws, TENTH, TOLERANCE},
        gradient_average::{Average, SamplePoints, Samples},
    },
    sampling::{
        baseline::Baseline,
        quadrature::{MOST_NODES, Rule},
        reference_images::References,
    },
};
use anyhow::{Context, Result, ensure};
use models::upload;
use models::{Model, noise};
use registry::{Entry, described};
use serde::{Deserialize, Serialize};
use std::path::Path;
use tch::Tensor;
use toml::{Table, Value};

/// In the list of methods.
pub(crate) const EXPECTED_GRADIENTS: Entry<dyn Attribution> = Entry {
    name: "expected-gradients",
    about: "integrated gradients over many baselines, one place on the way from each (Erion et \
            al. 2021)",
    options: described::<Expected>(&[
        ("samples", "baselines, 1 or more, or auto: as many as the tolerance takes"),
        TOLERANCE,
        (
            "baseline",
            "a value in [0, 1]; blur; uniform: U[0, 1] noise; or a .safetensors file of \
             `images`, which are drawn",
        ),
        ("blur", "σ of the blurred baseline, in pixels"),
    ])
    .alias(&["GradientShap"])
    .option_aliases(&[("n_samples", "samples")]),
    build: build_expected,
};

/// In the list of methods.
pub(crate) const IG: Entry<dyn Attribution> = Entry {
    name: "ig",
    about: "integrated gradients, (x − b) ⊙ mean ∇f on the way from b to x (Sundararajan et al. \
            2017)",
    options: described::<Integrated>(&[
        ("points", "points of the path, 1 or more"),
        ("rule", "quadrature: left, midpoint, right, trapezoid or gauss-legendre"),
        (
            "baseline",
            "a value in [0, 1]; blur; uniform: U[0, 1] noise; or a .safetensors file of `images`",
        ),
        ("baselines", "baselines averaged: uniform ones, or images of the file from the first on"),
        ("blur", "σ of the blurred baseline, in pixels"),
    ])
    .alias(&["IntegratedGradients"])
    .option_aliases(&[("n_steps", "points")]),
    build: build_ig,
};

/// What ways begin at.
#[derive(Debug)]
enum Start {
    Made(Baseline),
    Images(References),
}

impl Start {
    /// `baseline`: what [`Baseline::parse`] takes, or a file of images.
    fn parse(value: &Value, blur: f64) -> Result<Self> {
        match value.as_str().filter(|text| text.ends_with(".safetensors")) {
            Some(path) => {
                Ok(Start::Images(References::read(Path::new(path)).context("`baseline`")?))
            }
            None => Ok(Start::Made(Baseline::parse(value, blur)?)),
        }
    }

    /// Whether one baseline differs from another.
    fn differs(&self) -> bool {
        matches!(self, Start::Images(_) | Start::Made(Baseline::Uniform))
    }
}

/// The way from one or more baselines.
#[derive(Debug)]
struct StraightPath {
    start: Start,
    baselines: u64,
    /// Places and weights on the way from each baseline; none: one place a baseline, drawn.
    nodes: Option<Vec<(f64, f64)>>,
}

impl StraightPath {
    fn points(&self) -> u64 {
        self.nodes.as_ref().map_or(1, |nodes| nodes.len() as u64)
    }

    /// The baseline of number `which[n]` of image `n`; many on the way to one place are drawn.
    fn baseline(&self, batch: &Batch, which: &[u64]) -> Tensor {
        match (&self.start, &self.nodes) {
            (Start::Made(baseline), _) => baseline.image(batch, which),
            (Start::Images(images), Some(_)) => images.in_turn(batch, which),
            (Start::Images(images), None) => images.drawn(batch, which),
        }
    }

    /// Places in [0, 1] on the way, `[N, 1, 1, 1]`.
    fn places(&self, batch: &Batch, samples: &[u64]) -> Tensor {
        let (points, id) = (self.points(), noise::name_id("place"));
        let place = |(&key, &sample): (&u64, &u64)| match &self.nodes {
            Some(nodes) => nodes[(sample % points) as usize].0,
            // 53 bits of a hash of the image and the sample.
            None => (noise::key(key, id, sample) >> 11) as f64 / (1u64 << 53) as f64,
        };
        let places: Vec<f64> = batch.keys.iter().zip(samples).map(place).collect();
        let x = &batch.x;
        upload(&places, x.device()).to_kind(x.kind()).view([-1, 1, 1, 1])
    }
}

impl SamplePoints for StraightPath {
    fn count(&self) -> u64 {
        self.points() * self.baselines
    }

    fn weight(&self, sample: u64) -> f64 {
        let points = self.points();
        let own = self.nodes.as_ref().map_or(1., |nodes| nodes[(sample % points) as usize].1);
        own / self.baselines as f64
    }

    fn place(&self, batch: &Batch, samples: &[u64]) -> Samples {
        let points = self.points();
        let which: Vec<u64> = samples.iter().map(|sample| sample / points).collect();
        let baseline = self.baseline(batch, &which);
        let way = &batch.x - &baseline;
        Samples { points: baseline + &way * self.places(batch, samples), factor: Some(way) }
    }

    fn check(&self, image: [i64; 3]) -> Result<()> {
        match &self.start {
            Start::Images(images) => images.check(image),
            Start::Made(_) => Ok(()),
        }
    }

    fn convergence_delta(&self, model: &dyn Model, batch: &Batch, map: &Tensor) -> Option<Tensor> {
        let score = |x: &Tensor| batch.at(x).scores(model);
        let n = batch.keys.len();
        let from = |i: u64| score(&self.baseline(batch, &vec![i; n]));
        let count = if self.start.differs() { self.baselines } else { 1 };
        let mean = (0..count).map(from).sum::<Tensor>() / count as f64;
        let sum = map.sum_dim_intlist([1i64, 2, 3].as_slice(), false, map.kind());
        Some(score(&batch.x) - mean - sum)
    }
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
struct Integrated {
    points: u64,
    rule: Rule,
    baseline: Value,
    baselines: u64,
    blur: f64,
}

impl Default for Integrated {
    fn default() -> Self {
        let (points, rule) = (50, Rule::Right);
        Integrated { points, rule, baseline: Value::Integer(0), baselines: 1, blur: 3. }
    }
}

/// Integrated gradients.
fn build_ig(table: Table) -> Result<Box<dyn Attribution>> {
    let Integrated { points, rule, baseline, baselines, blur } = registry::options(table)?;
    let least = if rule == Rule::Trapezoid { 2 } else { 1 };
    ensure!(points >= least, "`points` is {points}; this rule needs {least} or more");
    ensure!(
        points <= MOST_NODES || rule != Rule::GaussLegendre,
        "`points` is {points}; `rule=gauss-legendre` takes {MOST_NODES} at most"
    );
    ensure!(baselines > 0, "`baselines` is 0; it must be positive");
    let start = Start::parse(&baseline, blur)?;
    ensure!(
        baselines == 1 || start.differs(),
        "`baselines` is {baselines}, and only `baseline = \"uniform\"` or a file has more than one"
    );
    if let Start::Images(images) = &start {
        let count = images.count();
        ensure!(baselines <= count, "`baselines` is {baselines}; the file has {count} images");
    }
    let nodes = Some(rule.nodes(points));
    Ok(Box::new(Average::over(StraightPath { start, baselines, nodes })))
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
struct Expected {
    samples: Count,
    #[serde(deserialize_with = "registry::fraction")]
    tolerance: f64,
    baseline: Value,
    blur: f64,
}

impl Default for Expected {
    fn default() -> Self {
        Expected {
            samples: Count::Fixed(100),
            tolerance: TENTH,
            baseline: Value::String("uniform".into()),
            blur: 3.,
        }
    }
}

/// Expected gradients: one place, drawn uniformly, on the way from each of many baselines.
fn build_expected(table: Table) -> Result<Box<dyn Attribution>> {
    let Expected { samples, tolerance, baseline, blur } = registry::options(table)?;
    ensure!(samples != Count::Fixed(0), "`samples` is 0; it must be positive");
    let draws = Draws::new(samples, tolerance, false)?;
    let start = Start::parse(&baseline, blur)?;
    let path = StraightPath { start, baselines: samples.most(), nodes: None };
    Ok(Box::new(Average::drawn(path, draws)))
}
