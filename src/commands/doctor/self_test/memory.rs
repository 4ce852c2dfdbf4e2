//! A device whose memory is nearly full: methods make smaller passes and give the same maps.

use super::{
    Lines,
    side::{Side, apart, images, reference},
};
use anyhow::Result;
use explain::{Batch, METHODS};
use models::{Model, Score, Target, zoo, zoo::Shape};
use registry::few;
use tch::{Device, Kind, Tensor};

/// Bytes of a block of ballast, and blocks at most.
const BLOCK: i64 = 64 << 20;
const MOST: usize = 1 << 14;

/// Blocks that are given back, which is what methods may use.
const LEFT: usize = 4;

pub fn run(lines: &mut Lines, device: Device) -> Result<()> {
    if device == Device::Cpu {
        lines.skipped("", "full memory", "a process that fills a computer's memory is killed");
        return Ok(());
    }
    let arch = zoo::arch("resnet20")?;
    let side = Side::single(device);
    let right = reference(arch)?;
    let model = side.network(&right, arch)?;
    let x = side.place(&images(256, &Shape { image: [3, 32, 32], classes: 10 }));
    let class = tch::no_grad(|| model.logits(&x)).argmax(1, false);
    let batch = |chunk| Batch {
        chunk,
        ..Batch::new(&x, &Target { class: class.shallow_clone(), score: Score::Logit })
    };
    let methods = few(METHODS, &[]);
    let roomy: Vec<Tensor> = methods
        .iter()
        .map(|(_, method)| method.attribute(&model, &batch(4)).to_device(Device::Cpu))
        .collect();
    let mut ballast = vec![];
    while ballast.len() < MOST
        && let Ok(block) = Tensor::f_empty([BLOCK], (Kind::Uint8, device))
    {
        ballast.push(block);
    }
    if ballast.len() == MOST {
        lines.skipped("f32", "full memory", "it did not fill up");
        return Ok(());
    }
    ballast.truncate(ballast.len().saturating_sub(LEFT));
    for ((name, method), roomy) in methods.iter().zip(roomy) {
        let found = method.attribute(&model, &batch(4096));
        let off = apart(&found, &roomy, false);
        lines.difference("f32", &format!("maps of {name} in {LEFT} blocks of 64 MiB"), off, 1e-3);
    }
    Ok(())
}
