//! Vision transformers on patches of 16×16 pixels (Dosovitskiy et al. 2021), with the names of
//! transformers' ViTForImageClassification: one token for the class, a learned place for each token,
//! norms before attention and before the perceptron, no dropout. Image sides are multiples of 16; the
//! places fit images of one size.

use super::{Arch, Shape, layer_norm::LayerNorm};
use crate::{Activation, Affine, Builder, Conv, Init, Model, Ops};
use tch::Tensor;

pub(super) const VIT_B16: Arch = Arch {
    name: "vit-b16",
    about: "ViT-Base for ImageNet, patches of 16; names of transformers",
    build: |b, shape| build(b, shape, &BASE),
    ..ANY
};

pub(super) const VIT_S16: Arch = Arch {
    name: "vit-s16",
    about: "ViT-Small for ImageNet, patches of 16; names of transformers",
    build: |b, shape| build(b, shape, &SMALL),
    ..ANY
};

pub(super) const VIT_TI16: Arch = Arch {
    name: "vit-ti16",
    about: "ViT-Tiny for ImageNet, patches of 16; names of transformers",
    build: |b, shape| build(b, shape, &TINY),
    ..ANY
};

const ANY: Arch = Arch {
    name: "",
    about: "",
    shape: Shape::IMAGENET,
    normalise: "0.5/0.5",
    sides: (PATCH, PATCH),
    renames: &[],
    unused: &[],
    build: |b, shape| build(b, shape, &TINY),
};

const PATCH: i64 = 16;
const LAYERS: usize = 12;
const EPS: f64 = 1e-12;
/// Standard deviation of fresh places and of the class's token.
const INIT: Init = Init::Normal { std: 0.02 };

/// Width of tokens and number of heads, of 64 numbers each.
struct Size {
    width: i64,
    heads: i64,
}

const TINY: Size = Size { width: 192, heads: 3 };
const SMALL: Size = Size { width: 384, heads: 6 };
const BASE: Size = Size { width: 768, heads: 12 };

struct Attention {
    query: Affine,
    key: Affine,
    value: Affine,
    output: Affine,
    heads: i64,
}

impl Attention {
    fn new(b: &Builder, &Size { width, heads }: &Size) -> Self {
        let inside = b.sub("attention");
        Attention {
            query: Affine::linear(&inside, "query", width, width),
            key: Affine::linear(&inside, "key", width, width),
            value: Affine::linear(&inside, "value", width, width),
            output: Affine::linear(&b.sub("output"), "dense", width, width),
            heads,
        }
    }

    /// Tokens `[N, T, width]` -> the same shape.
    fn forward(&self, x: &Tensor, ops: &dyn Ops) -> Tensor {
        let size = x.size();
        let (n, tokens, width) = (size[0], size[1], size[2]);
        let head = width / self.heads;
        let split = |layer: &Affine| {
            ops.affine(layer, x).view([n, tokens, self.heads, head]).transpose(1, 2)
        };
        let (q, k, v) = (split(&self.query), split(&self.key), split(&self.value));
        let scores = ops.other(q.matmul(&k.transpose(-2, -1))) * (head as f64).powf(-0.5);
        let attention = ops.other(scores.softmax(-1, scores.kind()));
        let out = ops.other(attention.to_kind(v.kind()).matmul(&v));
        ops.affine(&self.output, &out.transpose(1, 2).reshape([n, tokens, width]))
    }
}

struct Block {
    norm1: LayerNorm,
    attention: Attention,
    norm2: LayerNorm,
    expand: Affine,
    contract: Affine,
}

impl Block {
    fn new(b: &Builder, size: &Size) -> Self {
        let width = size.width;
        Block {
            norm1: LayerNorm::new(b, "layernorm_before", width, EPS),
            attention: Attention::new(&b.sub("attention"), size),
            norm2: LayerNorm::new(b, "layernorm_after", width, EPS),
            expand: Affine::linear(&b.sub("intermediate"), "dense", width, 4 * width),
            contract: Affine::linear(&b.sub("output"), "dense", 4 * width, width),
        }
    }

    fn forward(&self, x: &Tensor, ops: &dyn Ops) -> Tensor {
        let x = x + self.attention.forward(&self.norm1.forward(x, ops), ops);
        let inner =
            ops.act(&Activation::Gelu, &ops.affine(&self.expand, &self.norm2.forward(&x, ops)));
        x + ops.affine(&self.contract, &inner)
    }
}

struct Vit {
    embed: Affine,
    class: Tensor,  // [1, 1, width]
    places: Tensor, // [1, 1 + patches, width]
    blocks: Vec<Block>,
    norm: LayerNorm,
    head: Affine,
}

fn build(b: &Builder, shape: &Shape, size: &Size) -> Box<dyn Model> {
    let (vit, width) = (b.sub("vit"), size.width);
    let [channels, height, side] = shape.image;
    let embeddings = vit.sub("embeddings");
    let patch = Conv {
        stride: [PATCH, PATCH],
        padding: [0, 0],
        ..Conv::same(channels, width, PATCH, PATCH)
    };
    let projection = embeddings.sub("patch_embeddings");
    let tokens = 1 + (height / PATCH) * (side / PATCH);
    let encoder = vit.sub("encoder");
    Box::new(Vit {
        embed: Affine::conv_with(&projection, "projection", None, patch, true),
        class: embeddings.weight("cls_token", &[1, 1, width], INIT),
        places: embeddings.weight("position_embeddings", &[1, tokens, width], INIT),
        blocks: (0..LAYERS)
            .map(|i| Block::new(&encoder.sub(&format!("layer.{i}")), size))
            .collect(),
        norm: LayerNorm::new(&vit, "layernorm", width, EPS),
        head: Affine::linear(b, "classifier", width, shape.classes),
    })
}

/// The tokens of patches after each block. Behind the last one only the class's token counts.
const TAPS: [&str; LAYERS - 1] = [
    "layer1", "layer2", "layer3", "layer4", "layer5", "layer6", "layer7", "layer8", "layer9",
    "layer10", "layer11",
];

impl Model for Vit {
    fn forward(&self, x: &Tensor, ops: &dyn Ops) -> Tensor {
        let patches = ops.affine(&self.embed, x);
        let (n, width, rows, columns) = patches.size4().expect("images have four axes");
        let class = self.class.expand([n, 1, width], false).to_kind(patches.kind());
        let mut x = Tensor::cat(&[class, patches.flatten(2, 3).transpose(1, 2)], 1) + &self.places;
        for (i, block) in self.blocks.iter().enumerate() {
            x = block.forward(&x, ops);
            if let Some(name) = TAPS.get(i) {
                let image = x.narrow(1, 1, rows * columns).transpose(1, 2);
                let image = ops.tap(name, image.reshape([n, width, rows, columns]));
                x = Tensor::cat(&[x.narrow(1, 0, 1), image.flatten(2, 3).transpose(1, 2)], 1);
            }
        }
        ops.affine(&self.head, &self.norm.forward(&x.select(1, 0), ops))
    }

    fn activation(&self) -> Option<Activation> {
        Some(Activation::Gelu)
    }

    fn taps(&self) -> Vec<&str> {
        TAPS.to_vec()
    }
}
