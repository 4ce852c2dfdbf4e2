//! ResNet-18 and ResNet-50 (He et al. 2016, tables 1 and 5): with a 3×3 stem for 32×32 images
//! (names: kuangliu/pytorch-cifar) and with the 7×7 stem and max-pool (names: torchvision, whose
//! bottleneck has its stride in the 3×3 convolution).

use super::{Arch, Shape};
use crate::{Activation, Affine, Builder, Conv, Model, Ops, Pool};
use tch::Tensor;

pub(super) const RESNET18: Arch = Arch {
    name: "resnet18",
    about: "ResNet-18 for 32×32 images; names of kuangliu/pytorch-cifar",
    shape: Shape::CIFAR10,
    normalise: "cifar10",
    sides: (1, 1),
    renames: CIFAR_NAMES,
    unused: &[],
    build: |b, shape| Box::new(ResNet::new(b, shape, [2, 2, 2, 2], Block::basic, CIFAR)),
};

pub(super) const RESNET18_IMAGENET: Arch = Arch {
    name: "resnet18-imagenet",
    about: "ResNet-18 for 224×224 images; names of torchvision",
    shape: Shape::IMAGENET,
    normalise: "imagenet",
    sides: (1, 1),
    renames: IMAGENET_NAMES,
    unused: &[],
    build: |b, shape| Box::new(ResNet::new(b, shape, [2, 2, 2, 2], Block::basic, IMAGENET)),
};

pub(super) const RESNET50: Arch = Arch {
    name: "resnet50",
    about: "ResNet-50 for 32×32 images; names of kuangliu/pytorch-cifar",
    shape: Shape::CIFAR10,
    normalise: "cifar10",
    sides: (1, 1),
    renames: CIFAR_NAMES,
    unused: &[],
    build: |b, shape| Box::new(ResNet::new(b, shape, [3, 4, 6, 3], Block::bottleneck, CIFAR)),
};

pub(super) const RESNET50_IMAGENET: Arch = Arch {
    name: "resnet50-imagenet",
    about: "ResNet-50 for 224×224 images; names of torchvision",
    shape: Shape::IMAGENET,
    normalise: "imagenet",
    sides: (1, 1),
    renames: IMAGENET_NAMES,
    unused: &[],
    build: |b, shape| Box::new(ResNet::new(b, shape, [3, 4, 6, 3], Block::bottleneck, IMAGENET)),
};

/// What the other family calls the same tensors.
const CIFAR_NAMES: &[(&str, &str)] = &[("downsample", "shortcut"), ("fc", "linear")];
const IMAGENET_NAMES: &[(&str, &str)] = &[
    // transformers'
    ("resnet.embedder.embedder.convolution", "conv1"),
    ("resnet.embedder.embedder.normalization", "bn1"),
    ("resnet.encoder.stages.0.layers", "layer1"),
    ("resnet.encoder.stages.1.layers", "layer2"),
    ("resnet.encoder.stages.2.layers", "layer3"),
    ("resnet.encoder.stages.3.layers", "layer4"),
    ("layer.0.convolution", "conv1"),
    ("layer.0.normalization", "bn1"),
    ("layer.1.convolution", "conv2"),
    ("layer.1.normalization", "bn2"),
    ("layer.2.convolution", "conv3"),
    ("layer.2.normalization", "bn3"),
    ("shortcut.convolution", "downsample.0"),
    ("shortcut.normalization", "downsample.1"),
    ("classifier.1", "fc"),
    // kuangliu/pytorch-cifar's
    ("shortcut", "downsample"),
    ("linear", "fc"),
];

/// What the two families do differently.
#[derive(Clone, Copy)]
struct Family {
    stem: fn(i64) -> Conv,
    pool: bool,
    shortcut: &'static str,
    head: &'static str,
}

const CIFAR: Family =
    Family { stem: |c| Conv::same(c, 64, 3, 1), pool: false, shortcut: "shortcut", head: "linear" };
const IMAGENET: Family =
    Family { stem: |c| Conv::same(c, 64, 7, 2), pool: true, shortcut: "downsample", head: "fc" };

