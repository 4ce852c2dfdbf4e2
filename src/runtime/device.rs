//! Which device a command runs on, and what it is called.

use crate::runtime::launcher;
use anyhow::{Result, bail, ensure};
use std::fmt;
use std::str::FromStr;
use tch::{Cuda, Device};

/// What `--device` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Choice {
    /// A GPU as for `Cuda(None)` where there are any, else the CPU.
    Auto,
    /// The CPU.
    Cpu,
    /// This GPU; none: the first, or for several ranks on a machine one each.
    Cuda(Option<usize>),
}

impl FromStr for Choice {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self> {
        let number = text.strip_prefix("cuda:").and_then(|number| number.parse().ok());
        Ok(match (text, number) {
            ("auto", _) => Choice::Auto,
            ("cpu", _) => Choice::Cpu,
            ("cuda", _) => Choice::Cuda(None),
            (_, Some(number)) => Choice::Cuda(Some(number)),
            _ => bail!("write `auto`, `cpu`, `cuda` or `cuda:N`"),
        })
    }
}

impl fmt::Display for Choice {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Choice::Auto => f.write_str("auto"),
            Choice::Cpu => f.write_str("cpu"),
            Choice::Cuda(None) => f.write_str("cuda"),
            Choice::Cuda(Some(n)) => write!(f, "cuda:{n}"),
        }
    }
}

impl Choice {
    /// The device itself. Errors: a GPU is asked for and there is none, with the reason.
    pub fn resolve(self) -> Result<Device> {
        let usable = Cuda::is_available();
        if self == Choice::Cpu || (self == Choice::Auto && !usable) {
            return Ok(Device::Cpu);
        }
        ensure!(usable, "`--device {self}`: {}", why_no_cuda());
        Ok(Device::Cuda(self.number(launcher::local(), Cuda::device_count() as usize)?))
    }

    /// Which of `count` GPUs is meant by the process `local` of this machine.
    fn number(self, local: usize, count: usize) -> Result<usize> {
        if let Choice::Cuda(Some(n)) = self {
            ensure!(n < count, "`--device {self}`: the last GPU is cuda:{}", count - 1);
            return Ok(n);
        }
        ensure!(
            local < count,
            "`--device {self}`: no GPU is left for local rank {local}, which sees {count}; start at \
             most {count} ranks on a machine, or add `--device cuda:0` if every rank sees only its own"
        );
        Ok(local)
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
        _ => format!("cpu ({})", tensorfile::words::count(tch::get_num_threads(), "thread")),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_local_rank_has_a_gpu_of_its_own() {
        let number = |text: &str, local| text.parse::<Choice>().and_then(|c| c.number(local, 2));
        for text in ["auto", "cuda"] {
            assert_eq!((number(text, 0).unwrap(), number(text, 1).unwrap()), (0, 1));
            assert!(number(text, 2).unwrap_err().to_string().contains("local rank 2"));
        }
        assert_eq!(number("cuda:0", 5).unwrap(), 0);
        assert!(number("cuda:2", 0).unwrap_err().to_string().contains("the last GPU is cuda:1"));
    }
}
