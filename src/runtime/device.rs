//! Which device a command runs on, and what it is called.

use crate::runtime::{cuda, launcher};
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
        let n = self.number(launcher::local(), Cuda::device_count() as usize)?;
        check_capability(n, cuda::capability(n))?;
        Ok(Device::Cuda(n))
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

/// The oldest driver that this libtorch (CUDA 13) works with.
const DRIVER: u32 = 580;
/// The oldest compute capability that it has kernels for, and the oldest with bf16 of its own.
const CAPABILITY: (i32, i32) = (7, 5);
const BF16: (i32, i32) = (8, 0);

/// What a machine shows of its GPUs.
#[derive(Clone, Debug, Default)]
struct Machine {
    /// This libtorch has CUDA.
    cuda: bool,
    /// A device of the driver is there: `/dev/nvidiactl`, or `/dev/dxg` under WSL.
    device: bool,
    wsl: bool,
    /// Such as `580.65.06`.
    driver: Option<String>,
}

impl Machine {
    fn this() -> Self {
        let there = |path: &str| std::path::Path::new(path).exists();
        let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
        let wsl = there("/dev/dxg");
        Machine {
            cuda: read("/proc/self/maps").contains("libtorch_cuda"),
            device: wsl || there("/dev/nvidiactl"),
            wsl,
            driver: version(&read("/proc/driver/nvidia/version")),
        }
    }

    /// Why CUDA cannot be used, in one clause.
    fn why_no_cuda(&self) -> String {
        let old = |driver: &&String| {
            driver.split('.').next().and_then(|n| n.parse().ok()).is_some_and(|n: u32| n < DRIVER)
        };
        match &self.driver {
            _ if !self.cuda => {
                "this libtorch was built without CUDA; install the CUDA build of torch 2.11.0".into()
            }
            _ if !self.device => {
                "this machine shows no NVIDIA driver (`/dev/nvidiactl` is missing)".into()
            }
            Some(driver) if old(&driver) => format!(
                "driver {driver} is too old for this libtorch (CUDA 13), which needs {DRIVER} or newer: \
                 update it, or install the build of torch 2.11.0 for CUDA 12.6"
            ),
            _ if self.wsl => format!(
                "under WSL CUDA finds no usable GPU: the Windows driver has to be {DRIVER} or newer, and \
                 `nvidia-smi` has to work here"
            ),
            _ => "the NVIDIA driver is there but CUDA finds no usable GPU: `nvidia-smi` has to work, and \
                  CUDA_VISIBLE_DEVICES has to name one, if it is set"
                .into(),
        }
    }
}

/// The version in `/proc/driver/nvidia/version`.
fn version(text: &str) -> Option<String> {
    let line = text.lines().find(|line| line.starts_with("NVRM version:"))?;
    let number = |word: &&str| word.contains('.') && word.starts_with(|c: char| c.is_ascii_digit());
    line.split_whitespace().find(number).map(str::to_owned)
}

/// Why CUDA cannot be used, in one clause.
pub fn why_no_cuda() -> String {
    Machine::this().why_no_cuda()
}

/// What a user should know who left the choice to us and gets the CPU although there is a GPU.
pub fn passed_over(choice: Choice, device: Device) -> Option<String> {
    let machine = Machine::this();
    let passed = choice == Choice::Auto && device == Device::Cpu && machine.device;
    passed.then(|| format!("on the CPU, although there is a GPU: {}", machine.why_no_cuda()))
}

/// Errors: a GPU that is older than this libtorch's kernels.
fn check_capability(device: usize, capability: Option<(i32, i32)>) -> Result<()> {
    let Some((major, minor)) = capability.filter(|found| *found < CAPABILITY) else {
        return Ok(());
    };
    let (name, (a, b)) = (describe(Device::Cuda(device)), CAPABILITY);
    bail!(
        "{name} has compute capability {major}.{minor}; this libtorch has kernels for {a}.{b} and newer: \
         choose `--device cpu`, or install the build of torch 2.11.0 for CUDA 12.6"
    )
}

/// Whether `device` computes in bfloat16 itself; true of a GPU that does not say.
pub fn has_bf16(device: Device) -> bool {
    match device {
        Device::Cuda(n) => cuda::capability(n).is_none_or(|found| found >= BF16),
        _ => {
            let flags = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
            let native = ["avx512_bf16", "amx_bf16", "bf16"];
            native.iter().any(|flag| flags.split_whitespace().any(|word| word == *flag))
        }
    }
}

/// Whether passes in bf16 are faster than in f32 on this CPU, as far as that was measured: on AMD's with
/// bf16 instructions ResNet-20 takes 0.6 of the time, on Intel's with them and without AMX 1.4 of it
/// (docs/decisions/threads.md). It is no stopwatch, so that results do not change from run to run.
pub fn bf16_pays() -> bool {
    let text = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    text.contains("AuthenticAMD") && has_bf16(Device::Cpu)
}

/// `cpu (2 threads)` or `cuda:0 (NVIDIA H100)`.
pub fn describe(device: Device) -> String {
    match device {
        Device::Cuda(n) => format!("cuda:{n} ({})", cuda::name(n).unwrap_or("unknown GPU".into())),
        _ => format!("cpu ({})", tensorfile::words::count(tch::get_num_threads(), "thread")),
    }
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

    #[test]
    fn what_is_missing_is_named() {
        let machine = Machine { cuda: true, device: true, wsl: false, driver: None };
        let driver = |text: &str| {
            version(&format!("NVRM version: NVIDIA UNIX x86_64 Kernel Module  {text}  Thu"))
        };
        assert_eq!(driver("550.54.15").as_deref(), Some("550.54.15"));
        assert_eq!(version("GCC version: 12.2.0"), None);
        let cases = [
            (Machine { cuda: false, ..machine.clone() }, "built without CUDA"),
            (Machine { device: false, ..machine.clone() }, "shows no NVIDIA driver"),
            (
                Machine { driver: driver("550.54.15"), ..machine.clone() },
                "driver 550.54.15 is too old",
            ),
            (Machine { driver: driver("580.65.06"), ..machine.clone() }, "CUDA_VISIBLE_DEVICES"),
            (Machine { wsl: true, ..machine }, "under WSL"),
        ];
        for (machine, told) in cases {
            assert!(machine.why_no_cuda().contains(told), "{}", machine.why_no_cuda());
        }
    }

    #[test]
    fn cards_without_kernels_are_refused() {
        assert!(check_capability(0, Some((7, 5))).is_ok() && check_capability(0, None).is_ok());
        let told = check_capability(0, Some((7, 0))).unwrap_err().to_string();
        assert!(told.contains("compute capability 7.0"), "{told}");
    }
}
