//! WRN-28-10 for 32×32 images (Zagoruyko & Komodakis 2016; the CIFAR-10 network of Yeh et al.
//! 2019): pre-activation blocks, no dropout. Parameter names are our own; those of TRADES
//! and RobustBench are read too (their second `sub_block1` is in no pass).

use super::{Arch, Shape};
use crate::{Activation, Affine, Builder, Conv, Model, Ops};
use tch::Tensor;

pub(super) const WRN28_10: Arch = Arch {
    name: "wrn28-10",
    about: "Wide ResNet 28-10 for 32×32 images (Yeh19's CIFAR-10 network)",
    shape: Shape::CIFAR10,
    normalise: "cifar10",
    sides: (1, 1),
    renames: PUBLISHED,
    unused: &["sub_block1"],
    build,
};

/// The names of TRADES and RobustBench.
const PUBLISHED: &[(&str, &str)] = &[
    ("block1.layer", "layer1"),
    ("block2.layer", "layer2"),
    ("block3.layer", "layer3"),
    ("convShortcut", "shortcut"),
    ("fc", "linear"),
];

const BLOCKS: usize = 4; // (28 - 4) / 6
const WIDTHS: [i64; 3] = [160, 320, 640];

struct Block {
    norm: Affine,  // before the first nonlinearity
    conv1: Affine, // and the norm before the second
    conv2: Affine,
    shortcut: Option<Affine>,
}

impl Block {
    fn new(b: &Builder, c_in: i64, c_out: i64, stride: i64) -> Self {
        let linear = |name, conv| Affine::conv_with(b, name, None, conv, false);
        Block {
            norm: Affine::norm(b, "bn1", c_in),
            conv1: Affine::conv(b, "conv1", Some("bn2"), Conv::same(c_in, c_out, 3, stride)),
            conv2: linear("conv2", Conv::same(c_out, c_out, 3, 1)),
            shortcut: (c_in != c_out)
                .then(|| linear("shortcut", Conv::same(c_in, c_out, 1, stride))),
        }
    }

    fn forward(&self, x: &Tensor, ops: &dyn Ops) -> Tensor {
        let active = ops.act(&Activation::Relu, &ops.affine(&self.norm, x));
        let inner = ops.act(&Activation::Relu, &ops.affine(&self.conv1, &active));
        let shortcut = match &self.shortcut {
            Some(conv) => ops.affine(conv, &active),
            None => x.shallow_clone(),
        };
        ops.affine(&self.conv2, &inner) + shortcut
    }
}

struct WideResNet {
    conv: Affine,
    stages: Vec<Vec<Block>>,
    norm: Affine,
    linear: Affine,
}

fn build(b: &Builder, shape: &Shape) -> Box<dyn Model> {
    let mut channels = 16;
    let stem = Conv::same(shape.image[0], channels, 3, 1);
    let conv = Affine::conv_with(b, "conv1", None, stem, false);
    let mut stages = vec![];
    for (i, width) in WIDTHS.into_iter().enumerate() {
        let stage = b.sub(&format!("layer{}", i + 1));
        let mut blocks = vec![];
        for j in 0..BLOCKS {
            let stride = if j == 0 && i > 0 { 2 } else { 1 };
            blocks.push(Block::new(&stage.sub(&j.to_string()), channels, width, stride));
            channels = width;
        }
        stages.push(blocks);
    }
    let norm = Affine::norm(b, "bn1", channels);
    let linear = Affine::linear(b, "linear", channels, shape.classes);
    Box::new(WideResNet { conv, stages, norm, linear })
}

const TAPS: [&str; 4] = ["layer1", "layer2", "layer3", "last"];

impl Model for WideResNet {
    fn forward(&self, x: &Tensor, ops: &dyn Ops) -> Tensor {
        let mut x = ops.affine(&self.conv, x);
        for (stage, name) in self.stages.iter().zip(TAPS) {
            x = stage.iter().fold(x, |x, block| block.forward(&x, ops));
            x = ops.tap(name, x);
        }
        let x = ops.tap(TAPS[3], ops.act(&Activation::Relu, &ops.affine(&self.norm, &x)));
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
