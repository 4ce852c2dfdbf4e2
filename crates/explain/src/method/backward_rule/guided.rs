//! Guided back-propagation (Springenberg et al. 2015) and the deconvolution rule (Zeiler & Fergus
//! 2014). Smooth activations have no mask: guided multiplies by their slope, deconvolution does not.

use crate::{Attribution, Batch, engine::chunks, method::backward_rule};
use anyhow::Result;
use models::{Activation, Model};
use registry::{Described, Entry, NoOptions};
use tch::Tensor;
use toml::Table;

/// In the list of methods.
pub(crate) const DECONVNET: Entry<dyn Attribution> = Entry {
    name: "deconvnet",
    about: "deconvolution rule: at a nonlinearity the gradient is cut at 0 and not masked (Zeiler \
            & Fergus 2014)",
    options: Described::NONE.alias(&["Deconvolution"]),
    build: build_deconvnet,
};

/// In the list of methods.
pub(crate) const GUIDED: Entry<dyn Attribution> = Entry {
    name: "guided",
    about: "guided back-propagation: the gradient is cut at 0 before each nonlinearity's slope \
            (Springenberg et al. 2015)",
    options: Described::NONE.alias(&["GuidedBackprop"]),
    build: build_guided,
};

/// What a nonlinearity z ↦ a(z) passes back of the gradient g after it.
#[derive(Debug)]
enum Rectified {
    /// max(g, 0) a′(z): of ReLU, what is positive on both ways.
    Guided,
    /// max(g, 0): the pass back is rectified in place of the pass forward.
    Deconvolution,
}

fn build_guided(table: Table) -> Result<Box<dyn Attribution>> {
    registry::options::<NoOptions>(table)?;
    Ok(Box::new(Rectified::Guided))
}

fn build_deconvnet(table: Table) -> Result<Box<dyn Attribution>> {
    registry::options::<NoOptions>(table)?;
    Ok(Box::new(Rectified::Deconvolution))
}

impl Attribution for Rectified {
    fn attribute(&self, model: &dyn Model, batch: &Batch) -> Tensor {
        self.with_logits(model, batch).0
    }

    fn with_logits(&self, model: &dyn Model, batch: &Batch) -> (Tensor, Tensor) {
        let rule = |activation: &Activation, g: &Tensor, z: &Tensor| match self {
            Rectified::Guided => activation.apply(z) * g.relu(),
            Rectified::Deconvolution => z * g.relu(),
        };
        let [map, logits] =
            chunks::map(batch, |pass| backward_rule::backward(model, &pass.block, rule).into());
        (map, logits)
    }
}
