//! ResNet-20/32/44/56 for 32×32 images (He et al. 2016, section 4.2), shortcuts of option A: a
//! stride-2 slice with zero-padded channels. Stored weights may have option B instead: a 1×1
//! convolution, with or without a norm. Parameter names: akamaster/pytorch_resnet_cifar10; those of
//! torchvision are read too.

use super::{Arch, Shape};
use crate::{Activation, Affine, Builder, Conv, Model, Ops};
use tch::Tensor;

pub(super) const RESNET20: Arch = line("resnet20", "ResNet-20 for CIFAR, option A", build::<3>);
pub(super) const RESNET32: Arch = line("resnet32", "ResNet-32 for CIFAR, option A", build::<5>);
pub(super) const RESNET44: Arch = line("resnet44", "ResNet-44 for CIFAR, option A", build::<7>);
pub(super) const RESNET56: Arch = line("resnet56", "ResNet-56 for CIFAR, option A", build::<9>);

const fn line(
    name: &'static str,
    about: &'static str,
    build: fn(&Builder, &Shape) -> Box<dyn Model>,
) -> Arch {
    Arch {
        name,
        about,
        shape: Shape::CIFAR10,
        normalise: "imagenet",
        sides: (1, 1),
        renames: &[("downsample", "shortcut"), ("fc", "linear")],
        unused: &[],
        build,
    }
}

struct Block {
    conv1: Affine,
    conv2: Affine,
    shortcut: Option<Affine>, // option B
    stride: i64,
    padding: i64, // zero channels added on each side of the shortcut
}

impl Block {
    fn new(b: &Builder, c_in: i64, c_out: i64, stride: i64) -> Self {
        Block {
            conv1: Affine::conv(b, "conv1", Some("bn1"), Conv::same(c_in, c_out, 3, stride)),
            conv2: Affine::conv(b, "conv2", Some("bn2"), Conv::same(c_out, c_out, 3, 1)),
            shortcut: option_b(b, Conv::same(c_in, c_out, 1, stride)),
            stride,
            padding: (c_out - c_in) / 2,
        }
    }

    fn forward(&self, x: &Tensor, ops: &dyn Ops) -> Tensor {
        let inner = ops.act(&Activation::Relu, &ops.affine(&self.conv1, x));
        ops.act(&Activation::Relu, &(ops.affine(&self.conv2, &inner) + self.shortcut(x, ops)))
    }

    fn shortcut(&self, x: &Tensor, ops: &dyn Ops) -> Tensor {
        if let Some(conv) = &self.shortcut {
            return ops.affine(conv, x);
        }
        if self.padding == 0 {
            return x.shallow_clone();
        }
        let sliced = x.slice(2, None, None, self.stride).slice(3, None, None, self.stride);
        sliced.constant_pad_nd([0, 0, 0, 0, self.padding, self.padding])
    }
}

/// The convolution of a shortcut, where the weights have one.
fn option_b(b: &Builder, conv: Conv) -> Option<Affine> {
    let b = b.sub("shortcut");
    let norm = b.has("1.weight").then_some("1");
    b.has("0.weight").then(|| Affine::conv_with(&b, "0", norm, conv, b.has("0.bias")))
}

struct ResNet {
    conv1: Affine,
    stages: Vec<Vec<Block>>,
    linear: Affine,
}

fn build<const BLOCKS: usize>(b: &Builder, shape: &Shape) -> Box<dyn Model> {
    let stage = |i: i64, c_in: i64, c_out: i64| {
        let b = b.sub(&format!("layer{i}"));
        let block = |j: usize| {
            let first = j == 0;
            let stride = if first && i > 1 { 2 } else { 1 };
            Block::new(&b.sub(&j.to_string()), if first { c_in } else { c_out }, c_out, stride)
        };
        (0..BLOCKS).map(block).collect()
    };
    Box::new(ResNet {
        conv1: Affine::conv(b, "conv1", Some("bn1"), Conv::same(shape.image[0], 16, 3, 1)),
        stages: vec![stage(1, 16, 16), stage(2, 16, 32), stage(3, 32, 64)],
        linear: Affine::linear(b, "linear", 64, shape.classes),
    })
}

const TAPS: [&str; 4] = ["stem", "layer1", "layer2", "layer3"];

impl Model for ResNet {
    fn forward(&self, x: &Tensor, ops: &dyn Ops) -> Tensor {
        let mut x = ops.tap(TAPS[0], ops.act(&Activation::Relu, &ops.affine(&self.conv1, x)));
        for (stage, name) in self.stages.iter().zip(&TAPS[1..]) {
            x = stage.iter().fold(x, |x, block| block.forward(&x, ops));
            x = ops.tap(name, x);
        }
        ops.affine(&self.linear, &x.mean_dim([2, 3].as_slice(), false, None))
    }

    fn activation(&self) -> Option<Activation> {
        Some(Activation::Relu)
    }

    fn taps(&self) -> Vec<&str> {
        TAPS.to_vec()
    }

    fn nonlinear_only_in_ops(&self) -> bool {
        true
    }
}
