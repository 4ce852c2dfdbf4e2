//! The maps of one batch of images by every method, with a folded network. Superpixels depend on
//! the images, so they are those of `shapes`; times do not depend on what the weights are.

use super::{Contestant, Entrant, Timed, interleaved, untrained};
use crate::{cli::Bench, runtime::ui::Ui};
use ::data::Split;
use anyhow::{Context, Result};
use explain::{Attribution, Batch};
use models::{Classifier, Model, Precision, Score, Target, zoo::Shape};
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

/// A network with random weights and the images it is asked about.
pub(super) struct Scene {
    pub model: Classifier,
    /// The same weights in f32, where `model` is in less.
    exact: Option<Classifier>,
    pub batch: Batch,
}

impl Scene {
    /// Errors: an unknown architecture.
    pub fn new(args: &Bench, device: Device) -> Result<Self> {
        let whole = untrained(args, device)?;
        let model = whole.folded(args.precision);
        let exact = (args.precision != Precision::F32).then(|| whole.folded(Precision::F32));
        let images = format!("shapes:seed=0,train=1,test={}", args.batch_size);
        let data = ::data::load(&images, &Split::Test.into())?;
        let (x, _) =
            data.to_device(device).ordered(args.batch_size).next().context("no images")??;
        let target = Target::predicted(exact.as_ref().unwrap_or(&model), &x, Score::Logit);
        let batch = Batch { chunk: i64::from(args.chunk), ..Batch::new(&x, &target) };
        Ok(Scene { model, exact, batch })
    }
}

/// The method that is spelled so; none for the forward pass.
pub(super) fn method(spelled: &str) -> Result<Box<dyn Attribution>> {
    explain::parse(spelled)
}

/// Maps, or logits where there is no method.
fn answer(method: Option<&dyn Attribution>, model: &Classifier, batch: &Batch) -> Tensor {
    match method {
        Some(method) => method.attribute(model, batch),
        None => tch::no_grad(|| model.logits(&batch.x)),
    }
}

/// Times the maps; beside them, in less than f32, how far they are from those in f32.
pub(super) fn run(
    wanted: &[&Entrant],
    args: &Bench,
    device: Device,
    ui: &Ui,
) -> Result<Vec<Timed>> {
    let Scene { model, exact, batch } = Scene::new(args, device)?;
    let methods: Vec<Option<Box<dyn Attribution>>> = wanted
        .iter()
        .map(|(_, spelled)| (!spelled.is_empty()).then(|| method(spelled)).transpose())
        .collect::<Result<_>>()?;
    for (method, (name, _)) in methods.iter().zip(wanted) {
        let told = || format!("`{name}` with {}", args.arch);
        let image = Shape::CIFAR10.image;
        method.as_ref().map_or(Ok(()), |m| m.check(&model, image)).with_context(told)?;
    }
    let mut contestants: Vec<Contestant> = vec![];
    for (method, (name, _)) in methods.iter().zip(wanted) {
        let once = || answer(method.as_deref(), &model, &batch);
        contestants.push((name, Box::new(move || milliseconds(once))));
    }
    let mut timed = interleaved(&mut contestants, WARM_UP, args, ui);
    if let Some(exact) = &exact {
        for (method, timed) in methods.iter().zip(&mut timed) {
            let [own, best] = [&model, exact].map(|model| answer(method.as_deref(), model, &batch));
            timed.error = Some(relative(&own, &best));
        }
    }
    Ok(timed)
}

/// ‖a − b‖₂ / ‖b‖₂ over all numbers.
fn relative(a: &Tensor, b: &Tensor) -> f64 {
    let [a, b] = [a, b].map(|t| t.to_kind(Kind::Double));
    ((a - &b).norm() / b.norm()).double_value(&[])
}

/// How long the device takes: a number is read back.
fn milliseconds(work: impl FnOnce() -> Tensor) -> f64 {
    let clock = Instant::now();
    let _ = work().sum(Kind::Float).double_value(&[]);
    clock.elapsed().as_secs_f64() * 1e3
}
