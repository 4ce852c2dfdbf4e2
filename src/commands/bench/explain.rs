//! The maps of one batch of images by every method, with a folded network. Superpixels depend on
//! the images, so they are those of `shapes`; nothing depends on what the weights are.

use super::{Contestant, Entrant, Timed, interleaved};
use crate::{cli::Bench, ui::Ui};
use ::data::{Options, Split};
use anyhow::{Context, Result};
use explain::{Attribution, Batch};
use models::{
    Classifier, Model, Score, Target, registry,
    zoo::{self, Normalisation, Shape},
};
use std::time::Instant;
use tch::{Device, Kind, Tensor};

/// Methods as users type them; the unit is none.
pub(super) const ENTRANTS: &[Entrant] = &[
    ("forward", ""),
    ("saliency", "saliency"),
    ("gxi", "gxi"),
    ("SmoothGrad-50", "smoothgrad:samples=50"),
    ("UniGrad-50", "unigrad:samples=50"),
    ("IG-50", "ig:points=50"),
    ("guided", "guided"),
    ("DeepLIFT", "deeplift"),
    ("Grad-CAM", "gradcam"),
    ("LRP", "lrp"),
    ("LIME-100", "lime:samples=100"),
    ("KernelSHAP-100", "kernelshap:samples=100"),
    ("C-LIME-100", "clime:samples=100"),
    ("occlusion", "occlusion"),
];

/// Rounds that do not count: kernels are chosen.
const WARM_UP: u32 = 1;

/// Times the maps.
pub(super) fn run(
    wanted: &[&Entrant],
    args: &Bench,
    device: Device,
    ui: &Ui,
) -> Result<Vec<Timed>> {
    let (arch, shape) = (zoo::arch(&args.arch)?, Shape::CIFAR10);
    let normalisation = Normalisation::parse("cifar10", shape.image[0])?;
    let model = Classifier::new(arch, shape, normalisation, 0, device).placed(device, true);
    let model = model.folded(args.precision);
    let images = format!("shapes:seed=0,train=1,test={}", args.batch_size);
    let data = ::data::load(&images, &Options { split: Split::Test, size: None })?;
    let (x, _) = data.to_device(device).ordered(args.batch_size).next().context("no images")?;
    let batch = Batch::new(&x, &Target::predicted(&model, &x, Score::Logit));
    let method = |spelled: &str| explain::method(registry::parse(spelled)?);
    let methods: Vec<Option<Box<dyn Attribution>>> = wanted
        .iter()
        .map(|(_, spelled)| (!spelled.is_empty()).then(|| method(spelled)).transpose())
        .collect::<Result<_>>()?;
    for (method, (name, _)) in methods.iter().zip(wanted) {
        let told = || format!("`{name}` with {}", args.arch);
        method.as_ref().map_or(Ok(()), |m| m.check(&model, shape.image)).with_context(told)?;
    }
    let once = |method: &Option<Box<dyn Attribution>>| -> Tensor {
        match method {
            Some(method) => method.attribute(&model, &batch),
            None => tch::no_grad(|| model.logits(&batch.x)),
        }
    };
    let mut contestants: Vec<Contestant> = vec![];
    for (method, (name, _)) in methods.iter().zip(wanted) {
        let once = &once;
        contestants.push((name, Box::new(move || milliseconds(|| once(method)))));
    }
    Ok(interleaved(&mut contestants, WARM_UP, args, ui))
}

/// How long the device takes: a number is read back.
fn milliseconds(work: impl FnOnce() -> Tensor) -> f64 {
    let clock = Instant::now();
    let _ = work().sum(Kind::Float).double_value(&[]);
    clock.elapsed().as_secs_f64() * 1e3
}
