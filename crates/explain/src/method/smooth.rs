//! A method averaged over neighbours of the image (kernel smoothing, Tan & Tian 2023, Theorem 4.3):
//! map = mean of the inner maps at x + e. SmoothGrad is `smooth` of `saliency`. What the inner
//! method draws differs from neighbour to neighbour. The theorem is about all neighbours, not samples.

use crate::{
    Attribution, Batch, Cotangent, Differentiable,
    engine::{
        chunks::{self, Pass},
        estimate::{self, Count, Draws, Estimate, Growing, TENTH, TOLERANCE},
    },
    method,
    sampling::{neighbours::Noise, smoothing_kernel::Kernel},
};
use anyhow::{Context, Result, bail, ensure};
use models::{
    Model,
    grad::{Graph, pull},
    noise,
};
use registry::{Entry, described};
use serde::{Deserialize, Serialize};
use std::ops::Range;
use tch::{Kind, Tensor};
use toml::{Table, Value};

/// In the list of methods.
pub(crate) const ENTRY: Entry<dyn Attribution> = Entry {
    name: "smooth",
    about: "any method averaged over neighbours of the image (kernel smoothing, Tan & Tian 2023)",
    options: described::<Options>(&[
        ("inner", "a method, in quotes if it has options of its own"),
        (
            "kernel",
            "gaussian, uniform, laplace, or [[offset, density], …]: a density of your own, linear \
             between the pairs, such as [[-1, 0], [0, 1], [1, 0]]",
        ),
        ("size", "σ, radius, scale, or what 1 means in the pairs, in [0, 1] pixels"),
        ("relative", "true: size in units of each image's max − min"),
        ("samples", "neighbours, or auto: as many as the tolerance takes"),
        TOLERANCE,
        (
            "pairs",
            "true: every second neighbour is the one before on the other side, for gaussian, uniform and laplace; \
         default: true for these, else false",
        ),
    ])
    .alias(&["NoiseTunnel"])
    .option_aliases(&[("nt_samples", "samples")])
    .nested("inner", method::own_names),
    build,
};

/// The inner method and its neighbours.
struct Smooth {
    inner: Box<dyn Attribution>,
    noise: Noise,
    draws: Draws,
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
struct Options {
    inner: Value,
    kernel: Kernel,
    #[serde(deserialize_with = "registry::fraction")]
    size: f64,
    relative: bool,
    samples: Count,
    #[serde(deserialize_with = "registry::fraction")]
    tolerance: f64,
    pairs: Option<bool>,
}

impl Default for Options {
    fn default() -> Self {
        let inner = Value::String("saliency".into());
        Options {
            inner,
            kernel: Kernel::Gaussian,
            size: 0.03,
            relative: false,
            samples: Count::Fixed(30),
            tolerance: TENTH,
            pairs: None,
        }
    }
}

/// `inner` is a method as users type it, or a table.
fn build(table: Table) -> Result<Box<dyn Attribution>> {
    let Options { inner, kernel, size, relative, samples, tolerance, pairs } =
        registry::options(table)?;
    let inner = match inner {
        Value::String(text) => registry::parse(&text).context("`inner`")?,
        Value::Table(table) => table,
        other => bail!("`inner` is {other}, not a method such as `ig` or \"ig:points=10\""),
    };
    let inner = method(inner).context("`inner`")?;
    let symmetric = !matches!(kernel, Kernel::Table(_));
    let pairs = pairs.unwrap_or(symmetric);
    ensure!(
        symmetric || !pairs,
        "`pairs` is for kernels that are the same on both sides, no table"
    );
    let draws = Draws::new(samples, tolerance, pairs)?;
    let noise = Noise { kernel, size, relative, samples: samples.most(), pairs }.checked("size")?;
    Ok(Box::new(Smooth { inner, noise, draws }))
}

impl Smooth {
    /// The neighbours of a pass's images `x`, each with seeds of its own, with a graph to `x`.
    fn neighbours(&self, pass: &Pass, x: &Tensor) -> Batch {
        let (batch, samples) = (pass.repeated(x), pass.samples());
        let (points, id) = (self.noise.around(&batch, &samples), noise::name_id("smooth"));
        let seeds = batch.keys.iter().zip(&samples).map(|(&key, &s)| noise::key(key, id, s));
        Batch { keys: seeds.collect(), ..batch.at(&points) }
    }

