//! How many images a pass takes where the user does not say: as many as fit into half of the memory
//! that is free, up to what keeps the device busy. No number depends on it beyond rounding.

use models::Classifier;
use std::fs;
use tch::Device;

/// Images a pass, and in a batch, at most: what keeps a CPU busy.
const CPU: [u64; 2] = [256, 64];

/// The same of a GPU, which is launch-bound below.
const GPU: [u64; 2] = [4096, 512];

/// How often what a pass makes is held: itself, its gradients, and what second derivatives need.
const HELD: u64 = 3;

/// Bytes for each number of an image: copies of it, its map, and what draws noise, partly in f64.
const EACH_NUMBER: u64 = 64;

/// What fits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fits {
    /// Images a pass, samples included.
    pub chunk: i64,
    /// Images in a batch.
    pub batch: usize,
}

impl Fits {
    /// For a network where it is placed. A GPU that is full says so, and smaller passes are made.
    pub fn of(model: &Classifier) -> Self {
        let cpu = model.device() == Device::Cpu;
        let free = if cpu { free() } else { None };
        let numbers = model.shape.image.iter().product::<i64>() as u64;
        let image = model.footprint().bytes as u64 * HELD + numbers * EACH_NUMBER;
        Fits::within(free.unwrap_or(u64::MAX) / 2, image, if cpu { CPU } else { GPU })
    }

    fn within(room: u64, image: u64, [chunk, batch]: [u64; 2]) -> Self {
        let images = (room / image).max(1);
        Fits { chunk: images.min(chunk) as i64, batch: images.min(batch) as usize }
    }
}

/// Bytes that this process may still take: what the system has and what its control group leaves.
fn free() -> Option<u64> {
    let read = |path: &str| fs::read_to_string(path).ok();
    let number = |path: &str| read(path)?.trim().parse::<u64>().ok();
    let group = |most: &str, used: &str| Some(number(most)?.saturating_sub(number(used)?));
    let system = read("/proc/meminfo").and_then(|text| available(&text));
    let second = group("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory.current");
    let first = group(
        "/sys/fs/cgroup/memory/memory.limit_in_bytes",
        "/sys/fs/cgroup/memory/memory.usage_in_bytes",
    );
    [system, second, first].into_iter().flatten().min()
}

/// `MemAvailable` of `/proc/meminfo`, in bytes.
fn available(text: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    Some(line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()? * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_images_are_many_and_large_ones_few() {
        assert_eq!(Fits::within(4 << 30, 5 << 20, CPU), Fits { chunk: 256, batch: 64 });
        assert_eq!(Fits::within(4 << 30, 100 << 20, CPU), Fits { chunk: 40, batch: 40 });
        assert_eq!(Fits::within(u64::MAX, 5 << 20, GPU), Fits { chunk: 4096, batch: 512 });
        assert_eq!(Fits::within(1 << 20, 100 << 20, CPU), Fits { chunk: 1, batch: 1 });
    }

    #[test]
    fn free_memory_is_read() {
        let text = "MemTotal:  100 kB\nMemFree:  10 kB\nMemAvailable:      50 kB\n";
        assert_eq!(available(text), Some(50 * 1024));
        assert_eq!(available("MemTotal: 100 kB\n"), None);
    }
}
