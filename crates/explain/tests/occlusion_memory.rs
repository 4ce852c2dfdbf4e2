//! Occlusion holds the windows of one pass, not those of an image: alone in its process, as the
//! peak of memory is the process's.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used)] // helpers of tests are tests

use explain::Batch;
use models::{Activation, Model, Ops, Score, Target, registry::parse};
use std::fs;
use tch::{Device, Kind, Tensor};

/// Two logits: the mean pixel, and its negative.
struct Mean;

impl Model for Mean {
    fn forward(&self, x: &Tensor, _ops: &dyn Ops) -> Tensor {
        let mean = x.mean_dim([1, 2, 3].as_slice(), false, Kind::Float);
        Tensor::stack(&[&mean, &(-&mean)], 1)
    }

    fn activation(&self) -> Activation {
        Activation::Relu
    }

    fn taps(&self) -> &'static [&'static str] {
        &[]
    }
}

/// Megabytes: `VmRSS` now, `VmHWM` at most.
fn memory(what: &str) -> i64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with(what)).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<i64>().unwrap() / 1024
}

#[test]
fn no_window_is_held_beyond_its_pass() {
    let x = Tensor::rand([1, 3, 224, 224], (Kind::Float, Device::Cpu));
    let class = Tensor::zeros([1], (Kind::Int64, Device::Cpu));
    let target = Target { class, score: Score::Logit };
    let batch = Batch { chunk: 16, ..Batch::new(&x, &target) };
    let method = explain::method(parse(&std::env::var("OCC").unwrap_or("occlusion:size=16,stride=4".into())).unwrap()).unwrap();
    let before = memory("VmRSS");
    let map = method.attribute(&Mean, &batch);
    let grown = memory("VmHWM") - before;
    // 2,809 windows of 224 × 224 pixels in f64 are 1,075 MB.
    assert!(grown < 400, "{grown} MB");
    // A window takes the mean of its pixels away; a pixel gets the mean of its windows.
    let right = x.sum(Kind::Double).double_value(&[]) / x.numel() as f64 / 196.;
    let found = map.mean(Kind::Double).double_value(&[]) * 3.;
    assert!((found / 3. - right).abs() < 0.1 * right, "{found}, {right}");
}
