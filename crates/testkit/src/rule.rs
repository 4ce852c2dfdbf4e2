//! Weights, running statistics and images by a rule that tests/reference/logits.py repeats: each
//! entry is a hash of its tensor's name and its place, so no large file is kept.

use models::{
    Classifier,
    zoo::{Arch, Normalisation, Shape},
};
use tch::{Device, Kind, Tensor};

/// The classifier at its published shape (ImageNet networks at 64×64), filled by the rule, on the
/// CPU.
pub fn filled(arch: &'static Arch) -> Classifier {
    let mut shape: Shape = arch.shape;
    if shape.image[1] == 224 {
        shape.image = [3, 64, 64];
    }
    let mut normalisation =
        Normalisation::parse(arch.normalise, shape.image[0]).expect("from the registry");
    // The references hold these numbers in f32, in f64 networks too.
    for v in normalisation.mean.iter_mut().chain(&mut normalisation.std) {
        *v = f64::from(*v as f32);
    }
    let classifier = Classifier::new(arch, shape, normalisation, 0, Device::Cpu);
    let mut tensors = classifier.params().tensors();
    for (name, tensor) in &mut tensors {
        if !name.ends_with("_mask") {
            *tensor = entries(name, &tensor.size());
        }
    }
    classifier.params().fill(&tensors).expect("its own names and shapes");
    classifier
}

/// `n` images `[N, C, H, W]` in [0, 1).
pub fn images(n: i64, shape: &Shape) -> Tensor {
    let size = [&[n], shape.image.as_slice()].concat();
    let values: Vec<f32> = uniform("images", size.iter().product()).map(|u| u as f32).collect();
    Tensor::from_slice(&values).view(&size[..])
}

/// The largest difference, in units of the largest entry of `b`. Panics if the shapes differ.
pub fn distance(a: &Tensor, b: &Tensor) -> f64 {
    assert_eq!(a.size(), b.size());
    let (a, b) = (a.to_kind(Kind::Double), b.to_kind(Kind::Double));
    let apart = (&a - &b).abs().max().double_value(&[]);
    // Zeros are as far from zeros as anything from itself.
    if apart == 0. { 0. } else { apart / b.abs().max().double_value(&[]) }
}

fn entries(name: &str, shape: &[i64]) -> Tensor {
    let fan_in: i64 = shape[1..].iter().product();
    let bound = (6. / fan_in as f64).sqrt();
    let value = |u: f64| match shape.len() {
        _ if name.ends_with("running_var") => 0.5 + u,
        1 if name.ends_with("weight") => 0.75 + 0.5 * u,
        1 => 0.4 * u - 0.2,
        _ => (2. * u - 1.) * bound,
    };
    let values = uniform(name, shape.iter().product()).map(|u| value(u) as f32);
    Tensor::from_slice(&values.collect::<Vec<_>>()).view(shape)
}

/// In [0, 1): 24 bits of a hash of (FNV-1a of the name, index).
fn uniform(name: &str, count: i64) -> impl Iterator<Item = f64> {
    let step = |hash: u32, byte: u8| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193);
    let seed = name.bytes().fold(0x811c_9dc5, step);
    (0..count as u32).map(move |i| {
        let mut x = i.wrapping_mul(0x9e37_79b1).wrapping_add(seed);
        x = (x ^ (x >> 16)).wrapping_mul(0x21f0_aaad);
        x = (x ^ (x >> 15)).wrapping_mul(0x735a_2d97);
        f64::from((x ^ (x >> 15)) >> 8) / f64::from(1 << 24)
    })
}
