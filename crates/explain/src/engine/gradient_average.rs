//! Gradients averaged over points: map = Σᵢ wᵢ cᵢ(x) ⊙ ∇f(pᵢ(x)). Saliency, gradient times input,
//! SmoothGrad, UniGrad and integrated gradients are points, weights and factors; this file is all
//! that differentiates. Memory grows with `Batch::chunk`, not with the number of points.

use crate::{
    Attribution, Batch, Cotangent, Differentiable,
    engine::chunks::{self, Pass},
};
use anyhow::Result;
use models::upload;
use models::{
    Model, Score,
    grad::{Graph, pull},
    jvp::{CurvedPass, LinearisedPass},
};
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
pub(crate) struct Average<P>(pub P);

impl<P: SamplePoints> Average<P> {
    /// Σ w c ⊙ ∇f over the points of a pass, and the logits there; a graph reaches `x` if it wants
    /// one.
    fn passed(&self, model: &dyn Model, pass: &Pass, x: &Tensor) -> (Tensor, Tensor) {
        let graph = if x.requires_grad() { Graph::Keep } else { Graph::Free };
        let (batch, samples) = (pass.repeated(x), pass.samples());
        let Samples { points, factor } = self.0.place(&batch, &samples);
        let points = match graph {
            Graph::Keep => points,
            _ => points.detach().set_requires_grad(true),
        };
        let logits = tch::with_grad(|| model.logits(&points));
        let score = tch::with_grad(|| batch.target.of(&logits).sum(None::<Kind>));
        let g = pull(&score, &points, graph);
        let weighted = self.weighted(&g, &samples, factor.as_ref());
        (pass.summed(&weighted), logits.detach())
    }

    /// w c ⊙ `rows`, row by row of a pass.
    fn weighted(&self, rows: &Tensor, samples: &[u64], factor: Option<&Tensor>) -> Tensor {
        let weights: Vec<f64> = samples.iter().map(|&s| self.0.weight(s)).collect();
        let weights = upload(&weights, rows.device()).to_kind(rows.kind());
        let weighted = rows * weights.view([-1, 1, 1, 1]);
        factor.map_or(weighted.shallow_clone(), |c| weighted * c)
    }

    /// The map; and the logits at the images, where the only point is the image.
    fn map(&self, model: &dyn Model, batch: &Batch) -> (Tensor, Option<Tensor>) {
        let map = batch.x.detach().zeros_like();
        let mut logits = vec![];
        let passed = |pass: &Pass| self.passed(model, pass, &pass.block.x.detach());
        chunks::each(batch, self.0.count(), passed, |pass, (sum, here)| {
            let _ = pass.part(&map).g_add_(&sum.detach());
            // Those at other points would pile up with the samples.
            if self.0.is_image() {
                logits.push(here);
            }
        });
        (map, self.0.is_image().then(|| Tensor::cat(&logits, 0)))
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
        self.0.check(image)
    }

    fn note(&self, image: [i64; 3]) -> Option<String> {
        self.0.note(image)
    }

    fn convergence_delta(&self, model: &dyn Model, batch: &Batch, map: &Tensor) -> Option<Tensor> {
        self.0.convergence_delta(model, batch, map)
    }

    fn differentiable(&self) -> Option<&dyn Differentiable> {
        Some(self)
    }
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
        let Samples { points, factor } = self.0.place(&batch, &samples);
        let trace = LinearisedPass::of(model, &points)?;
        let (map, v) = match v {
            Pulled::Known(v) => (None, v.shallow_clone()),
            Pulled::Chosen(cotangent) => {
                let score = batch.target.of(&trace.logits).sum(None::<Kind>);
                let g = pull(&score, &points, Graph::Retain);
                let constant = factor.as_ref().map(Tensor::detach);
                let map = pass.summed(&self.weighted(&g, &samples, constant.as_ref()));
                let v = cotangent(&map);
                (Some(map), v)
            }
        };
        let rows = v.repeat([pass.taken.len() as i64, 1, 1, 1]);
        let direction = self.weighted(&rows, &samples, factor.as_ref());
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
        let Samples { points, factor } = self.0.place(&batch, &samples);
        let trace = CurvedPass::of(model, &points)?;
        let score = tch::with_grad(|| batch.target.of(&trace.logits));
        let (g, trace) = trace.gradient(&score);
        let constant = factor.as_ref().map(Tensor::detach);
        let map = pass.summed(&self.weighted(&g, &samples, constant.as_ref()));
        let v = cotangent(&map).repeat([pass.taken.len() as i64, 1, 1, 1]);
        let direction = self.weighted(&v, &samples, constant.as_ref());
        let curved = trace.product(&direction);
        let product = |t: &Tensor, u: &Tensor| (t * u).sum(None::<Kind>);
        let by_points = product(&points, &curved);
        let all = match factor {
            Some(c) => by_points + product(&c, &self.weighted(&(v * g), &samples, None)),
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
        let count = self.0.count();
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
        chunks::sum(batch, self.0.count(), back)
    }
}
