//! Integrated gradients (Sundararajan et al. 2017): (x − b) ⊙ mean of ∇f over the way from the
//! baseline b to x; with many baselines expected gradients (Erion et al. 2021).

use crate::{
    Attribution, Batch,
    average::{Average, Placed, Points},
    references::References,
};
use anyhow::{Context, Result, bail, ensure};
use models::{Model, noise, registry};
use serde::Deserialize;
use std::{f64::consts::PI, path::Path};
use tch::Tensor;
use toml::{Table, Value};

/// Where the way begins.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Baseline {
    /// An image of one value.
    Constant(f64),
    /// The image itself, blurred by a Gaussian of this σ in pixels; edges are repeated.
    Blurred(f64),
    /// U[0, 1] in every number, other ones for each image.
    Uniform,
}

impl Baseline {
    /// `baseline`: a number, `blur` or `uniform`; `blur` is the σ.
    pub fn parse(value: &Value, blur: f64) -> Result<Self> {
        ensure!(blur.is_finite() && blur > 0., "`blur` is {blur}; it must be positive");
        let number = match value {
            Value::String(word) if word == "blur" => return Ok(Baseline::Blurred(blur)),
            Value::String(word) if word == "uniform" => return Ok(Baseline::Uniform),
            Value::String(text) => match registry::parse_fraction(text) {
                Ok(number) => number,
                Err(_) => bail!("`baseline` is `{text}`, not a number, `blur` or `uniform`"),
            },
            Value::Integer(number) => *number as f64,
            Value::Float(number) => *number,
            other => bail!("`baseline` is {other}, not a number, `blur` or `uniform`"),
        };
        ensure!((0. ..=1.).contains(&number), "`baseline` is {number}; pixels are in [0, 1]");
        Ok(Baseline::Constant(number))
    }

    /// The baseline of number `which[n]` of image `n`, with a graph to the images.
    pub fn image(self, batch: &Batch, which: &[u64]) -> Tensor {
        let x = &batch.x;
        match self {
            Baseline::Constant(value) => x.detach().full_like(value),
            Baseline::Blurred(sigma) => blurred(x, sigma),
            Baseline::Uniform => {
                let pairs = batch.keys.iter().zip(which);
                let id = noise::name_id("baseline");
                let keys: Vec<u64> = pairs.map(|(&key, &i)| noise::key(key, id, i)).collect();
                noise::uniform(&keys, &x.size()[1..], x.device()).to_kind(x.kind())
            }
        }
    }
}

/// Errors: noise in place of an image, where one image is asked for.
pub(crate) fn check_pixel(baseline: Baseline) -> Result<()> {
    let noise = matches!(baseline, Baseline::Uniform);
    ensure!(!noise, "`baseline` is `uniform`, not a number or `blur`");
    Ok(())
}

/// `x` blurred along rows and columns by a Gaussian of σ `sigma` pixels, cut at 3σ.
fn blurred(x: &Tensor, sigma: f64) -> Tensor {
    let (_, c, _, _) = x.size4().expect("images have four dimensions");
    // Edges are repeated from what is there: a side shorter than the kernel has no more to give.
    let reach = ((3. * sigma).ceil() as i64).max(1);
    let at = Tensor::arange_start(-reach, reach + 1, (x.kind(), x.device()));
    let kernel = (at.square() / (-2. * sigma * sigma)).exp();
    let kernel = &kernel / kernel.sum(x.kind());
    let pad = |t: &Tensor, sides: [i64; 4]| t.replication_pad2d(sides);
    let along = |t: &Tensor, shape: [i64; 4]| {
        let k = kernel.view(shape).repeat([c, 1, 1, 1]);
        t.conv2d(&k, None::<&Tensor>, [1, 1], [0, 0], [1, 1], c)
    };
    let rows = along(&pad(x, [reach, reach, 0, 0]), [1, 1, 1, 2 * reach + 1]);
    along(&pad(&rows, [0, 0, reach, reach]), [1, 1, 2 * reach + 1, 1])
}

/// Which points of the way are taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Rule {
    /// i/n for i = 0 … n − 1.
    Left,
    /// (i + ½)/n.
    Midpoint,
    /// i/n for i = 1 … n (Wang et al. 2020).
    Right,
    /// Both ends, at half the weight, and what lies evenly between.
    Trapezoid,
    /// The nodes at which polynomials of degree 2n − 1 are integrated exactly.
    GaussLegendre,
}

/// Nodes of Gauss and Legendre, at most: each takes as many steps as there are.
const MOST_NODES: u64 = 1000;

