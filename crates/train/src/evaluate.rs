//! Accuracy of a classifier.

use data::Dataset;
use models::{Classifier, Model};
use tch::{Kind, Tensor};

/// Fraction of correct predictions, and each image's.
pub struct Accuracy {
    /// In [0, 1].
    pub fraction: f64,
    /// Whether each image is predicted right, bool `[N]`, in the order of the set.
    pub correct: Tensor,
}

/// Predicts every image once. `tick` is called with the images of each finished batch.
pub fn accuracy(
    model: &Classifier,
    data: &Dataset,
    batch_size: usize,
    mut tick: impl FnMut(u64),
) -> Accuracy {
    let mut correct = vec![];
    for (x, y) in data.ordered(batch_size) {
        correct.push(tch::no_grad(|| model.logits(&x)).argmax(1, false).eq_tensor(&y));
        tick(y.numel() as u64);
    }
    let correct = Tensor::cat(&correct, 0);
    let fraction = correct.to_kind(Kind::Double).mean(Kind::Double).double_value(&[]);
    Accuracy { fraction, correct }
}
