//! GoogLeNet for 32×32 images with batch norm (Szegedy et al. 2015, table 1 from `inception 3a`
//! on; two 3×3 convolutions where the paper has one 5×5). Names: kuangliu/pytorch-cifar.

use super::{Arch, Shape};
use crate::{Activation, Affine, Builder, Conv, Model, Ops, Pool};
use tch::Tensor;

pub(super) const GOOGLENET: Arch = Arch {
    name: "googlenet",
    about: "GoogLeNet (Inception v1) for 32×32 images; names of kuangliu/pytorch-cifar",
    shape: Shape::CIFAR10,
    normalise: "cifar10",
    sides: (1, 1),
    renames: &[],
    unused: &[],
    build,
};

/// Name and branch widths of each block: 1×1; 1×1 then 3×3; 1×1 then twice 3×3; pool then 1×1.
type Row = (&'static str, i64, [i64; 2], [i64; 2], i64);

/// The stages between max-pools.
const STAGES: [&[Row]; 3] = [
    &[("a3", 64, [96, 128], [16, 32], 32), ("b3", 128, [128, 192], [32, 96], 64)],
    &[
        ("a4", 192, [96, 208], [16, 48], 64),
        ("b4", 160, [112, 224], [24, 64], 64),
        ("c4", 128, [128, 256], [24, 64], 64),
        ("d4", 112, [144, 288], [32, 64], 64),
        ("e4", 256, [160, 320], [32, 128], 128),
    ],
    &[("a5", 256, [160, 320], [32, 128], 128), ("b5", 384, [192, 384], [48, 128], 128)],
];

struct Inception {
    branches: [Vec<Affine>; 4], // the last one after a max-pool
}

impl Inception {
    fn new(b: &Builder, c_in: i64, row: &Row) -> Self {
        let &(_, one, [reduce3, three], [reduce5, five], pool) = row;
        let branch = |name: &str, first: i64, widths: &[(i64, i64)]| {
            let b = b.sub(name);
            let (mut entry, mut channels) = (first, c_in);
            let mut convs = vec![];
            for &(kernel, c_out) in widths {
                convs.push(unit(&b, entry, Conv::same(channels, c_out, kernel, 1)));
                (entry, channels) = (entry + 3, c_out);
            }
            convs
        };
        Inception {
            branches: [
                branch("b1", 0, &[(1, one)]),
                branch("b2", 0, &[(1, reduce3), (3, three)]),
                branch("b3", 0, &[(1, reduce5), (3, five), (3, five)]),
                branch("b4", 1, &[(1, pool)]),
            ],
        }
    }

    fn forward(&self, x: &Tensor, ops: &dyn Ops) -> Tensor {
        let pooled = ops.max_pool(Pool::square(3, 1, 1), x);
        let branch = |(i, convs): (usize, &Vec<Affine>)| {
            let x = if i == 3 { &pooled } else { x }.shallow_clone();
            convs.iter().fold(x, |x, conv| ops.act(&Activation::Relu, &ops.affine(conv, &x)))
        };
        let outputs: Vec<Tensor> = self.branches.iter().enumerate().map(branch).collect();
        Tensor::cat(&outputs, 1)
    }
}

/// Entry `i` of a published list is the convolution, entry `i + 1` its norm.
fn unit(b: &Builder, i: i64, conv: Conv) -> Affine {
    Affine::conv_with(b, &i.to_string(), Some(&(i + 1).to_string()), conv, true)
}

struct GoogLeNet {
    stem: Affine,
    stages: Vec<Vec<Inception>>,
    linear: Affine,
}

fn build(b: &Builder, shape: &Shape) -> Box<dyn Model> {
    let stem = unit(&b.sub("pre_layers"), 0, Conv::same(shape.image[0], 192, 3, 1));
    let mut channels = 192;
    let mut block = |row: &Row| {
        let built = Inception::new(&b.sub(row.0), channels, row);
        channels = row.1 + row.2[1] + row.3[1] + row.4;
        built
    };
    let stages = STAGES.iter().map(|rows| rows.iter().map(&mut block).collect()).collect();
    Box::new(GoogLeNet { stem, stages, linear: Affine::linear(b, "linear", 1024, shape.classes) })
}

const TAPS: [&str; 4] = ["stem", "inception3", "inception4", "inception5"];

impl Model for GoogLeNet {
    fn forward(&self, x: &Tensor, ops: &dyn Ops) -> Tensor {
        let mut x = ops.tap(TAPS[0], ops.act(&Activation::Relu, &ops.affine(&self.stem, x)));
        for (i, stage) in self.stages.iter().enumerate() {
            if i > 0 {
                x = ops.max_pool(Pool::square(3, 2, 1), &x);
            }
            x = stage.iter().fold(x, |x, block| block.forward(&x, ops));
            x = ops.tap(TAPS[i + 1], x);
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
