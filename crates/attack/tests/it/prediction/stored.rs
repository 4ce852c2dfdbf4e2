//! The small network of tests/reference/attack/attacks.py and its images, in double precision.

use models::{Activation, Model, Ops};
use tch::{Kind, Tensor};
use tensorfile::TensorFile;

const SIDE: i64 = 16;
const CLASSES: i64 = 10;

/// Two convolutions and a dense layer.
pub(crate) struct Stored {
    weights: [Tensor; 6],
}

pub(crate) fn golden() -> TensorFile {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/attacks.safetensors");
    TensorFile::read(path.as_ref()).unwrap()
}

impl Stored {
    pub(crate) fn new(file: &TensorFile) -> Self {
        let names = ["conv1", "conv2", "linear"].into_iter();
        let names =
            names.flat_map(|layer| ["weight", "bias"].map(|part| format!("{layer}.{part}")));
        let weights = names.map(|n| file.tensors[&format!("weight.{n}")].to_kind(Kind::Double));
        Stored { weights: weights.collect::<Vec<_>>().try_into().unwrap() }
    }
}

impl Model for Stored {
    fn forward(&self, x: &Tensor, ops: &dyn Ops) -> Tensor {
        let [conv1, bias1, conv2, bias2, linear, bias] = &self.weights;
        let x = (x - 0.5) * 4;
        let x =
            ops.act(&Activation::Relu, &x.conv2d(conv1, Some(bias1), [2, 2], [1, 1], [1, 1], 1));
        let x =
            ops.act(&Activation::Relu, &x.conv2d(conv2, Some(bias2), [2, 2], [1, 1], [1, 1], 1));
        x.flatten(1, -1).linear(linear, Some(bias))
    }

    fn activation(&self) -> Option<Activation> {
        Some(Activation::Relu)
    }
}

/// The first `n` images `[n, 1, 16, 16]` and labels.
pub(crate) fn images(n: i64) -> (Tensor, Tensor) {
    let y = Tensor::arange(n, (Kind::Int64, tch::Device::Cpu)).remainder(CLASSES);
    let patterns = rule("patterns", CLASSES).index_select(0, &y);
    ((patterns - 0.5) * 0.3 + (rule("images", n) - 0.5) * 0.6 + 0.5, y)
}

/// Numbers in [0, 1) by the rule of tests/reference/logits.py, `[n, 1, 16, 16]`.
pub(crate) fn rule(name: &str, n: i64) -> Tensor {
    let step = |hash: u32, byte: u8| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193);
    let seed = name.bytes().fold(0x811c_9dc5, step);
    let value = |i: u32| {
        let mut x = i.wrapping_mul(0x9e37_79b1).wrapping_add(seed);
        x = (x ^ (x >> 16)).wrapping_mul(0x21f0_aaad);
        x = (x ^ (x >> 15)).wrapping_mul(0x735a_2d97);
        f64::from((x ^ (x >> 15)) >> 8) / f64::from(1 << 24)
    };
    let values: Vec<f64> = (0..(n * SIDE * SIDE) as u32).map(value).collect();
    Tensor::from_slice(&values).view([n, 1, SIDE, SIDE])
}

/// One key per image.
pub(crate) fn keys(n: i64) -> Vec<u64> {
    (0..n as u64).map(|image| models::noise::key(0, image, 0)).collect()
}

/// Whether the network is wrong, bool `[N]`.
pub(crate) fn wrong(model: &dyn Model, x: &Tensor, y: &Tensor) -> Tensor {
    tch::no_grad(|| model.logits(x)).argmax(1, false).ne_tensor(y)
}

pub(crate) fn most(t: &Tensor) -> f64 {
    t.abs().max().double_value(&[])
}

pub(crate) fn share(which: &Tensor) -> f64 {
    which.to_kind(Kind::Double).mean(Kind::Double).double_value(&[])
}