    /// Sums over `draws`, and of squares.
    fn totals(&self, model: &dyn Model, batch: &Batch, draws: Range<u64>) -> [Tensor; 2] {
        estimate::totals(batch, draws, self.draws.together, |pass| {
            let near = tch::no_grad(|| self.neighbours(pass, &pass.block.x));
            self.inner.attribute(model, &near)
        })
    }

    fn estimated(&self, model: &dyn Model, batch: &Batch) -> Estimate {
        let Draws { tolerance, together } = self.draws;
        if let Some(tolerance) = tolerance {
            return estimate::grow(batch, tolerance, &Endless { of: self, model });
        }
        let samples = self.noise.samples;
        let totals = self.totals(model, batch, 0..samples);
        let [map, error] = estimate::mean(&totals, 1. / samples as f64, (samples, together));
        Estimate { map, error, samples: vec![samples; batch.keys.len()] }
    }
}

/// Neighbours without an end.
struct Endless<'a> {
    of: &'a Smooth,
    model: &'a dyn Model,
}

impl Growing for Endless<'_> {
    fn more(
        &self,
        batch: &Batch,
        _rows: &[i64],
        state: Vec<Tensor>,
        draws: Range<u64>,
    ) -> Vec<Tensor> {
        estimate::added(state, self.of.totals(self.model, batch, draws))
    }

    fn found(&self, _batch: &Batch, _rows: &[i64], state: &[Tensor], draws: u64) -> [Tensor; 2] {
        estimate::mean(state, 1. / draws as f64, (draws, self.of.draws.together))
    }
}

impl Attribution for Smooth {
    fn attribute(&self, model: &dyn Model, batch: &Batch) -> Tensor {
        self.estimated(model, batch).map
    }

    fn estimate(&self, model: &dyn Model, batch: &Batch) -> Option<Estimate> {
        Some(self.estimated(model, batch))
    }

    fn check(&self, model: &dyn Model, image: [i64; 3]) -> Result<()> {
        self.inner.check(model, image).context("`inner`")
    }

    fn ignores_image(&self) -> bool {
        self.inner.ignores_image()
    }

    /// γ, for kernels that are the same for every image.
    fn note(&self, image: [i64; 3]) -> Option<String> {
        self.noise.note(image, "inner map")
    }

    fn vanishes(&self) -> Option<String> {
        self.inner.vanishes()
    }

    fn differentiable(&self) -> Option<&dyn Differentiable> {
        let inner = self.inner.differentiable().filter(|_| self.draws.tolerance.is_none());
        inner.map(|_| self as &dyn Differentiable)
    }
}

impl Differentiable for Smooth {
    fn pullback(
        &self,
        model: &dyn Model,
        batch: &Batch,
        cotangent: &Cotangent,
    ) -> (Tensor, Tensor) {
        let map = self.attribute(model, batch);
        let back = self.vjp(model, batch, &cotangent(&map));
        (map, back)
    }

    fn vjp(&self, model: &dyn Model, batch: &Batch, v: &Tensor) -> Tensor {
        let inner = self.inner.differentiable().expect("offered only where the inner method is");
        let v = v / self.noise.samples as f64;
        chunks::sum(batch, self.noise.samples, |pass| {
            let x = pass.block.x.detach().set_requires_grad(true);
            let near = tch::with_grad(|| self.neighbours(pass, &x));
            let v = pass.part(&v).repeat([pass.taken.len() as i64, 1, 1, 1]);
            let u = inner.vjp(model, &near.at(&near.x.detach()), &v);
            let flow = tch::with_grad(|| (&near.x * u).sum(None::<Kind>));
            pull(&flow, &x, Graph::Free)
        })
    }
}
