//! The best iterate of each image: the one tracker of all attacks.

use models::upload;
use tch::{Kind, Tensor};

/// Images `[N, C, H, W]` and how good each is, `[N]`. No tensor has a graph.
#[derive(Debug)]
pub struct Best {
    /// The images.
    pub images: Tensor,
    /// What decides; smaller is better. NaN is never better than anything.
    pub measure: Tensor,
    /// What decides between equal measures; smaller is better.
    pub loss: Tensor,
    /// Whether the attack has reached what it is for, bool.
    pub success: Tensor,
}

impl Best {
    /// Where nothing but a value, to be large, decides.
    pub fn by_value(images: &Tensor, value: &Tensor) -> Self {
        Best {
            images: images.detach(),
            measure: value.zeros_like(),
            loss: value.neg(),
            success: value.zeros_like().to_kind(Kind::Bool),
        }
    }

    /// Takes each image of `new` with a smaller measure, or an equal one and a smaller loss.
    pub fn keep(&mut self, new: &Best) {
        let equal = new.measure.eq_tensor(&self.measure);
        let nearer = equal.logical_and(&new.loss.less_tensor(&self.loss));
        let better = new.measure.less_tensor(&self.measure).logical_or(&nearer);
        self.images = new.images.where_self(&better.view([-1, 1, 1, 1]), &self.images);
        self.measure = new.measure.where_self(&better, &self.measure);
        self.loss = new.loss.where_self(&better, &self.loss);
        self.success = new.success.where_self(&better, &self.success);
    }

    /// The images with these numbers.
    pub(crate) fn pick(&self, index: &[i64]) -> Self {
        let at = upload(index, self.images.device());
        let rows = |t: &Tensor| t.index_select(0, &at);
        Best {
            images: rows(&self.images),
            measure: rows(&self.measure),
            loss: rows(&self.loss),
            success: rows(&self.success),
        }
    }

    /// Puts `part` back where [`Best::pick`] took it.
    pub(crate) fn put(&mut self, index: &[i64], part: &Best) {
        let at = upload(index, self.images.device());
        self.images = self.images.index_copy(0, &at, &part.images);
        self.measure = self.measure.index_copy(0, &at, &part.measure);
        self.loss = self.loss.index_copy(0, &at, &part.loss);
        self.success = self.success.index_copy(0, &at, &part.success);
    }
}
