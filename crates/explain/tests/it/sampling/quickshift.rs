//! Superpixels against scikit-image's (tests/reference/explain/quickshift.py), pixel by pixel.

use explain::sampling::quickshift::{Options, segments, segments_of_each};
use std::path::Path;
use tch::{Kind, Tensor};
use tensorfile::TensorFile;

const COUNT: usize = 200;

/// The hash of tests/reference/logits.py.
fn uniform(name: &str, count: u32) -> Vec<f64> {
    let step = |hash: u32, byte: u8| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193);
    let seed = name.bytes().fold(0x811c_9dc5, step);
    let entry = |i: u32| {
        let mut x = i.wrapping_mul(0x9e37_79b1).wrapping_add(seed);
        x = (x ^ (x >> 16)).wrapping_mul(0x21f0_aaad);
        x = (x ^ (x >> 15)).wrapping_mul(0x735a_2d97);
        f64::from((x ^ (x >> 15)) >> 8) / f64::from(1 << 24)
    };
    (0..count).map(entry).collect()
}

/// Height, width and channels, and the values in that order of axes: image `i` of the generator.
fn image(i: usize) -> ([usize; 3], Vec<f64>) {
    let u = uniform(&format!("quickshift {i}"), 64 + 40 * 40 * 3);
    let side = |u: f64| 16 + (u * 25.) as usize;
    let (height, width, channels) = (side(u[0]), side(u[1]), if i % 5 == 4 { 1 } else { 3 });
    let at = |y: usize, x: usize, c: usize| {
        let plain = match i % 3 {
            1 => shapes(&u[2..50], [height, width], [y, x, c]),
            _ => smooth(&u[2..], [height, width, channels], [y, x, c]),
        };
        let noise = u[64 + (y * width + x) * channels + c];
        let value = if i % 3 == 2 { plain * 0.75 + noise * 0.25 } else { plain };
        (value * 255. + 0.5).floor() / 255.
    };
    let mut values = vec![];
    for y in 0..height {
        for x in 0..width {
            values.extend((0..channels).map(|c| at(y, x, c)));
        }
    }
    ([height, width, channels], values)
}

fn smooth(u: &[f64], [height, width, channels]: [usize; 3], [y, x, c]: [usize; 3]) -> f64 {
    let (y, x) = ((y * 3) as f64 / height as f64, (x * 3) as f64 / width as f64);
    let (i, j) = (y as usize, x as usize);
    let (s, t) = (y - i as f64, x - j as f64);
    let grid = |i: usize, j: usize| u[(i * 4 + j) * channels + c];
    let top = grid(i, j) * (1. - t) + grid(i, j + 1) * t;
    let low = grid(i + 1, j) * (1. - t) + grid(i + 1, j + 1) * t;
    top * (1. - s) + low * s
}

fn shapes(u: &[f64], [height, width]: [usize; 2], [y, x, c]: [usize; 3]) -> f64 {
    let covers = |r: &&[f64]| {
        let (top, left) = ((r[0] * height as f64) as usize, (r[1] * width as f64) as usize);
        let (high, wide) = (3 + (r[2] * 16.) as usize, 3 + (r[3] * 16.) as usize);
        (top..top + high).contains(&y) && (left..left + wide).contains(&x)
    };
    let rectangles: Vec<&[f64]> = u[8..].chunks(8).collect();
    rectangles.into_iter().rev().find(covers).map_or(u[c], |r| r[4 + c])
}

fn tensor([height, width, channels]: [usize; 3], values: &[f64]) -> Tensor {
    let size = [height as i64, width as i64, channels as i64];
    Tensor::from_slice(values).view(size).permute([2, 0, 1])
}

fn labels(segments: &Tensor) -> Vec<i64> {
    Vec::<i64>::try_from(&segments.flatten(0, -1)).unwrap()
}

#[test]
fn segments_are_those_of_scikit_image() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/quickshift.safetensors");
    let packed = TensorFile::read(&path).unwrap().take("segments").unwrap();
    let words = Vec::<i64>::try_from(&packed).unwrap();
    let bytes: Vec<i64> = words.iter().flat_map(|w| w.to_le_bytes()).map(i64::from).collect();
    let (mut start, mut off) = (0, vec![]);
    for i in 0..COUNT {
        let (size, values) = image(i);
        let found = labels(&segments(&tensor(size, &values), &Options::default()));
        let expected = &bytes[start..start + found.len()];
        start += found.len();
        if found != expected {
            off.push(i);
        }
    }
    assert!(bytes.len() - start < 8, "another number of pixels: the images are not the same");
    assert!(off.is_empty(), "other segments in images {off:?}");
}

/// Five images among two and more threads, of which some have none.
#[test]
fn images_are_shared_out_and_stay_in_order() {
    let one = |i: u32| tensor([9, 7, 3], &uniform(&format!("shared {i}"), 9 * 7 * 3));
    let all: Vec<Tensor> = (0..5).map(one).collect();
    let expected: Vec<Vec<i64>> =
        all.iter().map(|x| labels(&segments(x, &Options::default()))).collect();
    let (x, before) = (Tensor::stack(&all, 0), tch::get_num_threads());
    for threads in [1, 2, 3, 16] {
        tch::set_num_threads(threads);
        let found = segments_of_each(&x, &Options::default());
        tch::set_num_threads(before);
        assert_eq!(found, expected, "{threads} threads");
    }
    assert!(segments_of_each(&x.narrow(0, 0, 0), &Options::default()).is_empty());
}

#[test]
fn two_colours_are_never_joined() {
    // The halves are far apart in Lab, beyond what a link may span.
    let x = Tensor::zeros([3, 12, 12], (Kind::Double, tch::Device::Cpu));
    let _ = x.narrow(2, 6, 6).fill_(1.);
    let options = Options { max_dist: 5., ..Options::default() };
    let found = segments(&x, &options);
    let left = labels(&found.narrow(1, 0, 6).contiguous());
    let right = labels(&found.narrow(1, 6, 6).contiguous());
    assert!(left.iter().all(|l| !right.contains(l)), "{found:?}");
    let mut all = [left, right].concat();
    all.sort_unstable();
    all.dedup();
    assert_eq!(all, (0..all.len() as i64).collect::<Vec<_>>(), "numbered without gaps");
}

#[test]
fn any_number_of_channels_and_any_type_will_do() {
    let of = |x: &Tensor| segments(x, &Options::default());
    let some = |channels: usize| tensor([9, 7, channels], &uniform("some", 63 * channels as u32));
    for channels in 1..5 {
        let found = of(&some(channels).to_kind(Kind::Float));
        assert_eq!((found.size(), found.kind()), (vec![9, 7], Kind::Int64));
    }
    let grey = some(1);
    assert_eq!(of(&grey), of(&grey.expand([3, -1, -1], false)), "grey is equal channels");
    assert_eq!(labels(&of(&tensor([1, 1, 3], &[0.1, 0.5, 0.9]))), [0]);
}
