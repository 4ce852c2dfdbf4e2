//! Gradients averaged over points: map = Σᵢ wᵢ cᵢ(x) ⊙ ∇f(pᵢ(x)). Saliency, gradient times input,
//! SmoothGrad, UniGrad and integrated gradients are points, weights and factors; this file is all
//! that differentiates. Memory grows with `Batch::chunk`, not with the number of points.

use crate::{
    Attribution, Batch, Cotangent, Differentiable,
    engine::{
        chunks::{self, Pass},
        estimate::{self, Draws, Estimate, Growing},
    },
};
use anyhow::Result;
use models::{
    Model, Score,
    grad::{Graph, pull},
    jvp::{CurvedPass, LinearisedPass},
    upload,
};
use std::ops::Range;
use tch::{Kind, Tensor};

/// Where the gradients of a batch are taken, and what multiplies them.
pub(crate) struct Samples {
    /// pᵢ(x), `[N, C, H, W]`, with a graph to x where x wants one.
    pub points: Tensor,
    /// cᵢ(x), like the points; none is 1.
    pub factor: Option<Tensor>,
}

/// The points of one method.
pub(crate) trait SamplePoints: Send + Sync {
    /// How many there are for each image.
    fn count(&self) -> u64;

    /// The weight of each; they sum to one.
    fn weight(&self, _sample: u64) -> f64 {
        1. / self.count() as f64
    }

    /// The point `samples[n]` of image `n` of the batch, for every `n`.
    fn place(&self, batch: &Batch, samples: &[u64]) -> Samples;

    /// Whether the only point is the image itself.
    fn is_image(&self) -> bool {
        false
    }

    /// See [`Attribution::check`].
    fn check(&self, _image: [i64; 3]) -> Result<()> {
        Ok(())
    }

    /// See [`Attribution::note`].
    fn note(&self, _image: [i64; 3]) -> Option<String> {
        None
    }

    /// See [`Attribution::convergence_delta`].
    fn convergence_delta(
        &self,
        _model: &dyn Model,
        _batch: &Batch,
        _map: &Tensor,
    ) -> Option<Tensor> {
        None
    }
}

/// The method that averages over these points.
#[derive(Debug)]
pub(crate) struct Average<P> {
    points: P,
    /// None where the points are no draws.
    draws: Option<Draws>,
}

impl<P: SamplePoints> Average<P> {
    /// Over points that are what they are.
    pub fn over(points: P) -> Self {
        Average { points, draws: None }
    }

    /// Over draws; as many as `draws` takes, or all.
    pub fn drawn(points: P, draws: Draws) -> Self {
        Average { points, draws: Some(draws) }
    }

    /// w c ⊙ ∇f at the points of a pass, row by row, and the logits there; a graph reaches `x` if it
    /// wants one.
    fn rows(
        &self,
        model: &dyn Model,
        pass: &Pass,
        x: &Tensor,
        weights: &[f64],
    ) -> (Tensor, Tensor) {
        let graph = if x.requires_grad() { Graph::Keep } else { Graph::Free };
        let (batch, samples) = (pass.repeated(x), pass.samples());
        let Samples { points, factor } = self.points.place(&batch, &samples);
        let points = match graph {
            Graph::Keep => points,
            _ => points.detach().set_requires_grad(true),
        };
        let logits = tch::with_grad(|| model.logits(&points));
        let score = tch::with_grad(|| batch.target.of(&logits).sum(None::<Kind>));
        let g = pull(&score, &points, graph);
        (weighted(&g, weights, factor.as_ref()), logits.detach())
    }

    /// Σ w c ⊙ ∇f over the points of a pass, and the logits there.
    fn passed(&self, model: &dyn Model, pass: &Pass, x: &Tensor) -> (Tensor, Tensor) {
        let (rows, logits) = self.rows(model, pass, x, &self.weights(&pass.samples()));
        (pass.summed(&rows), logits)
    }

    fn weights(&self, samples: &[u64]) -> Vec<f64> {
        samples.iter().map(|&sample| self.points.weight(sample)).collect()
    }

    /// What the draws come to.
    fn estimated(&self, model: &dyn Model, batch: &Batch, draws: Draws) -> Estimate {
        let together = draws.together;
        if let Some(tolerance) = draws.tolerance {
            return estimate::grow(batch, tolerance, &Endless { of: self, model, together });
        }
        let count = self.points.count();
        let totals = estimate::totals(batch, 0..count, together, |pass| {
            self.rows(model, pass, &pass.block.x.detach(), &self.weights(&pass.samples())).0
        });
        let [map, error] = estimate::mean(&totals, 1., (count, together));
        Estimate { map, error, samples: vec![count; batch.keys.len()] }
    }

