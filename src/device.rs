//! Which device a command runs on, and what it is called.

use anyhow::{Result, bail, ensure};
use std::fmt;
use std::str::FromStr;
use tch::{Cuda, Device};

/// What `--device` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Choice {
    /// The first usable GPU, else the CPU.
    Auto,
    /// The CPU.
    Cpu,
    /// This GPU.
    Cuda(usize),
}

impl FromStr for Choice {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self> {
        Ok(match text.split_once(':') {
            None if text == "auto" => Choice::Auto,
            None if text == "cpu" => Choice::Cpu,
            None if text == "cuda" => Choice::Cuda(0),
            Some(("cuda", number)) if number.parse::<usize>().is_ok() => {
                Choice::Cuda(number.parse()?)
            }
            _ => bail!("write `auto`, `cpu`, `cuda` or `cuda:N`"),
        })
    }
}

impl fmt::Display for Choice {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Choice::Auto => f.write_str("auto"),
            Choice::Cpu => f.write_str("cpu"),
            Choice::Cuda(n) => write!(f, "cuda:{n}"),
        }
    }
}

impl Choice {
    /// The device itself. Errors: a GPU is asked for and there is none, with the reason.
    pub fn resolve(self) -> Result<Device> {
        match self {
            Choice::Auto => Ok(Device::cuda_if_available()),
            Choice::Cpu => Ok(Device::Cpu),
            Choice::Cuda(n) => {
                ensure!(Cuda::is_available(), "`--device {self}`: {}", why_no_cuda());
                let count = Cuda::device_count();
                ensure!(
                    (n as i64) < count,
                    "`--device {self}`: the last GPU is cuda:{}",
                    count - 1
                );
                Ok(Device::Cuda(n))
            }
        }
    }
}

/// Why CUDA cannot be used, in one clause.
pub fn why_no_cuda() -> &'static str {
    let libraries = std::fs::read_to_string("/proc/self/maps").unwrap_or_default();
    if !libraries.contains("libtorch_cuda") {
        "this libtorch was built without CUDA; install the CUDA build of torch 2.11.0"
    } else if !std::path::Path::new("/dev/nvidiactl").exists() {
        "this machine shows no NVIDIA driver (`/dev/nvidiactl` is missing)"
    } else {
        "the NVIDIA driver is there but CUDA finds no usable GPU (see `nvidia-smi`)"
    }
}

/// `cpu (2 threads)` or `cuda:0 (NVIDIA H100)`.
pub fn describe(device: Device) -> String {
    match device {
        Device::Cuda(n) => format!("cuda:{n} ({})", gpu_name(n).unwrap_or("unknown GPU".into())),
        _ => format!("cpu ({} threads)", tch::get_num_threads()),
    }
}

/// The driver's name of GPU `n`.
pub fn gpu_name(n: usize) -> Option<String> {
    let mut found: Vec<_> = std::fs::read_dir("/proc/driver/nvidia/gpus").ok()?.flatten().collect();
    found.sort_by_key(std::fs::DirEntry::file_name);
    let text = std::fs::read_to_string(found.get(n)?.path().join("information")).ok()?;
    let line = text.lines().find_map(|l| l.strip_prefix("Model:"))?;
    Some(line.trim().to_owned())
}
