//! What tests attack: every line of the registries, and a ResNet-20 with a few small images.

use attack::{
    ATTACKS, Ball, Beta, Descent, MapAttack, MapObjective, Norm, Optimizer, Outcome, Reference,
    Step, Surrogate,
};
use explain::{Attribution, Batch, METHODS};
use models::{
    Classifier, Model, Score, Target,
    zoo::{self, Shape},
};
use registry::few;
use std::sync::Mutex;
use tch::{Kind, Tensor};
use testkit::rule::{filled, images};
use toml::Table;

/// Another attack's loss with a measure that makes every iterate the best so far.
pub(crate) struct Always<'a>(pub &'a dyn MapObjective, pub Mutex<f64>);

impl MapObjective for Always<'_> {
    fn loss(&self, heat: &Tensor, clean: &Reference) -> Tensor {
        self.0.loss(heat, clean)
    }

    fn descended(&self, heat: &Tensor, clean: &Reference, descent: Descent) -> Tensor {
        self.0.descended(heat, clean, descent)
    }

    fn output_loss(&self, logits: &Tensor, clean: &Reference) -> Option<Tensor> {
        self.0.output_loss(logits, clean)
    }

    fn gradient_free(&self) -> bool {
        self.0.gradient_free()
    }

    fn measure(&self, heat: &Tensor, _clean: &Reference) -> Tensor {
        let mut least = self.1.lock().unwrap();
        *least -= 1.;
        Tensor::full([heat.size()[0]], *least, (Kind::Double, heat.device()))
    }
}

pub(crate) const K: i64 = 12;

pub(crate) fn all_attacks() -> Vec<(&'static str, Box<dyn MapObjective>)> {
    ATTACKS.iter().map(|a| (a.name, (a.build)(Table::new()).unwrap())).collect()
}

/// Superpixels jump with an image's rounding; a grid does not. Three coalitions of many groups
/// leave Kernel SHAP and LIME one map whatever the image is, so that all slopes are rounding: they have
/// few groups and more coalitions.
pub(crate) fn all_methods() -> Vec<(&'static str, Box<dyn Attribution>)> {
    let all = few(METHODS, &[("groups", "grid")]).into_iter().map(|(name, few)| match name {
        "kernelshap" => (name, method("kernelshap:groups=grid,cells=3,samples=12")),
        "lime" => (name, method("lime:groups=grid,cells=3,samples=12")),
        _ => (name, few),
    });
    all.filter(|(_, method)| method.differentiable().is_some()).collect()
}

pub(crate) fn method(name: &str) -> Box<dyn Attribution> {
    explain::parse(name).unwrap()
}

pub(crate) fn rule(name: &str) -> Box<dyn Optimizer> {
    attack::optimizer(registry::parse(name).unwrap()).unwrap()
}

pub(crate) fn goal(name: &str) -> Box<dyn MapObjective> {
    attack::map_objective(registry::parse(name).unwrap()).unwrap()
}

/// A ResNet-20 and four 8×8 images, in f64: rounding moves no activation across a ReLU's bend.
pub(crate) fn subject() -> (Classifier, Tensor, Target) {
    let model = filled(zoo::arch("resnet20").unwrap()).in_f64().frozen();
    let x = images(4, &Shape { image: [3, 8, 8], classes: 10 }).to_kind(Kind::Double);
    let target = Target::predicted(&model, &x, Score::Logit);
    (model, x, target)
}

pub(crate) fn linf(eps: f64) -> Ball {
    Ball::new(Norm::Linf, eps).unwrap()
}

pub(crate) fn attack<'a>(
    model: &'a dyn Model,
    method: &'a dyn Attribution,
    objective: &'a dyn MapObjective,
    optimizer: &'a dyn Optimizer,
) -> MapAttack<'a> {
    MapAttack {
        model,
        method,
        objective,
        optimizer,
        beta: Beta::fixed(20.),
        spreads: &[],
        surrogate: Surrogate::Exact,
        descent: Descent::Published,
        iterations: 3,
        step: Step::Same(0.01),
        restarts: 1,
        fresh: false,
        recorder: None,
    }
}

/// Attacks images that nothing is known of.
pub(crate) fn run(by: &MapAttack, batch: &Batch, ball: &Ball) -> Outcome {
    by.run(batch, &by.reference(batch, K), ball, None, &|| ())
}

pub(crate) fn flags(t: &Tensor) -> Vec<bool> {
    t.try_into().unwrap()
}
