//! Functions whose maps are known, and images to explain them on.

use crate::of::Of;
use explain::{Attribution, Batch};
use models::{Target, noise, zoo::Shape};
use tch::{Device, Kind, Tensor};
use testkit::rule;

pub(crate) const IMAGE: [i64; 3] = [2, 3, 4];

/// Numbers of an image.
pub(crate) const D: i64 = 24;

pub(crate) fn drawn(key: u64, shape: &[i64]) -> Tensor {
    noise::normal(&[key], shape, Device::Cpu).squeeze_dim(0).to_kind(Kind::Double)
}

/// w · x + 0.3, w = `drawn(1, [D])`.
pub(crate) fn linear() -> Of<impl Fn(&Tensor) -> Tensor> {
    Of(|x: &Tensor| x.matmul(&drawn(1, &[D]).to_kind(x.kind())) + 0.3)
}

/// Neither linear nor quadratic.
pub(crate) fn bent() -> Of<impl Fn(&Tensor) -> Tensor> {
    let like = |x: &Tensor, key, shape: &[i64]| drawn(key, shape).to_kind(x.kind());
    Of(move |x: &Tensor| x.matmul(&like(x, 3, &[D, 5])).tanh().matmul(&like(x, 4, &[5])))
}

/// `n` images in f64, asked about the first logit.
pub(crate) fn batch(n: i64) -> Batch {
    let x = rule::images(n, &Shape { image: IMAGE, classes: 1 }).to_kind(Kind::Double);
    Batch::new(&x, &Target::logit(&Tensor::zeros([n], (Kind::Int64, Device::Cpu))))
}

pub(crate) fn method(spelled: &str) -> Box<dyn Attribution> {
    explain::parse(spelled).unwrap()
}

pub(crate) fn number(t: &Tensor) -> f64 {
    t.double_value(&[])
}

/// Equal to 1e-12, relative to numbers above one.
pub(crate) fn close(found: &[f64], expected: &[f64], told: &str) {
    assert_eq!(found.len(), expected.len(), "{told}");
    for (a, b) in found.iter().zip(expected) {
        assert!((a - b).abs() <= 1e-12 * b.abs().max(1.), "{told}: {a} beside {b}");
    }
}
