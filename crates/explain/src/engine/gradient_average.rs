//! Gradients averaged over points: map = Σᵢ wᵢ cᵢ(x) ⊙ ∇f(pᵢ(x)). Saliency, gradient times input,
//! SmoothGrad, UniGrad and integrated gradients are points, weights and factors; this file is all
//! that differentiates. Memory grows with `Batch::chunk`, not with the number of points.

use crate::{Attribution, Batch, Cotangent, Differentiable};
use anyhow::Result;
use models::{
    Model,
    grad::{Graph, pull},
    jvp::LinearisedPass,
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
pub(crate) trait SamplePoints {
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

/// One pass: some samples of some images of a batch, sample after sample.
pub(crate) struct Pass {
    /// The images, once.
    pub block: Batch,
    /// Number of the first image in the whole batch.
    pub first: i64,
    /// The samples taken of each.
    pub taken: Vec<u64>,
}

impl Pass {
    /// The passes over `count` samples of each image of `batch`.
    pub fn all(batch: &Batch, count: u64) -> Vec<Pass> {
        let n = batch.x.size()[0];
        let block = batch.chunk.clamp(1, n.max(1));
        let together = (batch.chunk / block).max(1) as usize;
        let samples: Vec<u64> = (0..count).collect();
        let mut passes = vec![];
        for first in (0..n).step_by(block as usize) {
            for taken in samples.chunks(together) {
                let block = batch.narrow(first, block.min(n - first));
                passes.push(Pass { block, first, taken: taken.to_vec() });
            }
        }
        passes
    }

    /// The block once for each sample, with images `x` in place of its own.
    pub fn repeated(&self, x: &Tensor) -> Batch {
        let times = self.taken.len();
        let class = self.block.target.class.repeat([times as i64]);
        Batch {
            x: x.repeat([times as i64, 1, 1, 1]),
            target: models::Target { class, score: self.block.target.score },
            keys: self.block.keys.repeat(times),
            chunk: self.block.chunk,
        }
    }

    /// The sample number of every row of [`Pass::repeated`].
    pub fn samples(&self) -> Vec<u64> {
        let n = self.block.keys.len();
        self.taken.iter().flat_map(|&sample| std::iter::repeat_n(sample, n)).collect()
    }

    /// Rows of [`Pass::repeated`] added up image by image: `[N, C, H, W]`.
    pub fn summed(&self, rows: &Tensor) -> Tensor {
        let shape = [&[self.taken.len() as i64], &self.block.x.size()[..]].concat();
        rows.view(&shape[..]).sum_dim_intlist([0i64].as_slice(), false, rows.kind())
    }

    /// This block's part of a tensor of the whole batch.
    pub fn part(&self, whole: &Tensor) -> Tensor {
        whole.narrow(0, self.first, self.block.keys.len() as i64)
    }
}

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
        let weights = Tensor::from_slice(&weights).to_kind(rows.kind()).to_device(rows.device());
        let weighted = rows * weights.view([-1, 1, 1, 1]);
        factor.map_or(weighted.shallow_clone(), |c| weighted * c)
    }

    /// The map; and the logits at the images, where the only point is the image.
    fn map(&self, model: &dyn Model, batch: &Batch, passes: &[Pass]) -> (Tensor, Option<Tensor>) {
        let map = batch.x.detach().zeros_like();
        let mut logits = vec![];
        for pass in passes {
            let (sum, here) = self.passed(model, pass, &pass.block.x.detach());
            let _ = pass.part(&map).g_add_(&sum.detach());
            // Those at other points would pile up with the samples.
            if self.0.is_image() {
                logits.push(here);
            }
        }
        (map, self.0.is_image().then(|| Tensor::cat(&logits, 0)))
    }
}

impl<P: SamplePoints> Attribution for Average<P> {
    fn attribute(&self, model: &dyn Model, batch: &Batch) -> Tensor {
        self.map(model, batch, &Pass::all(batch, self.0.count())).0
    }

    fn with_logits(&self, model: &dyn Model, batch: &Batch) -> (Tensor, Tensor) {
        let (map, logits) = self.map(model, batch, &Pass::all(batch, self.0.count()));
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
            self.traced(model, pass, &x, v).unwrap_or_else(|| {
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

impl<P: SamplePoints> Differentiable for Average<P> {
    fn pullback(
        &self,
        model: &dyn Model,
        batch: &Batch,
        cotangent: &Cotangent,
    ) -> (Tensor, Tensor) {
        let passes = Pass::all(batch, self.0.count());
        if let [pass] = &passes[..] {
            let (map, back) = self.pulled(model, pass, &Pulled::Chosen(cotangent));
            return (map.expect("it was asked for"), back);
        }
        let (map, _) = self.map(model, batch, &passes);
        let v = cotangent(&map);
        let total = map.zeros_like();
        for pass in &passes {
            let (_, back) = self.pulled(model, pass, &Pulled::Known(pass.part(&v)));
            let _ = pass.part(&total).g_add_(&back);
        }
        (map, total)
    }
}
