//! What a method holds at its fullest: 5,000 samples of one image against 50, with as many images a
//! pass, so that only samples kept for too long can tell them apart. Reads Linux's high-water mark of
//! the process; elsewhere, and for memory of a GPU, it says that nothing was measured.

use super::explain::{Scene, method};
use crate::cli::Bench;
use anyhow::{Context, Result, ensure};
use explain::{Attribution, Batch};
use serde::Serialize;
use std::{fmt::Write, fs};
use tch::{Device, Tensor};

/// Samples of the small case, which also bound its images a pass.
const FEW: i64 = 50;
const MANY: i64 = 5000;

/// Methods without their number of samples.
const METHODS: &[(&str, &str)] = &[("IG", "ig:points"), ("SmoothGrad", "smoothgrad:samples")];

/// Peaks of one method's map or of its map and `vjp`, in MiB above what was there before.
#[derive(Serialize)]
struct Row {
    name: String,
    few_mib: f64,
    many_mib: f64,
    ratio: f64,
}

/// The peaks of every method on the first image.
#[derive(Serialize)]
pub(super) struct Peaks {
    images_a_pass: i64,
    few: i64,
    many: i64,
    rows: Vec<Row>,
}

impl Peaks {
    /// Errors: a GPU, a system that does not let a process reset its high-water mark.
    pub fn measure(args: &Bench, device: Device) -> Result<Self> {
        ensure!(!device.is_cuda(), "libtorch's own counters of a GPU are out of reach from here");
        reset().context("`/proc/self/clear_refs` resets the high-water mark on Linux alone")?;
        let scene = Scene::new(args, device)?;
        let images_a_pass = scene.batch.chunk.min(FEW);
        let batch = Batch { chunk: images_a_pass, ..scene.batch.narrow(0, 1) };
        let before = resident("VmRSS")?;
        let mut rows = vec![];
        for (name, spelled) in METHODS {
            let [few, many] = [FEW, MANY].map(|samples| method(&format!("{spelled}={samples}")));
            let both = [few?, many?];
            for with_vjp in [false, true] {
                let once = |m: &dyn Attribution| work(m, &scene, &batch, with_vjp);
                // The first call finds kernels and scratch that later ones find ready.
                let _ = once(&*both[0]);
                let mut peaks = [0.; 2];
                for (method, peak) in both.iter().zip(&mut peaks) {
                    reset()?;
                    let _ = once(&**method);
                    *peak = (resident("VmHWM")? - before) / 1024.;
                }
                let [few_mib, many_mib] = peaks;
                let name = format!("{name}{}", if with_vjp { " vjp" } else { "" });
                rows.push(Row { name, few_mib, many_mib, ratio: many_mib / few_mib });
            }
        }
        Ok(Peaks { images_a_pass, few: FEW, many: MANY, rows })
    }

    /// For people.
    pub fn table(&self) -> String {
        let mut text = format!(
            "peak memory of one image, {} a pass, above what was resident before\n  \
             {:<22} {:>8} samples {:>8} samples   ratio",
            tensorfile::words::count(self.images_a_pass, "image"),
            "",
            self.few,
            self.many
        );
        for Row { name, few_mib, many_mib, ratio } in &self.rows {
            let numbers = format!("{few_mib:>12.1} MiB {many_mib:>12.1} MiB   {ratio:.2}");
            let _ = write!(text, "\n  {name:<22} {numbers}");
        }
        text
    }
}

fn work(method: &dyn Attribution, scene: &Scene, batch: &Batch, with_vjp: bool) -> Tensor {
    match method.differentiable().filter(|_| with_vjp) {
        Some(method) => method.vjp(scene.model.get(), batch, &batch.x.ones_like()),
        None => method.attribute(scene.model.get(), batch),
    }
}

/// The high-water mark becomes what is resident now.
fn reset() -> Result<()> {
    Ok(fs::write("/proc/self/clear_refs", "5")?)
}

/// A line of `/proc/self/status`, in KiB.
fn resident(field: &str) -> Result<f64> {
    let text = fs::read_to_string("/proc/self/status")?;
    let line = text.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
    let number = line.and_then(|rest| rest.split_whitespace().next()?.parse().ok());
    number.with_context(|| format!("`/proc/self/status` has no number for `{field}`"))
}
