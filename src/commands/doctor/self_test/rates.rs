//! What the device does a second, and which part of that passes, steps and attacks get.

use super::{
    Lines,
    side::{Side, images},
};
use anyhow::Result;
use models::{
    Classifier, Model, Precision, zoo,
    zoo::{Normalisation, Shape},
};
use std::time::Instant;
use tch::{Cuda, Device, Kind, Tensor};

pub fn run(lines: &mut Lines, device: Device) -> Result<()> {
    let (side, images_each) = if device == Device::Cpu { (1024, 64) } else { (8192, 512) };
    let mut products = vec![("f32", Kind::Float)];
    if device != Device::Cpu || crate::runtime::device::has_bf16(device) {
        products.push(("bf16", Kind::BFloat16));
    }
    for (name, kind) in products {
        let a = Tensor::rand([side, side], (Kind::Float, device)).to_kind(kind);
        let seconds = seconds(device, || a.matmul(&a));
        let rate = 2. * (side as f64).powi(3) / seconds / 1e12;
        lines.measured(name, "matrix products", rate, "TFLOP/s");
    }
    let a = Tensor::rand([64 << 20], (Kind::Float, device));
    let copied = 2. * 4. * a.numel() as f64 / seconds(device, || a.copy()) / 1e9;
    lines.measured("f32", "copies", copied, "GB/s");
    let archs: &[&str] =
        if device == Device::Cpu { &["resnet20"] } else { &["resnet20", "resnet18", "resnet50"] };
    for name in archs {
        rates(lines, device, name, images_each)?;
    }
    Ok(())
}

/// Images a second of one network.
fn rates(lines: &mut Lines, device: Device, arch: &str, n: u64) -> Result<()> {
    let scale = Normalisation::parse("cifar10", 3)?;
    let model =
        Classifier::new(zoo::arch(arch)?, Shape::CIFAR10, scale, 0, device).to_device(device, true);
    let x = Side::single(device).place(&images(n, &Shape::CIFAR10));
    let y = x.new_zeros([n as i64], (Kind::Int64, device));
    let gxi = explain::parse("gxi")?;
    for (name, precision) in [("f32", Precision::F32), ("bf16", Precision::Bf16)] {
        let folded = model.folded(precision);
        let target = models::Target::logit(&y);
        let batch = explain::Batch::new(&x, &target);
        let rate = |work: &dyn Fn() -> Tensor| n as f64 / seconds(device, work);
        let forward = rate(&|| tch::no_grad(|| folded.logits(&x)));
        lines.measured(name, &format!("{arch}: logits, {n} images"), forward, "images/s");
        let maps = rate(&|| gxi.attribute(&folded, &batch));
        lines.measured(name, &format!("{arch}: gradients in images"), maps, "images/s");
        let step = rate(&|| {
            let step = ::train::objective::Step {
                precision,
                ..::train::objective::Step::new(&model, &x, &y)
            };
            let loss = step.train_logits(&x).cross_entropy_for_logits(&y);
            step.gradients(&loss).swap_remove(0)
        });
        lines.measured(name, &format!("{arch}: gradients in weights"), step, "images/s");
    }
    Ok(())
}

/// Seconds of one call: the least of five, after one that loads kernels; read back, so that the
/// device has done it.
fn seconds(device: Device, work: impl Fn() -> Tensor) -> f64 {
    let done = || {
        let _ = work();
        if let Device::Cuda(number) = device {
            Cuda::synchronize(number as i64);
        }
    };
    done();
    let timed = (0..5).map(|_| {
        let clock = Instant::now();
        done();
        clock.elapsed().as_secs_f64()
    });
    timed.fold(f64::INFINITY, f64::min)
}
