//! Convolutions, pools and norms in the generality of other people's networks.

use models::{Affine, Builder, Conv, Init, Norm, Ops, Plain, Pool, Precision, Role, noise};
use tch::{Device, Kind, Tensor};

fn draw(seed: u64, shape: &[i64]) -> Tensor {
    noise::normal(&[seed], shape, Device::Cpu).squeeze_dim(0)
}

fn apart(a: &Tensor, b: &Tensor) -> f64 {
    assert_eq!(a.size(), b.size());
    (a - b).abs().max().double_value(&[])
}

/// Σ over the kernel, written as slices of the padded image.
fn slowly(x: &Tensor, w: &Tensor, conv: Conv, out: [i64; 2]) -> Tensor {
    let Conv { kernel, stride, padding: [ph, pw], dilation, groups, .. } = conv;
    let padded = x.constant_pad_nd([pw, pw, ph, ph]);
    let along = |t: &Tensor, axis: usize, place: i64| {
        let from = place * dilation[axis];
        t.slice(2 + axis as i64, from, from + stride[axis] * (out[axis] - 1) + 1, stride[axis])
    };
    let (xs, ws) = (padded.chunk(groups, 1), w.chunk(groups, 0));
    let group = |(x, w): (&Tensor, &Tensor)| -> Tensor {
        let entry = |(i, j): (i64, i64)| {
            let (piece, w) = (along(&along(x, 0, i), 1, j), w.select(3, j).select(2, i));
            Tensor::einsum("nchw,oc->nohw", &[piece, w], None::<&[i64]>)
        };
        (0..kernel[0]).flat_map(|i| (0..kernel[1]).map(move |j| (i, j))).map(entry).sum()
    };
    Tensor::cat(&xs.iter().zip(&ws).map(group).collect::<Vec<_>>(), 1)
}

#[test]
fn convolutions_have_sides_steps_and_groups_of_their_own() {
    let conv = Conv {
        c_in: 4,
        c_out: 6,
        kernel: [3, 2],
        stride: [2, 1],
        padding: [1, 2],
        dilation: [1, 3],
        groups: 2,
    };
    let b = Builder::new(1, Device::Cpu);
    let layer = Affine::conv_with(&b, "conv", None, conv, false);
    let w = layer.weights().0;
    assert_eq!(w.size(), [6, 2, 3, 2]);
    let x = draw(2, &[2, 4, 7, 8]);
    let expected = slowly(&x, &w, conv, [4, 9]);
    assert!(apart(&layer.eval(&x).detach(), &expected) < 1e-5);
}

#[test]
fn one_axis_is_two_with_a_height_of_one() {
    let conv = Conv { kernel: [1, 3], padding: [0, 1], stride: [1, 2], ..Conv::same(2, 5, 1, 1) };
    let layer = Affine::conv(&Builder::new(1, Device::Cpu), "conv", None, conv);
    let (w, bias) = layer.weights();
    let x = draw(2, &[3, 2, 9]);
    let expected = x.conv1d(&w.squeeze_dim(2), bias.as_ref(), 2, 1, 1, 1);
    let found = layer.eval(&x.unsqueeze(2)).squeeze_dim(2).detach();
    assert!(apart(&found, &expected) < 1e-6);
    let pool = Pool { kernel: [1, 3], stride: [1, 2], padding: [[0; 2], [1; 2]], dilation: [1, 1] };
    let found = Plain.max_pool(pool, &x.unsqueeze(2)).squeeze_dim(2);
    assert_eq!(found, x.max_pool1d(3, 2, 1, 1, false));
}

