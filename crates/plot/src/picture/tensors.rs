//! Pictures from tensors. The only file here that knows tensors.

use crate::Picture;
use anyhow::{Result, ensure};
use tch::{Device, Kind, Tensor};

/// How much [`Picture::difference`] enlarges what an attack changed.
const ENLARGED: f64 = 10.0;

/// How maps are drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Drawing {
    /// Red for the class, blue against it.
    Signed,
    /// The share of the attribution, without its sign.
    Heat,
    /// As `Signed`, over the image.
    Overlay,
}

impl Drawing {
    /// How the maps `[N, C, H, W]` of a method are drawn unless asked otherwise: with their signs where
    /// one of them has a number below 0.
    pub fn usual(maps: &Tensor) -> Self {
        let below = maps.numel() > 0 && maps.lt(0.).any().int64_value(&[]) != 0;
        if below { Drawing::Signed } else { Drawing::Heat }
    }
}

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

    /// `map`: `[C, H, W]`, signed, as explanation methods return it, of the image `[C', H, W]`; summed
    /// over channels, of a heat map by absolute values.
    pub fn of_map(map: &Tensor, image: &Tensor, drawing: Drawing) -> Result<Self> {
        let (_, h, w) = planes(map)?;
        let map = map.to_kind(Kind::Float);
        let sum = |t: &Tensor| values(&t.sum_dim_intlist(0, false, Kind::Float));
        match drawing {
            Drawing::Heat => Self::from_map(&sum(&map.abs())?, h, w),
            Drawing::Signed => Self::from_signed(&sum(&map)?, h, w),
            Drawing::Overlay => {
                let (channels, height, width) = planes(image)?;
                ensure!(
                    (height, width) == (h, w),
                    "a map of {h}×{w} does not lie over an image of {height}×{width}"
                );
                let grey = sum(&(image.to_kind(Kind::Float) / channels as f64))?;
                Self::from_overlay(&sum(&map)?, &grey, h, w)
            }
        }
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
        let grey = Tensor::full([3, 1, 2], 0.5, (Kind::Float, Device::Cpu));
        let drawn = |map: &Tensor, how| Picture::of_map(map, &grey, how).unwrap();
        assert_eq!(drawn(&signed, Drawing::Heat), Picture::from_heat(&heat).unwrap());
        let [plain, over] = [Drawing::Signed, Drawing::Overlay].map(|how| drawn(&signed, how));
        assert_eq!(plain, Picture::from_signed(&[-2.0, 0.0], 1, 2).unwrap());
        assert!(over.rgb != plain.rgb && over.scale.name() == "overlay");
        assert!(Picture::of_map(&signed, &image, Drawing::Overlay).is_err());
        assert_eq!(Drawing::usual(&signed.unsqueeze(0)), Drawing::Signed);
        assert_eq!(Drawing::usual(&signed.abs().unsqueeze(0)), Drawing::Heat);
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