struct Block {
    convs: Vec<Affine>,
    shortcut: Option<Affine>, // none where shapes agree: the identity
}

/// How to build one block from channels in, width and stride.
type BlockOf = fn(&Builder, Family, i64, i64, i64) -> (Block, i64);

impl Block {
    /// Two 3×3 convolutions; and its channels out.
    fn basic(b: &Builder, family: Family, c_in: i64, width: i64, stride: i64) -> (Block, i64) {
        let convs = [Conv::same(c_in, width, 3, stride), Conv::same(width, width, 3, 1)];
        (Block::new(b, family, &convs, stride), width)
    }

    /// 1×1 to `width` channels, 3×3, 1×1 to four times as many.
    fn bottleneck(b: &Builder, family: Family, c_in: i64, width: i64, stride: i64) -> (Block, i64) {
        let convs = [
            Conv::same(c_in, width, 1, 1),
            Conv::same(width, width, 3, stride),
            Conv::same(width, 4 * width, 1, 1),
        ];
        (Block::new(b, family, &convs, stride), 4 * width)
    }

    fn new(b: &Builder, family: Family, convs: &[Conv], stride: i64) -> Block {
        let (c_in, c_out) = (convs[0].c_in, convs[convs.len() - 1].c_out);
        let named = |(i, conv): (usize, &Conv)| {
            Affine::conv(b, &format!("conv{}", i + 1), Some(&format!("bn{}", i + 1)), *conv)
        };
        let shortcut = (stride != 1 || c_in != c_out).then(|| {
            let conv = Conv::same(c_in, c_out, 1, stride);
            Affine::conv(&b.sub(family.shortcut), "0", Some("1"), conv)
        });
        Block { convs: convs.iter().enumerate().map(named).collect(), shortcut }
    }

    fn forward(&self, x: &Tensor, ops: &dyn Ops) -> Tensor {
        let (last, first) = self.convs.split_last().expect("a block has two or three");
        let inner = first
            .iter()
            .fold(x.shallow_clone(), |x, conv| ops.act(&Activation::Relu, &ops.affine(conv, &x)));
        let shortcut = match &self.shortcut {
            Some(conv) => ops.affine(conv, x),
            None => x.shallow_clone(),
        };
        ops.act(&Activation::Relu, &(ops.affine(last, &inner) + shortcut))
    }
}

struct ResNet {
    stem: Affine,
    pool: bool,
    stages: Vec<Vec<Block>>,
    head: Affine,
}

impl ResNet {
    fn new(b: &Builder, shape: &Shape, depth: [usize; 4], block: BlockOf, family: Family) -> Self {
        let stem = Affine::conv(b, "conv1", Some("bn1"), (family.stem)(shape.image[0]));
        let mut channels = 64;
        let mut stage = |i: usize| -> Vec<Block> {
            let b = b.sub(&format!("layer{}", i + 1));
            let mut one = |j: usize| {
                let stride = if j == 0 && i > 0 { 2 } else { 1 };
                let (built, c_out) =
                    block(&b.sub(&j.to_string()), family, channels, 64 << i, stride);
                channels = c_out;
                built
            };
            (0..depth[i]).map(&mut one).collect()
        };
        let stages = (0..4).map(&mut stage).collect();
        let head = Affine::linear(b, family.head, channels, shape.classes);
        ResNet { stem, pool: family.pool, stages, head }
    }
}

const TAPS: [&str; 5] = ["stem", "layer1", "layer2", "layer3", "layer4"];

impl Model for ResNet {
    fn forward(&self, x: &Tensor, ops: &dyn Ops) -> Tensor {
        let mut x = ops.tap(TAPS[0], ops.act(&Activation::Relu, &ops.affine(&self.stem, x)));
        if self.pool {
            x = ops.max_pool(Pool::square(3, 2, 1), &x);
        }
        for (stage, name) in self.stages.iter().zip(&TAPS[1..]) {
            x = stage.iter().fold(x, |x, block| block.forward(&x, ops));
            x = ops.tap(name, x);
        }
        ops.affine(&self.head, &x.mean_dim([2, 3].as_slice(), false, None))
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