    /// The map; and the logits at the images, where the only point is the image.
    fn map(&self, model: &dyn Model, batch: &Batch) -> (Tensor, Option<Tensor>) {
        if let Some(draws) = self.draws {
            return (self.estimated(model, batch, draws).map, None);
        }
        let map = batch.x.detach().zeros_like();
        let mut logits = vec![];
        let passed = |pass: &Pass| self.passed(model, pass, &pass.block.x.detach());
        chunks::each(batch, self.points.count(), passed, |pass, (sum, here)| {
            let _ = pass.part(&map).g_add_(&sum.detach());
            // Those at other points would pile up with the samples.
            if self.points.is_image() {
                logits.push(here);
            }
        });
        (map, self.points.is_image().then(|| Tensor::cat(&logits, 0)))
    }
}

impl<P: SamplePoints> Attribution for Average<P> {
    fn attribute(&self, model: &dyn Model, batch: &Batch) -> Tensor {
        self.map(model, batch).0
    }

    fn with_logits(&self, model: &dyn Model, batch: &Batch) -> (Tensor, Tensor) {
        let (map, logits) = self.map(model, batch);
        (map, logits.unwrap_or_else(|| batch.logits(model)))
    }

    fn check(&self, _model: &dyn Model, image: [i64; 3]) -> Result<()> {
        self.points.check(image)
    }

    fn note(&self, image: [i64; 3]) -> Option<String> {
        self.points.note(image)
    }

    fn convergence_delta(&self, model: &dyn Model, batch: &Batch, map: &Tensor) -> Option<Tensor> {
        self.points.convergence_delta(model, batch, map)
    }

    fn estimate(&self, model: &dyn Model, batch: &Batch) -> Option<Estimate> {
        self.draws.map(|draws| self.estimated(model, batch, draws))
    }

    fn differentiable(&self) -> Option<&dyn Differentiable> {
        let endless = self.draws.is_some_and(|draws| draws.tolerance.is_some());
        (!endless).then_some(self as &dyn Differentiable)
    }
}

/// Draws without an end.
struct Endless<'a, P> {
    of: &'a Average<P>,
    model: &'a dyn Model,
    together: u64,
}

impl<P: SamplePoints> Growing for Endless<'_, P> {
    fn more(
        &self,
        batch: &Batch,
        _rows: &[i64],
        state: Vec<Tensor>,
        draws: Range<u64>,
    ) -> Vec<Tensor> {
        let totals = estimate::totals(batch, draws, self.together, |pass| {
            let weights = vec![1.; pass.samples().len()];
            self.of.rows(self.model, pass, &pass.block.x.detach(), &weights).0
        });
        estimate::added(state, totals)
    }

    fn found(&self, _batch: &Batch, _rows: &[i64], state: &[Tensor], draws: u64) -> [Tensor; 2] {
        estimate::mean(state, 1. / draws as f64, (draws, self.together))
    }
}

/// w c ⊙ `rows`, row by row of a pass.
fn weighted(rows: &Tensor, weights: &[f64], factor: Option<&Tensor>) -> Tensor {
    let weights = upload(weights, rows.device()).to_kind(rows.kind());
    let weighted = rows * weights.view([-1, 1, 1, 1]);
    factor.map_or(weighted.shallow_clone(), |c| weighted * c)
}

/// What is pulled back through one pass.
enum Pulled<'a> {
    /// This, `[N, C, H, W]`.
    Known(Tensor),
    /// What is chosen once the pass's part of the map, here all of it, is known.
    Chosen(&'a Cotangent<'a>),
}

impl<P: SamplePoints> Average<P> {
    /// One pass of a pullback: its part of the map if that was asked for, and of (∂map/∂x)ᵀ v.
    fn pulled(&self, model: &dyn Model, pass: &Pass, v: &Pulled) -> (Option<Tensor>, Tensor) {
        let x = pass.block.x.detach().set_requires_grad(true);
        tch::with_grad(|| {
            let found = match v {
                Pulled::Chosen(cotangent) if model.is_rough() => {
                    self.curved(model, pass, &x, cotangent)
                }
                _ => None,
            };
            found.or_else(|| self.traced(model, pass, &x, v)).unwrap_or_else(|| {
                let (sum, _) = self.passed(model, pass, &x);
                let map = sum.detach();
                let v = match v {
                    Pulled::Known(v) => v.shallow_clone(),
                    Pulled::Chosen(cotangent) => cotangent(&map),
                };
                (Some(map), pull(&(sum * v).sum(None::<Kind>), &x, Graph::Free))
            })
        })
    }