#[test]
fn pools_have_sides_steps_and_pads_of_their_own() {
    let x = draw(3, &[2, 3, 7, 8]);
    for padding in [[[1, 1], [0, 0]], [[0, 2], [0, 1]], [[2, 0], [1, 0]], [[2, 2], [0, 0]]] {
        let pool = Pool { kernel: [3, 2], stride: [1, 2], padding, dilation: [2, 3] };
        let [[top, bottom], [left, right]] = padding;
        let padded = x.pad([left, right, top, bottom], "constant", f64::NEG_INFINITY);
        let found = pool.apply(&x);
        assert_eq!(found.size(), [2, 3, 3 + top + bottom, 3]);
        for (row, column) in [(0i64, 0i64), (2, 1), (4, 2)] {
            let entries = (0..3).flat_map(|i| (0..2).map(move |j| (i, j)));
            let entries =
                entries.map(|(i, j)| padded.select(3, 2 * column + 3 * j).select(2, row + 2 * i));
            let expected = entries.reduce(|a, b| a.maximum(&b)).unwrap();
            assert_eq!(found.select(3, column).select(2, row), expected);
        }
        let (values, places) = pool.winners(&x);
        let at = x.flatten(2, -1).gather(2, &places.flatten(2, -1), false).view_as(&places);
        assert_eq!((&at, &values), (&values, &found), "{padding:?}");
    }
}

/// A norm with constants of its own.
fn norm(b: &Builder, n: i64, eps: f64, momentum: f64) -> Norm {
    Norm {
        scale: b.weight("scale", &[n], Init::Normal { std: 1. }),
        shift: b.weight("shift", &[n], Init::Normal { std: 1. }),
        running_mean: b.buffer("mean", &[n], Init::Const(0.25), Role::Mean),
        running_var: b.buffer("var", &[n], Init::Const(0.5), Role::Variance),
        eps,
        momentum,
    }
}

#[test]
fn a_norm_after_a_linear_layer_has_its_own_constants() {
    let b = Builder::new(4, Device::Cpu);
    let stored = b.weight("w", &[5, 3], Init::Normal { std: 1. });
    let norm = norm(&b, 3, 0.125, 0.25);
    let (scale, shift) = (norm.scale.detach(), norm.shift.detach());
    let mean = norm.running_mean.shallow_clone();
    let of = stored.shallow_clone();
    let layer = Affine::computed(&b, move || (of.tr(), None), Some(norm), None);
    let x = draw(5, &[8, 5]);
    let z = x.matmul(&stored.detach());
    let expected = (&z - 0.25) / (0.5f64 + 0.125).sqrt() * scale + shift;
    for found in [layer.eval(&x), layer.fused(&x, Precision::F32), layer.scaled(&x, 1.)] {
        assert!(apart(&found.detach(), &expected) < 1e-5);
    }
    let _ = layer.train(&x, Precision::F32);
    let moved = z.mean_dim([0].as_slice(), false, Kind::Float) * 0.25 + 0.25 * 0.75;
    assert!(apart(&mean, &moved) < 1e-6);
}

#[test]
fn training_through_a_view_moves_the_stored_tensor() {
    let b = Builder::new(6, Device::Cpu);
    let stored = b.weight("w", &[4, 2], Init::Normal { std: 1. });
    let of = stored.shallow_clone();
    let layer = Affine::computed(&b, move || (of.tr(), None), None, None);
    let (x, y) = (draw(7, &[16, 4]), draw(8, &[16, 2]));
    let mut by_hand = stored.detach().copy();
    for _ in 0..3 {
        (layer.train(&x, Precision::F32) - &y).square().sum(Kind::Float).backward();
        let step = x.tr().matmul(&(x.matmul(&by_hand) - &y)) * -0.02;
        by_hand += step;
        tch::no_grad(|| {
            let (mut stored, mut gradient) = (stored.shallow_clone(), stored.grad());
            let _ = stored.g_add_(&(&gradient * -0.01));
            let _ = gradient.zero_();
        });
        assert!(apart(&stored.detach(), &by_hand) < 1e-4);
        assert!(apart(&layer.eval(&x).detach(), &x.matmul(&by_hand)) < 1e-4);
    }
    let frozen = Builder::folded(&b.params(), Precision::F32, true);
    let of = frozen.weight("w", &[4, 2], Init::Normal { std: 1. });
    let folded = Affine::computed(&frozen, move || (of.tr(), None), None, None);
    assert!(apart(&folded.eval(&x), &x.matmul(&by_hand)) < 1e-4);
    assert!(!folded.eval(&x).requires_grad());
}
