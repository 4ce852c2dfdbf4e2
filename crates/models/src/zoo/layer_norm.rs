//! The norm of transformers.

use crate::{Builder, Init, Ops};
use tch::Tensor;

/// Over the last axis.
pub(super) struct LayerNorm {
    weight: Tensor, // [channels]
    bias: Tensor,   // [channels]
    eps: f64,
}

impl LayerNorm {
    pub(super) fn new(b: &Builder, name: &str, channels: i64, eps: f64) -> Self {
        let b = b.sub(name);
        LayerNorm {
            weight: b.weight("weight", &[channels], Init::Const(1.)),
            bias: b.weight("bias", &[channels], Init::Const(0.)),
            eps,
        }
    }

    /// In the type of its own weights (f32).
    pub(super) fn forward(&self, x: &Tensor, ops: &dyn Ops) -> Tensor {
        let x = x.to_kind(self.weight.kind());
        let (weight, bias) = (Some(&self.weight), Some(&self.bias));
        ops.other(x.layer_norm(self.weight.size(), weight, bias, self.eps, true))
    }
}
