//! Two small networks with names of our own: the MNIST/CIFAR CNN of Madry et al. 2018 (two 5×5
//! convolutions, two dense layers) and the multilayer perceptron of Agarwal et al. 2021.

use super::{Arch, Shape};
use crate::{Activation, Affine, Conv, Model, Ops, Pool};
use tch::Tensor;

pub(super) const CNN: Arch = Arch {
    name: "cnn",
    about: "small CNN for MNIST or CIFAR: 2 convolutions, 2 dense layers (Madry, Yeh19)",
    shape: Shape::MNIST,
    normalise: "none",
    sides: (4, 1),
    renames: &[],
    unused: &[],
    build: |b, shape| {
        let [channels, height, width] = shape.image;
        let flat = 64 * (height / 4) * (width / 4);
        Box::new(Cnn {
            conv1: Affine::conv(b, "conv1", None, Conv::same(channels, 32, 5, 1)),
            conv2: Affine::conv(b, "conv2", None, Conv::same(32, 64, 5, 1)),
            fc1: Affine::linear(b, "fc1", flat, 1024),
            fc2: Affine::linear(b, "fc2", 1024, shape.classes),
        })
    },
};

pub(super) const MLP: Arch = Arch {
    name: "mlp",
    about: "multilayer perceptron for tables: two hidden layers of 10, ELU (Agarwal21)",
    shape: Shape { image: [2, 1, 1], classes: 2 },
    normalise: "none",
    sides: (1, 1),
    renames: &[],
    unused: &[],
    build: |b, shape| {
        Box::new(Mlp {
            hidden1: Affine::linear(b, "hidden1", shape.image.iter().product(), 10),
            hidden2: Affine::linear(b, "hidden2", 10, 10),
            linear: Affine::linear(b, "linear", 10, shape.classes),
        })
    },
};

struct Cnn {
    conv1: Affine,
    conv2: Affine,
    fc1: Affine,
    fc2: Affine,
}

impl Model for Cnn {
    fn forward(&self, x: &Tensor, ops: &dyn Ops) -> Tensor {
        let half = |x: Tensor| ops.max_pool(Pool::square(2, 2, 0), &x);
        let x = half(ops.tap("conv1", ops.act(&Activation::Relu, &ops.affine(&self.conv1, x))));
        let x = half(ops.tap("conv2", ops.act(&Activation::Relu, &ops.affine(&self.conv2, &x))));
        let x = ops.act(&Activation::Relu, &ops.affine(&self.fc1, &x.flatten(1, -1)));
        ops.affine(&self.fc2, &x)
    }

    fn activation(&self) -> Option<Activation> {
        Some(Activation::Relu)
    }

    fn taps(&self) -> Vec<&str> {
        vec!["conv1", "conv2"]
    }

    fn nonlinear_only_in_ops(&self) -> bool {
        true
    }
}

struct Mlp {
    hidden1: Affine,
    hidden2: Affine,
    linear: Affine,
}

impl Model for Mlp {
    fn forward(&self, x: &Tensor, ops: &dyn Ops) -> Tensor {
        let x = ops.tap(
            "hidden1",
            ops.act(&Activation::ELU, &ops.affine(&self.hidden1, &x.flatten(1, -1))),
        );
        let x = ops.tap("hidden2", ops.act(&Activation::ELU, &ops.affine(&self.hidden2, &x)));
        ops.affine(&self.linear, &x)
    }

    fn activation(&self) -> Option<Activation> {
        Some(Activation::ELU)
    }

    fn taps(&self) -> Vec<&str> {
        vec!["hidden1", "hidden2"]
    }

    fn nonlinear_only_in_ops(&self) -> bool {
        true
    }
}
