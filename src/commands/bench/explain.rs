//! The maps of one batch of images by every method, with a folded network. Superpixels depend on
//! the images, so they are those of `shapes`; times do not depend on what the weights are.

use super::{Contestant, Entrant, Timed, interleaved, untrained};
use crate::{
    cli::Bench,
    runtime::{
        memory::Fits,
        ui::Ui,
        workers::{self, Crew, Stop},
    },
    session::shared::Asked,
};
use ::data::Split;
use anyhow::{Context, Result};
use explain::{Attribution, Batch};
use models::{Model, Precision, Score, Target, zoo::Shape};
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
    pub model: Asked,
    /// The same weights in f32, where `model` is in less.
    exact: Option<Asked>,
    pub batch: Batch,
    /// Images of the batch that a worker has at once.
    size: i64,
    crew: Crew,
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
        let (fits, threads) =
            (Fits::of(&model).for_images(args.batch_size), tch::get_num_threads());
        let (size, threads) = (fits.batch, usize::try_from(threads).unwrap_or(1));
        let crew = match device {
            Device::Cpu => {
                let pieces = args.batch_size.div_ceil(size);
                Crew::of(threads, pieces, fits.passes(batch.chunk))
            }
            _ => Crew { workers: 1, threads },
        };
        // One worker has no reason to cut.
        let size = if crew.workers > 1 { size as i64 } else { args.batch_size as i64 };
        let (model, exact) = (Asked::new(model), exact.map(Asked::new));
        Ok(Scene { model, exact, batch, size, crew })
    }
}

/// The method that is spelled so; none for the forward pass.
pub(super) fn method(spelled: &str) -> Result<Box<dyn Attribution>> {
    explain::parse(spelled)
}

/// Maps, or logits where there is no method.
fn answer(method: Option<&dyn Attribution>, model: &Asked, scene: &Scene) -> Tensor {
    let (batch, size) = (&scene.batch, scene.size);
    let n = batch.keys.len() as i64;
    let items = (0..n).step_by(size as usize).map(|i| Ok(batch.narrow(i, size.min(n - i))));
    let make = |batch: Batch, _: &Stop| {
        Ok(match method {
            Some(method) => method.attribute(model.get(), &batch),
            None => tch::no_grad(|| model.get().logits(&batch.x)),
        })
    };
    let mut all = vec![];
    let take = |part| {
        all.push(part);
        Ok(())
    };
    workers::each(scene.crew, items, make, take).expect("neither makes errors");
    Tensor::cat(&all, 0)
}

/// Passes over images that `method` makes for each forward pass: one more for methods that are a whole
/// gradient at every input, none more for those that only ask; unknown for others.
fn directions(method: &str) -> Option<u64> {
    let name = method.split(':').next().unwrap_or_default();
    match name {
        "saliency" | "gxi" | "smoothgrad" | "unigrad" | "ig" | "guided" => Some(2),
        "" | "lime" | "kernelshap" | "clime" | "occlusion" => Some(1),
        _ => None,
    }
}

/// Times the maps; beside them, in less than f32, how far they are from those in f32.
pub(super) fn run(
    wanted: &[&Entrant],
    args: &Bench,
    device: Device,
    ui: &Ui,
) -> Result<Vec<Timed>> {
    let scene = Scene::new(args, device)?;
    let model = &scene.model;
    let methods: Vec<Option<Box<dyn Attribution>>> = wanted
        .iter()
        .map(|(_, spelled)| (!spelled.is_empty()).then(|| method(spelled)).transpose())
        .collect::<Result<_>>()?;
    for (method, (name, _)) in methods.iter().zip(wanted) {
        let told = || format!("`{name}` with {}", args.arch);
        let image = Shape::CIFAR10.image;
        method.as_ref().map_or(Ok(()), |m| m.check(model.get(), image)).with_context(told)?;
    }
    let mut contestants: Vec<Contestant> = vec![];
    for (method, (name, _)) in methods.iter().zip(wanted) {
        let once = || answer(method.as_deref(), model, &scene);
        contestants.push((name, Box::new(move || milliseconds(once))));
    }
    let mut timed = interleaved(&mut contestants, WARM_UP, args, ui);
    let products = model.get().footprint().products;
    let counts = model.get().nonlinear_only_in_ops();
    for ((method, (_, spelled)), timed) in methods.iter().zip(wanted).zip(&mut timed) {
        let before = models::network::passes();
        let own = answer(method.as_deref(), model, &scene);
        let passes = models::network::passes() - before;
        let known = directions(spelled).filter(|_| counts);
        timed.products = known.map(|directions| (directions * passes * products) as f64);
        let error = |exact| relative(&own, &answer(method.as_deref(), exact, &scene));
        timed.error = scene.exact.as_ref().map(error);
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
