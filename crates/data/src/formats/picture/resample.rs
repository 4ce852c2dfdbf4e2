//! The resizing of Pillow, to the bit: bilinear, with a support that grows with the scale (antialiased), in
//! whole numbers, rows and then columns. `image`'s own differs in last bits.

use image::RgbImage;

/// Bits behind the point of a weight: a sum of weighted bytes has 8 before it, and two to spare.
const BITS: u32 = 22;

/// `image` with `width`×`height` pixels.
pub(super) fn resized(image: &RgbImage, [width, height]: [u32; 2]) -> RgbImage {
    let across = if image.width() == width { None } else { Some(weights(image.width(), width)) };
    let down = if image.height() == height { None } else { Some(weights(image.height(), height)) };
    let wide = across.map(|weights| {
        RgbImage::from_fn(width, image.height(), |x, y| {
            let (first, weights) = &weights[x as usize];
            blended(weights, |i| image.get_pixel(first + i, y).0)
        })
    });
    let wide = wide.unwrap_or_else(|| image.clone());
    let Some(down) = down else { return wide };
    RgbImage::from_fn(width, height, |x, y| {
        let (first, weights) = &down[y as usize];
        blended(weights, |i| wide.get_pixel(x, first + i).0)
    })
}

/// The weighted sum of pixels, rounded.
fn blended(weights: &[i64], pixel: impl Fn(u32) -> [u8; 3]) -> image::Rgb<u8> {
    let mut sums = [1 << (BITS - 1); 3];
    for (weight, i) in weights.iter().zip(0..) {
        let pixel = pixel(i);
        (0..3).for_each(|channel| sums[channel] += i64::from(pixel[channel]) * weight);
    }
    image::Rgb(sums.map(|sum| (sum >> BITS).clamp(0, 255) as u8))
}

/// Of each of `to` pixels in a row: the first of `from` pixels that it is made of, and the weight of it
/// and of those that follow.
fn weights(from: u32, to: u32) -> Vec<(u32, Vec<i64>)> {
    let scale = f64::from(from) / f64::from(to);
    let support = scale.max(1.);
    let of = |place: u32| {
        let centre = (f64::from(place) + 0.5) * scale;
        let first = (centre - support + 0.5).max(0.) as u32;
        let end = ((centre + support + 0.5) as u32).min(from);
        let triangle =
            |pixel: u32| (1. - ((f64::from(pixel) - centre + 0.5) * (1. / support)).abs()).max(0.);
        let raw: Vec<f64> = (first..end).map(triangle).collect();
        let sum: f64 = raw.iter().sum();
        let whole = |weight: f64| (0.5 + weight / sum * f64::from(1u32 << BITS)) as i64;
        (first, raw.into_iter().map(whole).collect())
    };
    (0..to).map(of).collect()
}
