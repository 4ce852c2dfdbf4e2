//! Random numbers keyed by (seed, image, sample): a counter-based hash in tensor arithmetic, so a
//! draw depends on its key alone, not on order, batch, chunk or device. Not cryptographic.

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

fn splitmix(x: u64) -> u64 {
    let mut z = x.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// U[0, 1): one draw of `shape` per key -> `[keys, ...shape]` f32.
pub fn uniform(keys: &[u64], shape: &[i64], device: Device) -> Tensor {
    unit(&hash(keys, shape.iter().product(), device)).view(&with_keys(keys, shape)[..])
}

/// N(0, 1): one draw of `shape` per key -> `[keys, ...shape]` f32. (Box–Muller.)
pub fn normal(keys: &[u64], shape: &[i64], device: Device) -> Tensor {
    let numel: i64 = shape.iter().product();
    let half = numel.div_euclid(2) + numel.rem_euclid(2);
    let bits = hash(keys, 2 * half, device);
    let u = unit(&bits.narrow(1, 0, half));
    let angle = unit(&bits.narrow(1, half, half)) * std::f64::consts::TAU;
    let radius = ((-u).log1p() * -2.).sqrt();
    let both = Tensor::cat(&[&radius * angle.cos(), &radius * angle.sin()], 1);
    both.narrow(1, 0, numel).contiguous().view(&with_keys(keys, shape)[..])
}

/// −1 or 1 with equal chance: one draw of `shape` per key -> `[keys, ...shape]` f32.
pub fn sign(keys: &[u64], shape: &[i64], device: Device) -> Tensor {
    uniform(keys, shape, device).ge(0.5).to_kind(Kind::Float) * 2. - 1.
}

fn with_keys(keys: &[u64], shape: &[i64]) -> Vec<i64> {
    [&[keys.len() as i64], shape].concat()
}

/// 32 well-mixed bits per (key, position) -> i64 `[keys, n]`.
fn hash(keys: &[u64], n: i64, device: Device) -> Tensor {
    let half = |shift: u32| {
        let words: Vec<i64> = keys.iter().map(|k| ((k >> shift) & 0xffff_ffff) as i64).collect();
        Tensor::from_slice(&words).to_device(device).unsqueeze(1)
    };
    let position = Tensor::arange(n, (Kind::Int64, device)) * 0x9e37_79b1_i64;
    let first = mix((position.unsqueeze(0) + half(0)).bitwise_and(MASK));
    mix(first.bitwise_xor_tensor(&half(32)))
}

const MASK: i64 = 0xffff_ffff;

/// A 32-bit integer hash with low bias (two multiply–xorshift rounds), entry by entry.
fn mix(x: Tensor) -> Tensor {
    let fold = |x: &Tensor, by: i64| x.bitwise_xor_tensor(&x.bitwise_right_shift_tensor_scalar(by));
    let x = (fold(&x, 16) * 0x21f0_aaad_i64).bitwise_and(MASK);
    let x = (fold(&x, 15) * 0x735a_2d97_i64).bitwise_and(MASK);
    fold(&x, 15)
}

/// The upper 24 of 32 bits as a number in [0, 1).
fn unit(bits: &Tensor) -> Tensor {
    bits.bitwise_right_shift_tensor_scalar(8).to_kind(Kind::Float) * (1. / f64::from(1 << 24))
}
