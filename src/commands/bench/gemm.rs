//! How fast this machine multiplies matrices, which bounds convolutions and linear layers.

use models::Precision;
use std::time::Instant;
use tch::{Device, Tensor};

/// Side of the matrices: large enough for the best rate, small enough for some tens of milliseconds.
const SIDE: i64 = 1024;
/// Products that are timed; the best counts, as nothing makes one faster than it is.
const TIMES: usize = 7;

/// Operations a second (a product and a sum are two) of a product of two matrices in `precision`, with
/// all threads.
pub(super) fn rate(precision: Precision, device: Device) -> f64 {
    let numbers = Tensor::arange(SIDE * SIDE, (tch::Kind::Float, device)).sin();
    let a = precision.cast(&numbers.view([SIDE, SIDE]));
    let once = || {
        let clock = Instant::now();
        let _ = a.mm(&a).select(0, 0).sum(tch::Kind::Float).double_value(&[]);
        clock.elapsed().as_secs_f64()
    };
    once();
    let best = (0..TIMES).map(|_| once()).fold(f64::INFINITY, f64::min);
    2. * (SIDE as f64).powi(3) / best
}
