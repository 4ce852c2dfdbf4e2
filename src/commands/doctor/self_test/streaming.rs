//! Images read from files while they are used: the same as those in memory, and how many a second.

use super::Lines;
use ::data::{Split, load};
use anyhow::{Context, Result};
use std::time::Instant;
use tch::Device;

const IMAGES: usize = 256;

pub fn run(lines: &mut Lines, device: Device) -> Result<()> {
    let folder = tempfile::tempdir().context("no folder for temporary files")?;
    let at = folder.path().join("images");
    let drawn = load(&format!("shapes:seed=0,train={IMAGES},test=8"), &Split::Train.into())?;
    drawn.save_folder(&at, || ())?;
    let files = load(&format!("folder:{}", at.display()), &Split::Train.into())?.to_device(device);
    let count = files.len() as i64;
    let (clock, mut sum) = (Instant::now(), 0.);
    for start in (0..count).step_by(64) {
        let numbers: Vec<i64> = (start..count.min(start + 64)).collect();
        let (x, _) = files.batch(&numbers)?;
        sum += x.sum(tch::Kind::Double).double_value(&[]);
    }
    let seconds = clock.elapsed().as_secs_f64();
    let numbers: Vec<i64> = (0..count).collect();
    let expected = drawn.batch(&numbers)?.0.sum(tch::Kind::Double).double_value(&[]);
    lines.difference(
        "f32",
        "sum of all pixels against memory",
        (sum - expected).abs() / expected,
        1e-6,
    );
    lines.measured("", "images a second from png files", count as f64 / seconds, "images/s");
    Ok(())
}
