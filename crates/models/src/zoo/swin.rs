//! Swin-T for 32×32 images (Liu et al. 2021) as in kentaroy47/vision-transformers-cifar10, whose
//! names it has: 2×2 patches, windows of 4×4, one relative bias for all heads, masks in the state
//! dict, no drop-path. Image sides must be multiples of 32.

use super::{Arch, Shape, layer_norm::LayerNorm};
use crate::{Activation, Affine, Builder, Init, Model, Ops, Role};
use tch::{Device, Kind, Tensor};

pub(super) const SWIN_T: Arch = Arch {
    name: "swin-t",
    about: "Swin-T for 32×32 images, windows of 4; names of vision-transformers-cifar10",
    shape: Shape::CIFAR10,
    normalise: "cifar10",
    sides: (32, 32),
    renames: &[],
    unused: &[],
    build,
};

const EPS: f64 = 1e-5;
const WINDOW: i64 = 4;
const SHIFT: i64 = WINDOW / 2;
const AREA: i64 = WINDOW * WINDOW;
const SPAN: i64 = 2 * WINDOW - 1; // relative positions along one axis
const HEAD: i64 = 32;
/// Width, pairs of blocks, heads and patch side of each stage.
const STAGES: [(i64, usize, i64, i64); 4] =
    [(96, 1, 3, 2), (192, 1, 6, 2), (384, 3, 12, 2), (768, 1, 24, 1)];

/// Attention within windows; shifted by half a window where it has masks.
struct Attention {
    to_qkv: Affine,
    to_out: Affine,
    position: Tensor,           // [SPAN, SPAN]
    relative: Tensor,           // [AREA * AREA], where in `position` each pair of places is
    masks: Option<[Tensor; 2]>, // [AREA, AREA] each: for the last row, the last column of windows
    heads: i64,
}

impl Attention {
    fn new(b: &Builder, width: i64, heads: i64, shifted: bool) -> Self {
        let mask = |name, init| b.buffer(name, &[AREA, AREA], Init::Fixed(init), Role::Fixed);
        let masks = shifted.then(|| {
            [mask("upper_lower_mask", rows_apart), mask("left_right_mask", columns_apart)]
        });
        let position = b.weight("pos_embedding", &[SPAN, SPAN], Init::Normal { std: 1. });
        Attention {
            to_qkv: Affine::linear_with(b, "to_qkv", width, 3 * heads * HEAD, false),
            to_out: Affine::linear(b, "to_out", heads * HEAD, width),
            relative: relative_places().to_device(position.device()),
            position,
            masks,
            heads,
        }
    }

    /// x `[N, H, W, C]` -> the same shape.
    fn forward(&self, x: &Tensor, ops: &dyn Ops) -> Tensor {
        if self.masks.is_none() {
            return self.in_windows(x, ops);
        }
        let shifted = x.roll([-SHIFT, -SHIFT], [1, 2]);
        self.in_windows(&shifted, ops).roll([SHIFT, SHIFT], [1, 2])
    }

    fn in_windows(&self, x: &Tensor, ops: &dyn Ops) -> Tensor {
        let size = x.size();
        let (n, rows, columns, heads) = (size[0], size[1] / WINDOW, size[2] / WINDOW, self.heads);
        let qkv = ops.affine(&self.to_qkv, x);
        let qkv = qkv.reshape([n, rows, WINDOW, columns, WINDOW, 3, heads, HEAD]);
        let qkv = qkv.permute([5, 0, 6, 1, 3, 2, 4, 7]);
        let qkv = qkv.reshape([3, n, heads, rows * columns, AREA, HEAD]);
        let (q, k, v) = (qkv.get(0), qkv.get(1), qkv.get(2));
        let bias = self.position.view(-1).index_select(0, &self.relative).view([AREA, AREA]);
        let scores = ops.other(q.matmul(&k.transpose(-2, -1))) * (HEAD as f64).powf(-0.5) + bias;
        let scores = match &self.masks {
            Some(masks) => scores + window_masks(masks, rows, columns),
            None => scores,
        };
        let attention = ops.other(scores.softmax(-1, scores.kind())).to_kind(v.kind());
        let split = [n, heads, rows, columns, WINDOW, WINDOW, HEAD];
        let out = ops.other(attention.matmul(&v)).view(&split[..]).permute([0, 2, 4, 3, 5, 1, 6]);
        ops.affine(&self.to_out, &out.reshape([n, size[1], size[2], heads * HEAD]))
    }
}

/// Both masks where they apply -> `[rows * columns, AREA, AREA]`.
fn window_masks([lower, right]: &[Tensor; 2], rows: i64, columns: i64) -> Tensor {
    let all = Tensor::zeros([rows, columns, AREA, AREA], (lower.kind(), lower.device()));
    let _ = all.narrow(0, rows - 1, 1).g_add_(lower);
    let _ = all.narrow(1, columns - 1, 1).g_add_(right);
    all.view([rows * columns, AREA, AREA])
}

