//! VGG16 with batch norm for 32×32 images (Simonyan & Zisserman 2015, configuration D, one linear
//! layer). Parameter names: kuangliu/pytorch-cifar.

use super::{Arch, Shape};
use crate::{Activation, Affine, Builder, Conv, Model, Ops, Pool};
use tch::Tensor;

pub(super) const VGG16: Arch = Arch {
    name: "vgg16",
    about: "VGG16 with batch norm for 32×32 images; names of kuangliu/pytorch-cifar",
    shape: Shape::CIFAR10,
    normalise: "cifar10",
    sides: (32, 1),
    renames: &[("features.module", "features")],
    unused: &[],
    build,
};

/// Channels of each convolution; a max-pool ends each group.
const GROUPS: [&[i64]; 5] =
    [&[64, 64], &[128, 128], &[256, 256, 256], &[512, 512, 512], &[512, 512, 512]];

struct Vgg {
    groups: Vec<Vec<Affine>>,
    classifier: Affine,
}

fn build(b: &Builder, shape: &Shape) -> Box<dyn Model> {
    let features = b.sub("features");
    // counted as PyTorch counts the entries of `features`: convolution, norm, ReLU, …, pool
    let (mut entry, mut channels) = (0, shape.image[0]);
    let mut groups = vec![];
    for group in GROUPS {
        let mut convs = vec![];
        for &c_out in group {
            let (name, norm) = (entry.to_string(), (entry + 1).to_string());
            let conv = Conv::same(channels, c_out, 3, 1);
            convs.push(Affine::conv_with(&features, &name, Some(&norm), conv, true));
            (entry, channels) = (entry + 3, c_out);
        }
        groups.push(convs);
        entry += 1;
    }
    Box::new(Vgg { groups, classifier: Affine::linear(b, "classifier", 512, shape.classes) })
}

const TAPS: [&str; 5] = ["group1", "group2", "group3", "group4", "group5"];

impl Model for Vgg {
    fn forward(&self, x: &Tensor, ops: &dyn Ops) -> Tensor {
        let mut x = x.shallow_clone();
        for (group, name) in self.groups.iter().zip(TAPS) {
            x = group.iter().fold(x, |x, conv| ops.act(&Activation::Relu, &ops.affine(conv, &x)));
            x = ops.max_pool(Pool::square(2, 2, 0), &ops.tap(name, x));
        }
        ops.affine(&self.classifier, &x.mean_dim([2, 3].as_slice(), false, None))
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
