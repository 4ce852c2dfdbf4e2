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
    /// Images in all passes that are made at the same time.
    pub room: u64,
    /// Images below which a batch is not worth its overhead.
    least: usize,
}

/// Batches that the images are cut into, where that leaves enough in each.
const BATCHES: usize = 64;

/// Bytes that the passes over a batch make at least: below, calls cost more than numbers.
const WORTH: u64 = 8 << 20;

impl Fits {
    /// For a network where it is placed. A GPU that is full says so, and smaller passes are made.
    pub fn of(model: &Classifier) -> Self {
        let cpu = model.device() == Device::Cpu;
        let free = if cpu { free() } else { None };
        let numbers = model.shape.image.iter().product::<i64>() as u64;
        let image = model.footprint().bytes as u64 * HELD + numbers * EACH_NUMBER;
        let fits = Fits::within(free.unwrap_or(u64::MAX) / 2, image, if cpu { CPU } else { GPU });
        if cpu { fits } else { Fits { least: fits.batch, ..fits } }
    }

    fn within(room: u64, image: u64, [chunk, batch]: [u64; 2]) -> Self {
        let room = (room / image).max(1);
        let least = WORTH.div_ceil(image).min(batch) as usize;
        Fits { chunk: room.min(chunk) as i64, batch: room.min(batch) as usize, room, least }
    }

    /// Batches for so many images: on a CPU small enough that there is one for every worker, if that
    /// leaves enough work in each. It depends on the images, not on the workers, as results may.
    pub fn for_images(self, images: usize) -> Self {
        let share = images.div_ceil(BATCHES).max(self.least);
        Fits { batch: self.batch.min(share), ..self }
    }

    /// Passes of `chunk` images that memory holds at the same time.
    pub fn passes(&self, chunk: i64) -> usize {
        (self.room / chunk.max(1) as u64) as usize
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
        let of = |room, image, most| {
            let fits = Fits::within(room, image, most);
            (fits.chunk, fits.batch)
        };
        assert_eq!(of(4 << 30, 5 << 20, CPU), (256, 64));
        assert_eq!(of(4 << 30, 100 << 20, CPU), (40, 40));
        assert_eq!(of(u64::MAX, 5 << 20, GPU), (4096, 512));
        assert_eq!(of(1 << 20, 100 << 20, CPU), (1, 1));
    }

    #[test]
    fn batches_are_enough_for_many_workers_and_no_smaller_than_they_are_worth() {
        let of = |image: u64, images| Fits::within(64 << 30, image, CPU).for_images(images).batch;
        assert_eq!([1, 64, 1000, 10_000].map(|n| of(1 << 20, n)), [8, 8, 16, 64]);
        assert_eq!([1, 64, 1000, 10_000].map(|n| of(100 << 20, n)), [1, 1, 16, 64]);
        assert_eq!([64, 10_000].map(|n| of(1 << 10, n)), [64, 64]);
        let few = Fits::within(3 << 30, 10 << 20, CPU);
        assert_eq!((few.chunk, few.passes(few.chunk), few.passes(100)), (256, 1, 3));
    }

    #[test]
    fn free_memory_is_read() {
        let text = "MemTotal:  100 kB\nMemFree:  10 kB\nMemAvailable:      50 kB\n";
        assert_eq!(available(text), Some(50 * 1024));
        assert_eq!(available("MemTotal: 100 kB\n"), None);
    }
}
