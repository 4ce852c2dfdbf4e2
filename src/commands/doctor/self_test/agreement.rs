//! Everything in the registries that computes, against the CPU in f64.

use super::{
    Lines, attacks,
    side::{REFERENCE, Side, apart, images, reference},
    world::{IMAGES, World},
};
use crate::runtime::arithmetic;
use anyhow::Result;
use explain::{Attribution, Batch, METHODS, heat, metric::METRICS, similarity::SIMILARITIES};
use models::{Classifier, Model, noise, zoo::ARCHS};
use registry::few;
use tch::{Device, Kind, Tensor};

/// Networks on every side, then what computes with one, in f64 and f32.
pub fn run(lines: &mut Lines, device: Device) -> Result<()> {
    for arch in ARCHS {
        lines.bar.set_message(arch.name);
        let right = reference(arch)?;
        let x = images(2, &right.shape);
        let expected = passes(&REFERENCE, &right, &x);
        for side in Side::of(device) {
            arithmetic::round_as(side.precision, device)?;
            // Passes that train are unrounded whatever the precision of explanations.
            if !side.rounds() {
                let found = passes(&side, &side.trainable(&right, arch)?, &x);
                let what = ["logits", "gradient in images", "its gradient in weights"];
                for ((what, found), expected) in what.iter().zip(&found).zip(&expected) {
                    let off = apart(found, expected, side.is_f64());
                    lines.difference(side.name, &format!("{}: {what}", arch.name), off, side.bound);
                }
            }
            let folded = side.network(&right, arch)?;
            let logits = tch::no_grad(|| folded.logits(&side.place(&x)));
            let off = apart(&logits, &expected[0], side.is_f64());
            arithmetic::round_as(REFERENCE.precision, device)?;
            let what = format!("{}: logits, as explained", arch.name);
            lines.difference(side.name, &what, off, side.bound);
        }
    }
    let right = World::new(REFERENCE)?;
    for side in Side::unrounded(device) {
        let world = World::new(side)?;
        methods(lines, &world, &right);
        metrics(lines, &world, &right);
        similarities(lines, &world, &right);
        attacks::run(lines, &world, &right)?;
    }
    Ok(())
}

/// Logits `[2, K]`; the gradient of the first class in the images; and of that along a direction the
/// gradient in all weights, `[1, weights]`.
fn passes(side: &Side, model: &Classifier, x: &Tensor) -> [Tensor; 3] {
    let x = side.place(x).set_requires_grad(true);
    let logits = model.logits(&x);
    let score = logits.select(1, 0).sum(None::<Kind>);
    let g = Tensor::run_backward(&[score], &[&x], true, true).remove(0);
    let v = noise::normal(&[7], &x.size(), Device::Cpu).squeeze_dim(0);
    let along = (&g * side.place(&v)).sum(None::<Kind>);
    let weights: Vec<Tensor> = model.params().weights().into_iter().map(|(_, w)| w).collect();
    let all = Tensor::run_backward(&[along], &weights, false, false);
    // A weight that the gradient does not depend on is the same on both sides.
    let flat: Vec<Tensor> =
        all.iter().filter(|g| g.defined()).map(|g| g.contiguous().view(-1)).collect();
    [logits.detach(), g.detach(), Tensor::cat(&flat, 0).unsqueeze(0)]
}

fn methods(lines: &mut Lines, world: &World, right: &World) {
    let (side, exact) = (&world.side, world.side.is_f64());
    let direction = noise::normal(&[77], &right.batch.x.size(), Device::Cpu).squeeze_dim(0);
    for (name, method) in few(METHODS, &[]) {
        let map = |world: &World| method.attribute(&world.model, &world.batch);
        let off = apart(&map(world), &map(right), exact);
        let bound = if side.is_f64() && !draws(&*method, right) { 1e-8 } else { world.bound() };
        lines.difference(side.name, &format!("maps of {name}"), off, bound);
        let Some(own) = method.differentiable() else { continue };
        let back =
            |world: &World| own.vjp(&world.model, &world.batch, &world.side.place(&direction));
        let off = apart(&back(world), &back(right), exact);
        lines.difference(side.name, &format!("pullback of {name}"), off, bound);
    }
}

/// Whether a method draws anything: other keys give another map.
fn draws(method: &dyn Attribution, right: &World) -> bool {
    let other = Batch { keys: vec![99; IMAGES as usize], ..right.batch.at(&right.batch.x) };
    let map = |batch: &Batch| method.attribute(&right.model, batch);
    !map(&other).equal(&map(&right.batch))
}

fn metrics(lines: &mut Lines, world: &World, right: &World) {
    for (name, metric) in few(METRICS, &[]) {
        let (found, expected) = (world.measured(&*metric), right.measured(&*metric));
        let pairs = metric.columns().iter().zip(&found).zip(&expected);
        let off = pairs.map(|((_, found), expected)| {
            let off = apart(found, expected, world.side.is_f64());
            if off.is_nan() { f64::INFINITY } else { off }
        });
        let worst = off.fold(0., f64::max);
        lines.difference(world.side.name, &format!("metric {name}"), worst, world.bound());
    }
}

fn similarities(lines: &mut Lines, world: &World, right: &World) {
    for similarity in SIMILARITIES {
        let score =
            |world: &World| (similarity.score)(&heat(&world.maps), &heat(&world.moved.0), 10);
        let off = apart(&score(world), &score(right), world.side.is_f64());
        let what = format!("similarity {}", similarity.name);
        lines.difference(world.side.name, &what, off, world.bound());
    }
}
