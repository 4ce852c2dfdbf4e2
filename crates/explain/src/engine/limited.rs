//! What memory was found for belongs to a method: one that needs more does not slow down others.

use crate::{
    Attribution, Batch, Cotangent, Differentiable,
    engine::{chunks, estimate::Estimate, limit::ChunkLimit},
};
use anyhow::Result;
use models::Model;
use tch::Tensor;

/// A method with a limit of its own on passes.
pub(crate) struct Limited {
    pub method: Box<dyn Attribution>,
    pub limit: ChunkLimit,
}

impl Attribution for Limited {
    fn attribute(&self, model: &dyn Model, batch: &Batch) -> Tensor {
        self.method.attribute(model, &chunks::under(&self.limit, batch))
    }

    fn with_logits(&self, model: &dyn Model, batch: &Batch) -> (Tensor, Tensor) {
        self.method.with_logits(model, &chunks::under(&self.limit, batch))
    }

    fn estimate(&self, model: &dyn Model, batch: &Batch) -> Option<Estimate> {
        self.method.estimate(model, &chunks::under(&self.limit, batch))
    }

    fn check(&self, model: &dyn Model, image: [i64; 3]) -> Result<()> {
        self.method.check(model, image)
    }

    fn convergence_delta(&self, model: &dyn Model, batch: &Batch, map: &Tensor) -> Option<Tensor> {
        self.method.convergence_delta(model, &chunks::under(&self.limit, batch), map)
    }

    fn note(&self, image: [i64; 3]) -> Option<String> {
        self.method.note(image)
    }

    fn ignores_image(&self) -> bool {
        self.method.ignores_image()
    }

    fn vanishes(&self) -> Option<String> {
        self.method.vanishes()
    }

    fn differentiable(&self) -> Option<&dyn Differentiable> {
        self.method.differentiable().map(|_| self as &dyn Differentiable)
    }
}

impl Differentiable for Limited {
    fn pullback(
        &self,
        model: &dyn Model,
        batch: &Batch,
        cotangent: &Cotangent,
    ) -> (Tensor, Tensor) {
        let method = self.method.differentiable().expect("offered only where the method is");
        method.pullback(model, &chunks::under(&self.limit, batch), cotangent)
    }

    fn vjp(&self, model: &dyn Model, batch: &Batch, v: &Tensor) -> Tensor {
        let method = self.method.differentiable().expect("offered only where the method is");
        method.vjp(model, &chunks::under(&self.limit, batch), v)
    }
}
