//! What methods, metrics and attacks are given on one side.

use super::side::{Side, images, reference};
use anyhow::Result;
use explain::{
    Attribution, Batch, Metric,
    metric::{Attacked, Case, Memo, Randomised, Randomness},
};
use models::{Classifier, Model, zoo};
use tch::{Kind, Tensor};

/// Images of each comparison.
pub const IMAGES: u64 = 4;

/// How far apart, in f64, what draws normal numbers may be: they differ in the last bit of f32 between
/// devices.
const DRAWN: f64 = 1e-5;

/// A small network and images of one side, and what metrics and attacks are given.
pub struct World {
    pub side: Side,
    pub model: Classifier,
    pub batch: Batch,
    method: Box<dyn Attribution>,
    pub maps: Tensor,
    /// Maps of other images, and these.
    pub moved: (Tensor, Tensor),
}

impl World {
    pub fn new(side: Side) -> Result<Self> {
        let arch = zoo::arch("resnet20")?;
        let right = reference(arch)?;
        let x = images(IMAGES, &right.shape);
        let class = tch::no_grad(|| right.logits(&x.to_kind(Kind::Double))).argmax(1, false);
        let (model, batch) = (side.network(&right, arch)?, side.batch(&x, &class));
        let method = explain::parse("smooth:samples=3")?;
        let moved = (&batch.x + 0.03).clamp(0., 1.);
        let maps = method.attribute(&model, &batch);
        let moved = (method.attribute(&model, &batch.at(&moved)), moved);
        Ok(World { side, model, batch, method, maps, moved })
    }

    pub fn measured(&self, metric: &dyn Metric) -> Vec<Tensor> {
        let random = [Randomness::Cascade, Randomness::Alone, Randomness::Labels];
        let randomised = random.map(|how| Randomised { how, model: &self.model });
        let [n, _, h, w] = self.batch.x.size()[..] else { unreachable!("images") };
        let half = Tensor::arange(h * w, (Kind::Int64, self.side.device)).lt(h * w / 3);
        metric.measure(&Case {
            model: &self.model,
            method: &*self.method,
            batch: &self.batch,
            maps: &self.maps,
            spreads: &[],
            labels: &self.batch.target.class,
            masks: Some(&half.view([1, h, w]).repeat([n, 1, 1])),
            attacked: Some(Attacked { x: &self.moved.1, maps: &self.moved.0 }),
            randomised: &randomised,
            model_cache: &Memo::default(),
            map_cache: &Memo::default(),
        })
    }

    /// The bound of what may draw normal numbers.
    pub fn bound(&self) -> f64 {
        if self.side.is_f64() { DRAWN } else { 10. * self.side.bound }
    }
}
