//! The input gradient of the score, and gradient times input.

use crate::{Attribution, Cotangent, Differentiable};
use anyhow::Result;
use models::{
    Model, Target,
    grad::{Graph, pull},
    registry,
};
use serde::Deserialize;
use tch::{Kind, Tensor};
use toml::Table;

/// What becomes of the gradient.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Finish {
    /// The map is the gradient.
    Plain,
    /// The map is the gradient times the pixels.
    TimesInput,
}

/// finish(x, ∇f(x)).
#[derive(Debug)]
pub(crate) struct Gradient {
    finish: Finish,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NoOptions {}

impl Gradient {
    pub(crate) fn from_table(finish: Finish, table: Table) -> Result<Self> {
        registry::options::<NoOptions>(table)?;
        Ok(Gradient { finish })
    }

    fn finish(&self, x: &Tensor, g: &Tensor) -> Tensor {
        match self.finish {
            Finish::Plain => g.shallow_clone(),
            Finish::TimesInput => x * g,
        }
    }
}

/// ∇f at the leaf `x` and the logits there.
fn gradient(model: &dyn Model, x: &Tensor, target: &Target, graph: Graph) -> (Tensor, Tensor) {
    tch::with_grad(|| {
        let logits = model.logits(x);
        (pull(&target.of(&logits).sum(None::<Kind>), x, graph), logits)
    })
}

fn leaf(x: &Tensor) -> Tensor {
    x.detach().set_requires_grad(true)
}

impl Attribution for Gradient {
    fn attribute(&self, model: &dyn Model, x: &Tensor, target: &Target) -> Tensor {
        self.with_logits(model, x, target).0
    }

    fn with_logits(&self, model: &dyn Model, x: &Tensor, target: &Target) -> (Tensor, Tensor) {
        let (g, logits) = gradient(model, &leaf(x), target, Graph::Free);
        (self.finish(&x.detach(), &g), logits.detach())
    }

    fn differentiable(&self) -> Option<&dyn Differentiable> {
        Some(self)
    }
}

impl Differentiable for Gradient {
    fn pullback(
        &self,
        model: &dyn Model,
        x: &Tensor,
        target: &Target,
        cotangent: &Cotangent,
    ) -> (Tensor, Tensor) {
        let x = leaf(x);
        let (g, _) = gradient(model, &x, target, Graph::Keep);
        let map = tch::with_grad(|| self.finish(&x, &g));
        let v = cotangent(&map.detach());
        let flow = tch::with_grad(|| (&map * v).sum(None::<Kind>));
        (map.detach(), pull(&flow, &x, Graph::Free))
    }
}