    /// The same from first derivatives, where the network allows: Σᵢ wᵢ (cᵢ ⊙ ∇f(pᵢ))ᵀ v is the
    /// slope of the scores at pᵢ along wᵢ cᵢ ⊙ v.
    fn traced(
        &self,
        model: &dyn Model,
        pass: &Pass,
        x: &Tensor,
        v: &Pulled,
    ) -> Option<(Option<Tensor>, Tensor)> {
        let (batch, samples) = (pass.repeated(x), pass.samples());
        let weights = self.weights(&samples);
        let Samples { points, factor } = self.points.place(&batch, &samples);
        let trace = LinearisedPass::of(model, &points)?;
        let (map, v) = match v {
            Pulled::Known(v) => (None, v.shallow_clone()),
            Pulled::Chosen(cotangent) => {
                let score = batch.target.of(&trace.logits).sum(None::<Kind>);
                let g = pull(&score, &points, Graph::Retain);
                let constant = factor.as_ref().map(Tensor::detach);
                let map = pass.summed(&weighted(&g, &weights, constant.as_ref()));
                let v = cotangent(&map);
                (Some(map), v)
            }
        };
        let rows = v.repeat([pass.taken.len() as i64, 1, 1, 1]);
        let direction = weighted(&rows, &weights, factor.as_ref());
        let slopes = batch.target.along(&trace.logits, &trace.along(&direction));
        Some((map, pull(&slopes.sum(None::<Kind>), x, Graph::Free)))
    }
}

impl<P: SamplePoints> Average<P> {
    /// The same of a score that is a logit, whose derivatives may be rough, in four passes of
    /// convolutions: Σᵢ (∂pᵢ/∂x)ᵀ ∇²f(pᵢ) (wᵢ cᵢ ⊙ v) + (∂cᵢ/∂x)ᵀ (wᵢ v ⊙ ∇f(pᵢ)).
    fn curved(
        &self,
        model: &dyn Model,
        pass: &Pass,
        x: &Tensor,
        cotangent: &Cotangent,
    ) -> Option<(Option<Tensor>, Tensor)> {
        let (batch, samples) = (pass.repeated(x), pass.samples());
        if batch.target.score != Score::Logit {
            return None;
        }
        let weights = self.weights(&samples);
        let Samples { points, factor } = self.points.place(&batch, &samples);
        let trace = CurvedPass::of(model, &points)?;
        let score = tch::with_grad(|| batch.target.of(&trace.logits));
        let (g, trace) = trace.gradient(&score);
        let constant = factor.as_ref().map(Tensor::detach);
        let map = pass.summed(&weighted(&g, &weights, constant.as_ref()));
        let v = cotangent(&map).repeat([pass.taken.len() as i64, 1, 1, 1]);
        let direction = weighted(&v, &weights, constant.as_ref());
        let curved = trace.product(&direction);
        let product = |t: &Tensor, u: &Tensor| (t * u).sum(None::<Kind>);
        let by_points = product(&points, &curved);
        let all = match factor {
            Some(c) => by_points + product(&c, &weighted(&(v * g), &weights, None)),
            None => by_points,
        };
        Some((Some(map), pull(&all, x, Graph::Free)))
    }
}

impl<P: SamplePoints> Differentiable for Average<P> {
    fn pullback(
        &self,
        model: &dyn Model,
        batch: &Batch,
        cotangent: &Cotangent,
    ) -> (Tensor, Tensor) {
        let count = self.points.count();
        let whole = |pass: &Pass| self.pulled(model, pass, &Pulled::Chosen(cotangent));
        if let Some((map, back)) = chunks::at_once(batch, count, whole) {
            return (map.expect("it was asked for"), back);
        }
        let (map, _) = self.map(model, batch);
        let back = self.vjp(model, batch, &cotangent(&map));
        (map, back)
    }

    fn vjp(&self, model: &dyn Model, batch: &Batch, v: &Tensor) -> Tensor {
        let back = |pass: &Pass| self.pulled(model, pass, &Pulled::Known(pass.part(v))).1;
        chunks::sum(batch, self.points.count(), back)
    }
}
