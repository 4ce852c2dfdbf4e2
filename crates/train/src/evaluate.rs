//! Accuracy of a classifier.

use crate::objective::Adversary;
use anyhow::Result;
use data::Dataset;
use models::{
    Classifier, Model,
    finite::{finite, logits_of},
    grad, noise,
};
use tch::{Kind, Tensor};

/// Fraction of correct predictions, and each image's.
pub struct Accuracy {
    /// In [0, 1].
    pub fraction: f64,
    /// Whether each image is predicted right, bool `[N]`, in the order of the set.
    pub correct: Tensor,
}

impl Accuracy {
    /// Of a set whose images are predicted right or not, bool `[N]`.
    pub fn of(correct: Tensor) -> Self {
        let fraction = correct.to_kind(Kind::Double).mean(Kind::Double).double_value(&[]);
        Accuracy { fraction, correct }
    }

    /// The mean over the classes that occur of the fraction of their images, in [0, 1]; `labels` are
    /// those of the set, i64 `[N]`.
    pub fn balanced(&self, labels: &Tensor) -> f64 {
        let counts = labels.bincount(None::<&Tensor>, 0).to_kind(Kind::Double);
        let right = labels.bincount(Some(&self.correct.to_kind(Kind::Double)), 0);
        let occurs = counts.gt(0.);
        (right / counts).masked_select(&occurs).mean(Kind::Double).double_value(&[])
    }
}

/// Predicts every image once. `tick` is called with the images of each finished batch. Errors: a file
/// that is no image, a logit that is not finite.
pub fn accuracy(
    model: &Classifier,
    data: &Dataset,
    batch_size: usize,
    mut tick: impl FnMut(u64),
) -> Result<Accuracy> {
    let (mut correct, mut first) = (vec![], 0);
    for batch in data.ordered(fitting(model, batch_size, 4 << 30)) {
        let (x, y) = batch?;
        let told = |row: u64| logits_of(data.place(first + row), &data.name);
        correct.push(right(model, (&x, &y), told)?);
        first += y.numel() as u64;
        tick(y.numel() as u64);
    }
    Ok(Accuracy::of(Tensor::cat(&correct, 0)))
}

/// At most `images` in a batch, fewer where what passes over them make does not fit into `bytes`.
fn fitting(model: &Classifier, images: usize, bytes: usize) -> usize {
    images.min(bytes / model.footprint().bytes).max(1)
}

/// Which images are predicted right, bool `[N]`. Errors: a logit that is not finite, which `told` names.
pub fn right(
    model: &Classifier,
    (x, y): (&Tensor, &Tensor),
    told: impl FnOnce(u64) -> String,
) -> Result<Tensor> {
    let logits = tch::no_grad(|| model.logits(x));
    finite(&logits, told)?;
    Ok(logits.argmax(1, false).eq_tensor(y))
}

/// Which images are still predicted right after `adversary` climbed their cross-entropy, bool `[N]`;
/// `first` is the number of the first of them, from which its random draws follow.
pub(crate) fn robust(
    model: &Classifier,
    data: &Dataset,
    adversary: &dyn Adversary,
    seed: u64,
    mut first: u64,
) -> Result<Tensor> {
    let mut correct = vec![];
    for batch in data.ordered(fitting(model, 250, 2 << 30)) {
        let (x, y) = batch?;
        let n = y.size()[0] as u64;
        let keys: Vec<u64> = (first..first + n).map(|image| noise::key(seed, image, 0)).collect();
        let loss = |x: &Tensor| grad::cross_entropy(&model.logits(x), &y);
        let x = adversary.perturb(&|x| grad::value_and_grad(x, loss), &x, &keys, 1.);
        let told = |row| format!("after the attack {}", logits_of(first + row, &data.name));
        correct.push(right(model, (&x, &y), told)?);
        first += n;
    }
    Ok(Tensor::cat(&correct, 0))
}
