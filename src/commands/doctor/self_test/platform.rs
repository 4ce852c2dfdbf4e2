//! Single operations: those that other kernels stand on.

use super::{Lines, side::apart};
use crate::runtime::cuda;
use anyhow::Result;
use models::{linalg, noise};
use tch::{Device, Kind, Tensor};

/// An operation of two matrices `[n, 32, 32]`.
type Operation = (&'static str, fn(&Tensor, &Tensor) -> Tensor);

/// Each with what it stands for here.
const OPERATIONS: &[Operation] = &[
    ("matmul", |a, b| a.matmul(b)),
    ("convolution", |a, b| conv(a, b)),
    ("convolution, gradient", |a, b| gradient(a, b, false)),
    ("convolution, second derivative", |a, b| gradient(a, b, true)),
    ("softmax", |a, _| a.softmax(-1, a.kind())),
    ("softplus", |a, _| (a * 20.).softplus()),
    ("sort", |a, _| a.sort(-1, true).0),
    ("argsort", |a, _| a.argsort(-1, true)),
    ("topk", |a, _| a.topk(7, -1, true, true).0),
    ("cumsum", |a, _| a.cumsum(-1, a.kind())),
    ("gather", |a, b| a.gather(-1, &b.argsort(-1, false), false)),
    ("eigh", |a, _| linalg::eigvalsh(&symmetric(a))),
    ("solution by a factor", |a, b| linalg::Cholesky::of(&definite(a)).solve(b)),
    ("pseudoinverse", |a, _| linalg::pinv(&definite(a))),
    ("max_pool", |a, _| a.unsqueeze(1).max_pool2d([2, 2], [2, 2], [0, 0], [1, 1], false)),
    ("interpolate", |a, _| a.unsqueeze(1).upsample_bilinear2d([50, 50], false, None, None)),
];

fn conv(a: &Tensor, b: &Tensor) -> Tensor {
    let kernel = b.narrow(1, 0, 3).narrow(2, 0, 3).unsqueeze(1); // [n, 1, 3, 3]
    a.unsqueeze(1).conv2d(&kernel, None::<&Tensor>, [1, 1], [1, 1], [1, 1], 1)
}

/// ∂/∂a Σ f², or ∂/∂b of the squares of that.
fn gradient(a: &Tensor, b: &Tensor, twice: bool) -> Tensor {
    let [a, b] = [a, b].map(|t| t.detach().set_requires_grad(true));
    let loss = conv(&a, &b).square().sum(None::<Kind>);
    let g = Tensor::run_backward(&[loss], &[&a], twice, twice).remove(0);
    if !twice {
        return g;
    }
    Tensor::run_backward(&[g.square().sum(None::<Kind>)], &[&b], false, false).remove(0)
}

fn symmetric(a: &Tensor) -> Tensor {
    a + a.transpose(-1, -2)
}

fn definite(a: &Tensor) -> Tensor {
    a.matmul(&a.transpose(-1, -2)) + Tensor::eye(32, (a.kind(), a.device()))
}

pub fn run(lines: &mut Lines, device: Device) -> Result<()> {
    let draw = |key| noise::normal(&[key, key + 1, key + 2, key + 3], &[32, 32], Device::Cpu);
    let expected = [draw(0), draw(9)].map(|t| t.to_kind(Kind::Double));
    let mut kinds = vec![("f32", Kind::Float, 1e-4)];
    if device != Device::Cpu {
        kinds.insert(0, ("f64", Kind::Double, 1e-10));
    }
    for (name, kind, bound) in kinds {
        let [a, b] = expected.each_ref().map(|t| t.to_device(device).to_kind(kind));
        for (what, operation) in OPERATIONS {
            let right = operation(&expected[0], &expected[1]);
            lines.difference(name, what, apart(&operation(&a, &b), &right, true), bound);
        }
    }
    draws(lines, device);
    match cuda::compile() {
        Some(compiled) => {
            let why = compiled.as_ref().err().cloned().unwrap_or_default();
            lines.holds("", "kernels compiled at run time (NVRTC)", compiled.is_ok(), &why);
        }
        None => {
            lines.skipped("", "kernels compiled at run time (NVRTC)", "no CUDA in this libtorch")
        }
    }
    Ok(())
}

/// What is drawn must be the same everywhere: uniform numbers to the bit, normal ones nearly.
fn draws(lines: &mut Lines, device: Device) {
    let keys: Vec<u64> = (0..64).collect();
    let here = noise::uniform(&keys, &[3, 17], device).to_device(Device::Cpu);
    let same = here.equal(&noise::uniform(&keys, &[3, 17], Device::Cpu));
    lines.holds("f32", "uniform draws are the CPU's bits", same, "");
    let here = noise::normal(&keys, &[3, 17], device);
    let off = apart(&here, &noise::normal(&keys, &[3, 17], Device::Cpu), true);
    lines.difference("f32", "normal draws", off, 1e-6);
}
