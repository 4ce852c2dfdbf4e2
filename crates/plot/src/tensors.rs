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

    /// |`b` − `a`| × 10 of two images `[C, H, W]`.
    pub fn difference(a: &Tensor, b: &Tensor) -> Result<Self> {
        let (sizes, device) = ((a.size(), b.size()), a.device());
        ensure!(sizes.0 == sizes.1, "images of {:?} and {:?} have no difference", sizes.0, sizes.1);
        Self::from_image(&((b.to_device(device) - a).abs() * ENLARGED))
    }
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
    fn wrong_shapes_are_errors() {
        let flat = Tensor::zeros([4], (Kind::Float, Device::Cpu));
        let two = Tensor::zeros([2, 1, 2], (Kind::Float, Device::Cpu));
        assert!(Picture::from_image(&flat).is_err());
        assert!(Picture::from_image(&two).is_err());
        assert!(Picture::from_heat(&flat).is_err());
        assert!(Picture::difference(&flat, &two).is_err());
    }
}
