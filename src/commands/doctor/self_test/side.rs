//! The two sides of a comparison: the same network and the same images on the CPU in f64, and on the
//! device in a type that is used there.

use anyhow::{Context, Result};
use explain::Batch;
use models::{
    Classifier, Model, Precision, Score, Target, Training, noise,
    zoo::{Arch, Normalisation, Shape},
};
use tch::{Device, Kind, Tensor};

/// Where, and in which type.
#[derive(Clone, Copy)]
pub struct Side {
    pub device: Device,
    /// `Double`, or `Float` with what `precision` rounds.
    pub kind: Kind,
    pub precision: Precision,
    /// What it is called.
    pub name: &'static str,
    /// How far plain passes may be from the reference.
    pub bound: f64,
}

/// What is held to be right.
pub const REFERENCE: Side = Side {
    device: Device::Cpu,
    kind: Kind::Double,
    precision: Precision::F32,
    name: "f64",
    bound: 0.,
};

impl Side {
    /// Single precision on `device`.
    pub fn single(device: Device) -> Self {
        Side { device, kind: Kind::Float, name: "f32", bound: 1e-4, ..REFERENCE }
    }

    /// What is compared with the reference on `device`: f64 where that is another device, then every
    /// type that passes are made in.
    pub fn of(device: Device) -> Vec<Side> {
        let single = Side::single(device);
        let double = Side { device, bound: 1e-8, ..REFERENCE };
        let coarse = |name, precision, bound| Side { name, precision, bound, ..single };
        let bf16 = coarse("bf16", Precision::Bf16, 5e-2);
        match device {
            Device::Cpu => vec![single, bf16],
            _ => vec![double, single, coarse("tf32", Precision::Tf32, 5e-3), bf16],
        }
    }

    pub fn is_f64(&self) -> bool {
        self.kind == Kind::Double
    }

    /// Whether products are rounded to less than f32.
    pub fn rounds(&self) -> bool {
        self.precision != Precision::F32
    }

    /// Those of [`Side::of`] that do not round: f64 and f32.
    pub fn unrounded(device: Device) -> impl Iterator<Item = Side> {
        Side::of(device).into_iter().filter(|side| !side.rounds())
    }

    /// `reference`'s network here, norms folded where passes are made in less than f64.
    pub fn network(&self, reference: &Classifier, arch: &'static Arch) -> Result<Classifier> {
        let model = self.trainable(reference, arch)?;
        Ok(if self.is_f64() { model.frozen() } else { model.folded(self.precision) })
    }

    /// The same with gradients into its weights.
    pub fn trainable(&self, reference: &Classifier, arch: &'static Arch) -> Result<Classifier> {
        let (shape, scale) = (reference.shape, reference.normalisation.clone());
        let model = Classifier::blank(arch, shape, scale, self.device);
        let model = model.to_device(self.device, !self.is_f64());
        let model = if self.is_f64() { model.in_f64() } else { model };
        model.params().fill(&reference.params().tensors())?;
        Ok(model)
    }

    pub fn place(&self, t: &Tensor) -> Tensor {
        t.to_device(self.device).to_kind(self.kind)
    }

    /// Images with the classes that the reference gives them.
    pub fn batch(&self, x: &Tensor, class: &Tensor) -> Batch {
        Batch::new(
            &self.place(x),
            &Target { class: class.to_device(self.device), score: Score::Logit },
        )
    }
}

/// A network of drawn weights with the statistics of drawn images, f64 on the CPU, at the smallest
/// images that it takes.
pub fn reference(arch: &'static Arch) -> Result<Classifier> {
    let side = (3..9).map(|power| 1i64 << power);
    let shape = |side| Shape { image: [arch.shape.image[0], side, side], classes: 10 };
    let shape = match arch.name {
        "mlp" => Some(arch.shape),
        _ => side.map(shape).find(|shape| arch.check(shape).is_ok()),
    };
    let shape = shape.context("no size of images fits it")?;
    let scale = Normalisation::parse("0.5/0.25", shape.image[0])?;
    let model = Classifier::new(arch, shape, scale, 0, Device::Cpu).in_f64();
    let x = images(8, &shape).to_kind(Kind::Double);
    let _ = tch::no_grad(|| model.forward(&x, &Training { precision: Precision::F32 }));
    Ok(model)
}

/// Drawn images of this shape, f32 on the CPU.
pub fn images(n: u64, shape: &Shape) -> Tensor {
    let keys: Vec<u64> = (0..n).map(|image| noise::key(5, image, 0)).collect();
    noise::uniform(&keys, &shape.image, Device::Cpu)
}

/// The largest difference of `found` from `expected`, both `[N, ...]`, in units of the largest number
/// expected of that image: the worst image's in f64; in less, the median's, because rounding moves a
/// pass over a bend of a ReLU now and then. Infinite where another number is undefined.
pub fn apart(found: &Tensor, expected: &Tensor, exact: bool) -> f64 {
    let rows = |t: &Tensor| {
        let t = t.detach().to_device(Device::Cpu).to_kind(Kind::Double);
        t.reshape([t.size().first().copied().unwrap_or(1), -1])
    };
    if found.size() != expected.size() {
        return f64::INFINITY;
    }
    let (found, expected) = (rows(found), rows(expected));
    if found.numel() == 0 {
        return 0.;
    }
    let undefined = found.isnan().not_equal_tensor(&expected.isnan());
    let same = found.eq_tensor(&expected).logical_or(&expected.isnan());
    let off =
        (&found - &expected).abs().masked_fill(&same, 0.).masked_fill(&undefined, f64::INFINITY);
    let scale = expected.abs().masked_fill(&expected.isfinite().logical_not(), 0.).amax([1], true);
    let scale = scale.masked_fill(&scale.eq(0.), 1.);
    let worst = (off / scale).amax([1], false);
    let worst = if exact { worst.max() } else { worst.median() };
    worst.double_value(&[])
}