/// −∞ between places on different sides of the seam that the shift moves into a window.
fn apart(side: impl Fn(i64) -> bool) -> Tensor {
    let entry = |i: i64| match side(i / AREA) == side(i % AREA) {
        true => 0.,
        false => f32::NEG_INFINITY,
    };
    let entries: Vec<f32> = (0..AREA * AREA).map(entry).collect();
    Tensor::from_slice(&entries).view([AREA, AREA])
}

fn rows_apart() -> Tensor {
    apart(|place| place / WINDOW >= WINDOW - SHIFT)
}

fn columns_apart() -> Tensor {
    apart(|place| place % WINDOW >= WINDOW - SHIFT)
}

/// For places i, j of a window: the entry of `position` at coordinates j − i + WINDOW − 1.
fn relative_places() -> Tensor {
    let place = Tensor::arange(AREA, (Kind::Int64, Device::Cpu));
    let along = |coordinate: &Tensor| {
        coordinate.unsqueeze(0) - coordinate.unsqueeze(1) + (WINDOW - 1) // [i, j]
    };
    let row = along(&place.divide_scalar_mode(WINDOW, "floor"));
    let column = along(&place.remainder(WINDOW));
    (row * SPAN + column).view(-1)
}

struct Block {
    norm1: LayerNorm,
    attention: Attention,
    norm2: LayerNorm,
    expand: Affine,
    contract: Affine,
}

impl Block {
    fn new(b: &Builder, width: i64, heads: i64, shifted: bool) -> Self {
        let (attention, mlp) = (b.sub("attention_block.fn"), b.sub("mlp_block.fn"));
        let net = mlp.sub("fn.net");
        Block {
            norm1: LayerNorm::new(&attention, "norm", width, EPS),
            attention: Attention::new(&attention.sub("fn"), width, heads, shifted),
            norm2: LayerNorm::new(&mlp, "norm", width, EPS),
            expand: Affine::linear(&net, "0", width, 4 * width),
            contract: Affine::linear(&net, "2", 4 * width, width),
        }
    }

    fn forward(&self, x: &Tensor, ops: &dyn Ops) -> Tensor {
        let x = x + self.attention.forward(&self.norm1.forward(x, ops), ops);
        let inner =
            ops.act(&Activation::Gelu, &ops.affine(&self.expand, &self.norm2.forward(&x, ops)));
        x + ops.affine(&self.contract, &inner)
    }
}

struct Stage {
    patch: i64,
    embed: Affine,
    blocks: Vec<Block>,
}

impl Stage {
    fn new(b: &Builder, c_in: i64, (width, pairs, heads, patch): (i64, usize, i64, i64)) -> Self {
        let block = |i: usize| {
            let b = b.sub(&format!("layers.{}.{}", i / 2, i % 2));
            Block::new(&b, width, heads, i % 2 == 1)
        };
        let embed = b.sub("patch_partition");
        Stage {
            patch,
            embed: Affine::linear(&embed, "linear", c_in * patch * patch, width),
            blocks: (0..2 * pairs).map(block).collect(),
        }
    }

    /// x `[N, C, H, W]` -> `[N, width, H / patch, W / patch]`.
    fn forward(&self, x: &Tensor, ops: &dyn Ops) -> Tensor {
        let (n, c, h, w) = x.size4().expect("images and stages have four axes");
        let (p, rows, columns) = (self.patch, h / self.patch, w / self.patch);
        let patches = x.reshape([n, c, rows, p, columns, p]).permute([0, 2, 4, 1, 3, 5]);
        let x = ops.affine(&self.embed, &patches.reshape([n, rows, columns, c * p * p]));
        let x = self.blocks.iter().fold(x, |x, block| block.forward(&x, ops));
        x.permute([0, 3, 1, 2])
    }
}

struct Swin {
    stages: Vec<Stage>,
    norm: LayerNorm,
    head: Affine,
}

fn build(b: &Builder, shape: &Shape) -> Box<dyn Model> {
    let mut channels = shape.image[0];
    let mut stages = vec![];
    for (i, row) in STAGES.into_iter().enumerate() {
        stages.push(Stage::new(&b.sub(&format!("stage{}", i + 1)), channels, row));
        channels = row.0;
    }
    let head = b.sub("mlp_head");
    Box::new(Swin {
        stages,
        norm: LayerNorm::new(&head, "0", channels, EPS),
        head: Affine::linear(&head, "1", channels, shape.classes),
    })
}

const TAPS: [&str; 4] = ["stage1", "stage2", "stage3", "stage4"];

impl Model for Swin {
    fn forward(&self, x: &Tensor, ops: &dyn Ops) -> Tensor {
        let mut x = x.shallow_clone();
        for (stage, name) in self.stages.iter().zip(TAPS) {
            x = ops.tap(name, stage.forward(&x, ops));
        }
        let x = self.norm.forward(&x.mean_dim([2, 3].as_slice(), false, None), ops);
        ops.affine(&self.head, &x)
    }

    fn activation(&self) -> Option<Activation> {
        Some(Activation::Gelu)
    }

    fn taps(&self) -> Vec<&str> {
        TAPS.to_vec()
    }
}