impl Rule {
    /// Places in [0, 1] and their weights, which sum to one.
    fn nodes(self, n: u64) -> Vec<(f64, f64)> {
        let (count, even) = (n as f64, 1. / n as f64);
        let shifted = |by: f64| (0..n).map(|i| ((i as f64 + by) / count, even)).collect();
        match self {
            Rule::Left => shifted(0.),
            Rule::Midpoint => shifted(0.5),
            Rule::Right => shifted(1.),
            Rule::Trapezoid => {
                let gaps = count - 1.;
                let end = |i: u64| if i == 0 || i == n - 1 { 0.5 } else { 1. };
                (0..n).map(|i| (i as f64 / gaps, end(i) / gaps)).collect()
            }
            Rule::GaussLegendre => (0..n).map(|i| gauss_legendre(n, i)).collect(),
        }
    }
}

/// The `i`-th root of the Legendre polynomial of degree `n` and its weight, moved to [0, 1]:
/// Newton's method from the usual cosine.
fn gauss_legendre(n: u64, i: u64) -> (f64, f64) {
    let count = n as f64;
    let mut t = -(PI * (i as f64 + 0.75) / (count + 0.5)).cos();
    let mut slope = 1.;
    for _ in 0..100 {
        let (mut before, mut value) = (1., t);
        for k in 2..=n {
            let k = k as f64;
            (before, value) = (value, ((2. * k - 1.) * t * value - (k - 1.) * before) / k);
        }
        slope = count * (t * value - before) / (t * t - 1.);
        let step = value / slope;
        t -= step;
        if step.abs() < 1e-15 {
            break;
        }
    }
    ((t + 1.) / 2., 1. / ((1. - t * t) * slope * slope))
}

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
struct Way {
    start: Start,
    baselines: u64,
    /// Places and weights on the way from each baseline; none: one place a baseline, drawn.
    nodes: Option<Vec<(f64, f64)>>,
}

impl Way {
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
        Tensor::from_slice(&places).to_kind(x.kind()).to_device(x.device()).view([-1, 1, 1, 1])
    }
}

impl Points for Way {
    fn count(&self) -> u64 {
        self.points() * self.baselines
    }

    fn weight(&self, sample: u64) -> f64 {
        let points = self.points();
        let own = self.nodes.as_ref().map_or(1., |nodes| nodes[(sample % points) as usize].1);
        own / self.baselines as f64
    }

    fn place(&self, batch: &Batch, samples: &[u64]) -> Placed {
        let points = self.points();
        let which: Vec<u64> = samples.iter().map(|sample| sample / points).collect();
        let baseline = self.baseline(batch, &which);
        let way = &batch.x - &baseline;
        Placed { points: baseline + &way * self.places(batch, samples), factor: Some(way) }
    }

    fn check(&self, image: [i64; 3]) -> Result<()> {
        match &self.start {
            Start::Images(images) => images.check(image),
            Start::Made(_) => Ok(()),
        }
    }

    fn gap(&self, model: &dyn Model, batch: &Batch, map: &Tensor) -> Option<Tensor> {
        let score = |x: &Tensor| batch.at(x).scores(model);
        let n = batch.keys.len();
        let from = |i: u64| score(&self.baseline(batch, &vec![i; n]));
        let count = if self.start.differs() { self.baselines } else { 1 };
        let mean = (0..count).map(from).sum::<Tensor>() / count as f64;
        let sum = map.sum_dim_intlist([1i64, 2, 3].as_slice(), false, map.kind());
        Some(score(&batch.x) - mean - sum)
    }
}

#[derive(Deserialize)]
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
pub(crate) fn build_ig(table: Table) -> Result<Box<dyn Attribution>> {
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
    Ok(Box::new(Average(Way { start, baselines, nodes })))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Expected {
    samples: u64,
    baseline: Value,
    blur: f64,
}

impl Default for Expected {
    fn default() -> Self {
        Expected { samples: 100, baseline: Value::String("uniform".into()), blur: 3. }
    }
}

/// Expected gradients: one place, drawn uniformly, on the way from each of many baselines.
pub(crate) fn build_expected(table: Table) -> Result<Box<dyn Attribution>> {
    let Expected { samples, baseline, blur } = registry::options(table)?;
    ensure!(samples > 0, "`samples` is 0; it must be positive");
    let start = Start::parse(&baseline, blur)?;
    Ok(Box::new(Average(Way { start, baselines: samples, nodes: None })))
}
