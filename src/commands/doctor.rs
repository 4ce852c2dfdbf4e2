//! `gradproof doctor`: libtorch, CUDA, devices, threads, MPI; what is missing and how to get it.
//! With `--self-test`: whether the device computes what it must.

use crate::{
    cli::{Common, Doctor},
    outcome::Outcome,
    runtime::{cuda, device, launcher, ui::Ui},
};
use anyhow::Result;
use serde_json::json;
use std::{fmt::Write, fs};
use tch::{Cuda, Device};

mod self_test;

/// Versions this program is built for.
const TORCH: &str = "2.11.0";

/// Looks around and prints what it finds.
pub fn run(args: &Doctor, common: &Common, ui: &Ui) -> Result<Outcome> {
    match args.self_test {
        true => self_test::run(args, common, ui),
        false => look_around(),
    }
}

fn look_around() -> Result<Outcome> {
    let mut outcome = Outcome::default();
    let path = libtorch_path();
    let gpus: Vec<String> = (0..Cuda::device_count().max(0) as usize).map(gpu).collect();
    let (load, cores) = (load_average(), cores());
    let waiting = ["OMP_WAIT_POLICY", "OMP_NUM_THREADS"]
        .map(|name| format!("{name}={}", std::env::var(name).unwrap_or("(unset)".into())));
    let bf16 = device::has_bf16(Device::Cpu);
    let nvrtc = cuda::compile().map_or("not there".to_owned(), |compiled| match compiled {
        Ok(()) => "compiles kernels".into(),
        Err(why) => format!("cannot compile kernels: {why}"),
    });
    let mut text = String::new();
    let mut line = |what: &str, is: String| {
        let _ = writeln!(text, "{what:<10} {is}");
    };
    line("gradproof", format!("{} ({})", env!("CARGO_PKG_VERSION"), env!("GRADPROOF_COMMIT")));
    line("libtorch", format!("{TORCH} at {}", path.as_deref().unwrap_or("an unknown place")));
    line("CUDA", cuda_line());
    for (n, name) in gpus.iter().enumerate() {
        line(&format!("cuda:{n}"), name.clone());
    }
    line("cuDNN", if Cuda::cudnn_is_available() { "usable".into() } else { "not usable".into() });
    line("NVRTC", nvrtc.clone());
    line("CPU", format!("{cores} cores, {} threads, load {load:.2}", tch::get_num_threads()));
    line("work", SHARED.into());
    line("bf16", if bf16 { "native on this CPU".into() } else { SLOW_BF16.into() });
    line("OpenMP", waiting.join("  "));
    line("MPI", launcher::version().unwrap_or(NO_MPI.into()));
    if load > 0.5 * cores as f64 {
        line("warning", "busy machine: timings will be off (docs/decisions/threads.md)".into());
    }
    outcome.say(text.trim_end());
    outcome.with(&json!({
        "version": env!("CARGO_PKG_VERSION"), "commit": env!("GRADPROOF_COMMIT"),
        "libtorch": TORCH, "libtorch_path": path,
        "cuda_usable": Cuda::is_available(), "gpus": gpus, "cudnn": Cuda::cudnn_is_available(),
        "nvrtc": nvrtc,
        "cores": cores, "threads": tch::get_num_threads(), "load": load, "bf16": bf16,
        "mpi": launcher::version(),
    }))
}

const SHARED: &str = "batches of images: a worker a thread; fewer batches than threads, or no memory \
                      for all: several threads in each (`--verbose` says)";

const SLOW_BF16: &str = "not native on this CPU: about twice slower than f32 here";

const NO_MPI: &str = "not built in: `cargo build --release --features mpi` (docs/scale.md)";

/// Name and compute capability, as far as CUDA says.
fn gpu(n: usize) -> String {
    let name = cuda::name(n).unwrap_or("unknown GPU".into());
    let said = |(a, b)| format!("{name}, compute capability {a}.{b}");
    cuda::capability(n).map_or(name.clone(), said)
}

fn cuda_line() -> String {
    if Cuda::is_available() {
        return format!("usable, {} GPU(s)", Cuda::device_count());
    }
    format!("not usable: {}", device::why_no_cuda())
}

/// Where the running program has libtorch from.
fn libtorch_path() -> Option<String> {
    let maps = fs::read_to_string("/proc/self/maps").ok()?;
    let line = maps.lines().find(|l| l.ends_with("/libtorch_cpu.so"))?;
    line.split_whitespace().last().map(str::to_owned)
}

/// Processes that ran or waited in the last minute, on average.
pub fn load_average() -> f64 {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split_whitespace().next().and_then(|n| n.parse().ok()).unwrap_or(0.)
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}
