//! A linear network and what a metric says of given maps for it.

use explain::{
    Batch,
    metric::{Attacked, Case, Memo, Metric, metric},
};
use models::{Activation, Model, Ops, Score, Target, noise};
use registry::parse;
use tch::{Device, Kind, Tensor};

/// Logits W x: W `[K, D]`, x flattened.
pub(crate) struct Linear(pub Tensor);

impl Model for Linear {
    fn forward(&self, x: &Tensor, _ops: &dyn Ops) -> Tensor {
        x.flatten(1, -1).matmul(&self.0.transpose(0, 1))
    }

    fn activation(&self) -> Option<Activation> {
        Some(Activation::Relu)
    }
}

/// What a case is made of.
pub(crate) struct World {
    pub model: Linear,
    pub batch: Batch,
    pub maps: Tensor,
    pub labels: Tensor,
    pub masks: Tensor,
    pub attacked: (Tensor, Tensor),
}

impl World {
    /// `n` images `[C, H, W]` of `classes` classes, all of it drawn, f64.
    pub fn drawn(n: i64, image: [i64; 3], classes: i64) -> Self {
        let size = [&[n], image.as_slice()].concat();
        let uniform = |seed: u64| draw(seed, &size);
        let numel: i64 = image.iter().product();
        let model = Linear(draw(1, &[classes, numel]) * 4. - 2.);
        let x = uniform(2);
        let target = Target::predicted(&model, &x, Score::Prob);
        let labels = target.class.shallow_clone();
        World {
            batch: Batch::new(&x, &target),
            maps: uniform(3) - 0.4,
            labels,
            masks: uniform(4).select(1, 0).gt(0.6),
            attacked: (uniform(5), uniform(6) - 0.4),
            model,
        }
    }

    /// The images `start..start + n` alone.
    pub fn narrow(&self, start: i64, n: i64) -> Self {
        let part = |t: &Tensor| t.narrow(0, start, n);
        World {
            model: Linear(self.model.0.shallow_clone()),
            batch: self.batch.narrow(start, n),
            maps: part(&self.maps),
            labels: part(&self.labels),
            masks: part(&self.masks),
            attacked: (part(&self.attacked.0), part(&self.attacked.1)),
        }
    }

    /// f of `pixels` for the class of image `i`, in plain loops.
    pub fn score(&self, i: usize, pixels: &[f64], score: Score) -> f64 {
        let weights = numbers(&self.model.0);
        let class = self.batch.target.class.int64_value(&[i as i64]) as usize;
        let product = |w: &[f64]| w.iter().zip(pixels).map(|(w, x)| w * x).sum();
        let logits: Vec<f64> = weights.chunks(pixels.len()).map(product).collect();
        let total: f64 = logits.iter().map(|l| (l - logits[class]).exp()).sum();
        if score == Score::Logit { logits[class] } else { 1. / total }
    }

    /// What `spec` measures: a column of numbers, one an image, for each of its columns.
    pub fn measured(&self, spec: &str) -> Vec<Vec<f64>> {
        let metric = built(spec);
        let method = explain::parse("saliency").unwrap();
        let case = Case {
            model: &self.model,
            method: method.as_ref(),
            batch: &self.batch,
            maps: &self.maps,
            labels: &self.labels,
            masks: Some(&self.masks),
            attacked: Some(Attacked { x: &self.attacked.0, maps: &self.attacked.1 }),
            randomised: &[],
            model_cache: &Memo::default(),
            map_cache: &Memo::default(),
            spreads: &[],
        };
        let columns = metric.measure(&case);
        assert_eq!(columns.len(), metric.columns().len(), "{spec}");
        let images = [self.batch.x.size()[0]];
        for column in &columns {
            assert_eq!((column.kind(), &column.size()[..]), (Kind::Double, &images[..]), "{spec}");
            assert!(!column.requires_grad());
        }
        columns.iter().map(numbers).collect()
    }
}

/// U[0, 1), f64.
pub(crate) fn draw(seed: u64, size: &[i64]) -> Tensor {
    noise::uniform(&[seed], size, Device::Cpu).squeeze_dim(0).to_kind(Kind::Double)
}

pub(crate) fn constant(size: &[i64], value: f64) -> Tensor {
    Tensor::full(size, value, (Kind::Double, Device::Cpu))
}

pub(crate) fn built(spec: &str) -> Box<dyn Metric> {
    metric(parse(spec).unwrap()).unwrap()
}

pub(crate) fn numbers(t: &Tensor) -> Vec<f64> {
    t.to_kind(Kind::Double).contiguous().view(-1).try_into().unwrap()
}

pub(crate) fn assert_close(found: &[f64], expected: &[f64], tolerance: f64, what: &str) {
    assert_eq!(found.len(), expected.len(), "{what}");
    for (i, (f, e)) in found.iter().zip(expected).enumerate() {
        // Equal infinities are close.
        assert!(f == e || (f - e).abs() <= tolerance, "{what}[{i}] is {f}, not {e}");
    }
}
