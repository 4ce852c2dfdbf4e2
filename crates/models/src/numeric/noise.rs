//! Random numbers keyed by (seed, image, sample): a counter-based hash, so a draw depends on its key
//! alone, not on order, batch, chunk or device. Not cryptographic.

use crate::upload;
use registry::seed::splitmix;
use tch::{Device, Kind, Tensor};

/// One key from a seed and the two numbers that say what is drawn. (splitmix64, three rounds.)
pub fn key(seed: u64, image: u64, sample: u64) -> u64 {
    splitmix(splitmix(splitmix(seed) ^ image) ^ sample)
}

/// A number for a name (FNV-1a), to key draws that belong to a name.
pub fn name_id(name: &str) -> u64 {
    name.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

/// U[0, 1): one draw of `shape` per key -> `[keys, ...shape]` f32.
pub fn uniform(keys: &[u64], shape: &[i64], device: Device) -> Tensor {
    units(keys, shape.iter().product(), device).view(&with_keys(keys, shape)[..])
}

/// N(0, 1): one draw of `shape` per key -> `[keys, ...shape]` f32. (Box–Muller, in f64 and rounded: the last
/// bit of logarithms and cosines differs between devices and kinds of CPU.)
pub fn normal(keys: &[u64], shape: &[i64], device: Device) -> Tensor {
    let numel: i64 = shape.iter().product();
    let half = numel.div_euclid(2) + numel.rem_euclid(2);
    let both = units(keys, 2 * half, device).to_kind(Kind::Double);
    let u = both.narrow(1, 0, half);
    let angle = both.narrow(1, half, half) * std::f64::consts::TAU;
    let radius = ((-u).log1p() * -2.).sqrt();
    let both = Tensor::cat(&[&radius * angle.cos(), &radius * angle.sin()], 1);
    both.narrow(1, 0, numel).to_kind(Kind::Float).contiguous().view(&with_keys(keys, shape)[..])
}

/// −1 or 1 with equal chance: one draw of `shape` per key -> `[keys, ...shape]` f32.
pub fn sign(keys: &[u64], shape: &[i64], device: Device) -> Tensor {
    uniform(keys, shape, device).ge(0.5).to_kind(Kind::Float) * 2. - 1.
}

fn with_keys(keys: &[u64], shape: &[i64]) -> Vec<i64> {
    [&[keys.len() as i64], shape].concat()
}

/// [0, 1) per (key, position) -> f32 `[keys, n]`: the upper 24 of 32 well-mixed bits.
fn units(keys: &[u64], n: i64, device: Device) -> Tensor {
    match device {
        Device::Cpu => units_in_plain_loops(keys, n),
        _ => units_in_tensors(keys, n, device),
    }
}

const GOLDEN: u32 = 0x9e37_79b1;
const FIRST: u32 = 0x21f0_aaad;
const SECOND: u32 = 0x735a_2d97;

/// On a CPU: tensors have no 32-bit unsigned arithmetic, and that of 64 bits costs several times this.
fn units_in_plain_loops(keys: &[u64], n: i64) -> Tensor {
    // A 32-bit integer hash with low bias: two multiply–xorshift rounds.
    let mix = |x: u32| {
        let x = (x ^ (x >> 16)).wrapping_mul(FIRST);
        let x = (x ^ (x >> 15)).wrapping_mul(SECOND);
        x ^ (x >> 15)
    };
    let mut units = Vec::with_capacity(keys.len() * n as usize);
    for key in keys {
        let (low, high) = (*key as u32, (key >> 32) as u32);
        units.extend((0..n as u32).map(|i| {
            let bits = mix(mix(i.wrapping_mul(GOLDEN).wrapping_add(low)) ^ high);
            (bits >> 8) as f32 * (1. / (1 << 24) as f32)
        }));
    }
    Tensor::from_slice(&units).view([keys.len() as i64, n])
}

/// The same numbers on any device, in 64-bit integers.
fn units_in_tensors(keys: &[u64], n: i64, device: Device) -> Tensor {
    const MASK: i64 = 0xffff_ffff;
    let fold = |x: &Tensor, by: i64| x.bitwise_xor_tensor(&x.bitwise_right_shift_tensor_scalar(by));
    let mix = |x: Tensor| {
        let x = (fold(&x, 16) * i64::from(FIRST)).bitwise_and(MASK);
        let x = (fold(&x, 15) * i64::from(SECOND)).bitwise_and(MASK);
        fold(&x, 15)
    };
    let half = |shift: u32| {
        let words: Vec<i64> = keys.iter().map(|k| ((k >> shift) & 0xffff_ffff) as i64).collect();
        upload(&words, device).unsqueeze(1)
    };
    let position = Tensor::arange(n, (Kind::Int64, device)) * i64::from(GOLDEN);
    let first = mix((position.unsqueeze(0) + half(0)).bitwise_and(MASK));
    let bits = mix(first.bitwise_xor_tensor(&half(32)));
    bits.bitwise_right_shift_tensor_scalar(8).to_kind(Kind::Float) * (1. / f64::from(1 << 24))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_ways_give_the_same_numbers() {
        let keys = [0, 1, u64::MAX, key(1, 2, 3), key(4, 5, 6), 1 << 31, 1 << 32];
        for n in [1, 2, 1000] {
            let plain = units_in_plain_loops(&keys, n);
            assert!(plain.equal(&units_in_tensors(&keys, n, Device::Cpu)), "{n}");
            assert!(plain.min().double_value(&[]) >= 0. && plain.max().double_value(&[]) < 1.);
        }
    }
}
