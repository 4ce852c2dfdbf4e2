//! Pictures from tensors. The only file here that knows tensors.

use crate::Picture;
use anyhow::{Result, ensure};
use tch::{Device, Kind, Tensor};

/// How much [`Picture::difference`] enlarges what an attack changed.
const ENLARGED: f64 = 10.0;

impl Picture {
    /// `image`: `[C, H, W]` in [0, 1], C = 1 or 3, on any device.
    pub fn from_image(image: &Tensor) -> Result<Self> {
        let (_, h, w) = planes(image)?;
        Self::from_planes(&values(image)?, h, w)
    }

    /// `map`: `[H, W]`, at least 0, such as a heat map.
    pub fn from_heat(map: &Tensor) -> Result<Self> {
        let size = map.size();
        ensure!(size.len() == 2, "a heat map has the shape [H, W]; found {size:?}");
        Self::from_map(&values(map)?, size[0] as usize, size[1] as usize)
    }

    /// `map`: `[C, H, W]`, signed, as explanation methods return it; drawn as its heat map.
    pub fn from_raw_map(map: &Tensor) -> Result<Self> {
        planes(map)?;
        Self::from_heat(&map.to_kind(Kind::Float).abs().sum_dim_intlist(0, false, Kind::Float))
    }

    /// What is certain of the pixels of `image`, `[C, H, W]` in [0, 1], by shares of the hottest,
    /// the smallest first: `states` `[H, W]` are 1 where a pixel is certified in, −1 out, 0
    /// neither. Those in have the colour of the smallest share that they are in; those out of all
    /// are dark; the others are grey.
    pub fn certified(image: &Tensor, states: &[Tensor]) -> Result<Self> {
        let (_, h, w) = planes(image)?;
        let states = states.iter().map(values).collect::<Result<Vec<_>>>()?;
        let image = values(image)?;
        let (area, channels) = (h * w, image.len() / (h * w));
        let grey =
            |i: usize| (0..channels).map(|c| image[c * area + i]).sum::<f32>() / channels as f32;
        let colour = |i: usize| -> [f32; 3] {
            match states.iter().position(|of| of[i] > 0.) {
                Some(share) => mixed(share_colour(share, states.len()), grey(i)),
                None if states.iter().all(|of| of[i] < 0.) => [grey(i) * 0.25; 3],
                None => [0.35 + 0.5 * grey(i); 3],
            }
        };
        let pixels: Vec<[f32; 3]> = (0..area).map(colour).collect();
        let plane = |c: usize| pixels.iter().map(move |pixel| pixel[c]);
        let rgb: Vec<f32> = (0..3).flat_map(plane).collect();
        Self::from_planes(&rgb, h, w)
    }

    /// |`b` − `a`| × 10 of two images `[C, H, W]`.
    pub fn difference(a: &Tensor, b: &Tensor) -> Result<Self> {
        let (sizes, device) = ((a.size(), b.size()), a.device());
        ensure!(sizes.0 == sizes.1, "images of {:?} and {:?} have no difference", sizes.0, sizes.1);
        Self::from_image(&((b.to_device(device) - a).abs() * ENLARGED))
    }
}

/// The colour of one of so many shares: warm for the smallest, cold for the largest.
fn share_colour(share: usize, shares: usize) -> [f32; 3] {
    let at = share as f64 / (shares.max(2) - 1) as f64;
    let colour = colorous::PLASMA.eval_continuous(0.85 - 0.6 * at);
    [colour.r, colour.g, colour.b].map(|byte| f32::from(byte) / 255.)
}

/// A colour with some of what is below it.
fn mixed(colour: [f32; 3], below: f32) -> [f32; 3] {
    colour.map(|c| 0.75 * c + 0.25 * below)
}

/// Channels, height and width of `[C, H, W]`.
fn planes(image: &Tensor) -> Result<(usize, usize, usize)> {
    let size = image.size();
    ensure!(size.len() == 3, "an image has the shape [C, H, W]; found {size:?}");
    Ok((size[0] as usize, size[1] as usize, size[2] as usize))
}

fn values(tensor: &Tensor) -> Result<Vec<f32>> {
    let flat = tensor.detach().to_device(Device::Cpu).to_kind(Kind::Float).contiguous().view(-1);
    Ok(Vec::<f32>::try_from(&flat)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tensors_become_pictures() {
        let image = Tensor::from_slice(&[0.0f32, 0.5, 1.0]).view([3, 1, 1]);
        assert_eq!(Picture::from_image(&image).unwrap().rgb, [0, 128, 255]);
        let other = &image + 0.02;
        assert_eq!(Picture::difference(&image, &other).unwrap().rgb, [51, 51, 51]);
        let signed = Tensor::from_slice(&[-1.0f32, 0.0, -1.0, 0.0]).view([2, 1, 2]);
        let heat = Tensor::from_slice(&[2.0f32, 0.0]).view([1, 2]);
        let drawn = Picture::from_raw_map(&signed).unwrap();
        assert_eq!(drawn, Picture::from_heat(&heat).unwrap());
    }

    #[test]
    fn what_is_certain_has_colours_of_shares() {
        let image = Tensor::from_slice(&[0.5f32, 0.5, 0.5, 0.5]).view([1, 1, 4]);
        let states = |of: [i64; 4]| Tensor::from_slice(&of).view([1, 4]);
        let small = states([1, 0, -1, -1]);
        let large = states([1, 1, -1, 0]);
        let drawn = Picture::certified(&image, &[small, large]).unwrap();
        let at = |i: usize| &drawn.rgb[3 * i..3 * i + 3];
        let grey = |pixel: &[u8]| pixel[0] == pixel[1] && pixel[1] == pixel[2];
        assert!(!grey(at(0)) && !grey(at(1)) && at(0) != at(1), "in, by the smallest share");
        assert!(grey(at(2)) && grey(at(3)) && at(2)[0] < at(3)[0], "out of all is darker");
    }

    #[test]
    fn wrong_shapes_are_errors() {
        let flat = Tensor::zeros([4], (Kind::Float, Device::Cpu));
        let two = Tensor::zeros([2, 1, 2], (Kind::Float, Device::Cpu));
        assert!(Picture::from_image(&flat).is_err());
        assert!(Picture::from_image(&two).is_err());
        assert!(Picture::from_heat(&flat).is_err());
        assert!(Picture::difference(&flat, &two).is_err());
    }
}
