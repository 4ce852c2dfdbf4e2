//! What methods and metrics share: passes over images and samples, made smaller when memory is
//! exhausted, averages of gradients, and linear surrogates.

pub(crate) mod chunks;
pub mod estimate;
pub(crate) mod gradient_average;
pub mod limit;
pub(crate) mod limited;
pub(crate) mod normal_equations;
pub mod oom;
pub mod surrogate;

use crate::Batch;
use models::{Model, Target};
use tch::{Kind, Tensor};

/// The logits of images `x`, `[N, K]` with no graph, in one pass or as many as memory asks for; `limit`
/// remembers how many images there was memory for.
pub fn logits(model: &dyn Model, x: &Tensor, limit: &limit::ChunkLimit) -> Tensor {
    let class = Tensor::zeros([x.size()[0]], (Kind::Int64, x.device()));
    let target = Target { class, score: Default::default() };
    let batch = Batch { chunk: x.size()[0], limit: limit.clone(), ..Batch::new(x, &target) };
    let [logits] = chunks::map(&batch, |pass| [tch::no_grad(|| model.logits(&pass.block.x))]);
    logits
}
