//! What tests of several ranks share: runs in f64, where what differs is no rounding, and how far two
//! of them are apart.

use crate::tiny;
use models::noise;
use std::path::Path;
use tch::{Kind, Tensor};
use tensorfile::TensorFile;
use train::{
    Config, Job,
    objective::{Adversary, ValueAndGrad},
};

/// Climbs one step along the signs, from a place near by: some of what is climbed is flat at the image
/// itself, and its signs there are those of rounding.
struct Signed;

impl Adversary for Signed {
    fn perturb(&self, climb: &ValueAndGrad, x: &Tensor, keys: &[u64], scale: f64) -> Tensor {
        let start = x + noise::sign(keys, &x.size()[1..], x.device()) * 0.02;
        &start + climb(&start).1.sign() * (0.02 * scale)
    }
}

/// A run of `config` in f64.
pub(crate) fn job(config: &Config, images: i64, out: &Path) -> Job {
    let attacked = config.objective.contains_key("attack");
    let adversary = attacked.then(|| Box::new(Signed) as Box<dyn Adversary>);
    let mut job = tiny::job(config, 3, [images, 12], out);
    for set in [Some(&mut job.train), job.test.as_mut()].into_iter().flatten() {
        set.images = (set.images.held().to_kind(Kind::Double) / 255.).into();
    }
    Job { adversary, model: job.model.in_f64(), ..job }
}

/// Every tensor of the two states, in the larger of both sizes, to `within`.
pub(crate) fn assert_near(a: &Path, b: &Path, within: f64, what: &str) {
    let read = |folder: &Path| TensorFile::read(&folder.join("resume.safetensors")).unwrap();
    let (a, b) = (read(a), read(b));
    assert!(a.tensors.keys().eq(b.tensors.keys()), "{what}");
    for (name, t) in &a.tensors {
        let other = &b.tensors[name];
        // Attention masks hold −∞ on both sides.
        let masks = t.isneginf().logical_and(&other.isneginf());
        let apart = (t - other).masked_fill(&masks, 0.).abs().max().double_value(&[]);
        let size = t.abs().max().double_value(&[]).max(1.);
        assert!(apart <= within * size, "{what}: `{name}` is {apart:e} off");
    }
}
