//! The architectures: one sorted slice, one file a family. They have no options: a checkpoint names its
//! architecture by one word, so another width, depth or stem is another entry.

use crate::upload;
use crate::{Builder, Model};
use anyhow::{Context, Result, ensure};
use registry::Named;
use tch::{Device, Kind, Tensor};

mod googlenet;
mod layer_norm;
mod resnet;
mod resnet_cifar;
mod small;
mod swin;
mod vgg;
mod vit;
mod wide_resnet;

/// What a network must fit: image shape and number of classes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// Channels, height, width of an image.
    pub image: [i64; 3],
    /// Number of logits.
    pub classes: i64,
}

impl Shape {
    /// 3×32×32 images, ten classes.
    pub const CIFAR10: Shape = Shape { image: [3, 32, 32], classes: 10 };
    /// 1×28×28 images, ten classes.
    pub const MNIST: Shape = Shape { image: [1, 28, 28], classes: 10 };
    /// 3×224×224 images, a thousand classes.
    pub const IMAGENET: Shape = Shape { image: [3, 224, 224], classes: 1000 };
}

/// One line of the registry.
pub struct Arch {
    /// The name users type.
    pub name: &'static str,
    /// What it is and whose parameter names it has.
    pub about: &'static str,
    /// The shape it was published for.
    pub shape: Shape,
    /// The normalisation its published weights were trained with.
    pub normalise: &'static str,
    /// The least height and width it can take, and what they must be multiples of.
    pub sides: (i64, i64),
    /// Names that others gave to the same tensors, and the network's own; parts between dots.
    pub renames: &'static [(&'static str, &'static str)],
    /// First parts of names that published weights have and no pass uses.
    pub unused: &'static [&'static str],
    /// Asks the builder for every tensor and returns the network.
    pub build: fn(&Builder, &Shape) -> Box<dyn Model>,
}

/// Numbers in one image, at most: 16 megapixels of colour. More is a broken header.
const MOST_NUMBERS: i64 = 3 << 24;

impl Arch {
    /// Errors: images it cannot take, fewer than two classes.
    pub fn check(&self, shape: &Shape) -> Result<()> {
        let (name, [channels, height, width]) = (self.name, shape.image);
        let (least, step) = self.sides;
        let fits = |side: i64| side >= least && side % step == 0;
        ensure!(channels > 0, "`{name}` takes images with channels, not {channels}");
        let numbers = channels.checked_mul(height).and_then(|n| n.checked_mul(width));
        ensure!(
            numbers.is_some_and(|n| n <= MOST_NUMBERS),
            "`{name}` cannot take images as large as {channels}x{height}x{width}"
        );
        ensure!(
            fits(height) && fits(width),
            "`{name}` takes images with sides of {least} or more{}, not {height}x{width}",
            if step > 1 { format!(", multiples of {step}") } else { String::new() }
        );
        ensure!(shape.classes > 0, "`{name}` needs at least one class");
        Ok(())
    }
}

impl Named for Arch {
    fn name(&self) -> &'static str {
        self.name
    }
    fn about(&self) -> &'static str {
        self.about
    }
}

/// Every architecture, sorted by name.
pub const ARCHS: &[Arch] = &[
    small::CNN,
    googlenet::GOOGLENET,
    small::MLP,
    resnet::RESNET18,
    resnet::RESNET18_IMAGENET,
    resnet_cifar::RESNET20,
    resnet_cifar::RESNET32,
    resnet_cifar::RESNET44,
    resnet::RESNET50,
    resnet::RESNET50_IMAGENET,
    resnet_cifar::RESNET56,
    swin::SWIN_T,
    vgg::VGG16,
    vit::VIT_B16,
    vit::VIT_S16,
    vit::VIT_TI16,
    wide_resnet::WRN28_10,
];

/// The architecture called `name`; otherwise an error that lists the known ones.
pub fn arch(name: &str) -> Result<&'static Arch> {
    registry::find("architecture", ARCHS, name)
}

/// Mean and standard deviation per channel, in units of [0, 1] pixels.
#[derive(Clone, Debug, PartialEq)]
pub struct Normalisation {
    /// Subtracted first.
    pub mean: Vec<f64>,
    /// Divided by next.
    pub std: Vec<f64>,
}

impl Normalisation {
    /// `cifar10`, `imagenet`, `mnist`, `none` or `MEAN/STD` with one or `channels` numbers each,
    /// such as `0.5,0.5,0.5/0.2,0.2,0.2`.
    pub fn parse(text: &str, channels: i64) -> Result<Self> {
        let spelled = match text {
            "cifar10" => "0.4914,0.4822,0.4465/0.2023,0.1994,0.2010",
            "imagenet" => "0.485,0.456,0.406/0.229,0.224,0.225",
            "mnist" => "0.1307/0.3081",
            "none" => "0/1",
            other => other,
        };
        let told =
            || format!("normalisation `{text}`: write cifar10, imagenet, mnist, none or MEAN/STD");
        let (mean, std) = spelled.split_once('/').with_context(told)?;
        let list = |part: &str| -> Result<Vec<f64>> {
            let numbers: Result<Vec<f64>, _> = part.split(',').map(|t| t.trim().parse()).collect();
            let mut numbers = numbers.with_context(told)?;
            if numbers.len() == 1 {
                numbers = vec![numbers[0]; channels as usize];
            }
            let found = numbers.len();
            ensure!(
                found as i64 == channels,
                "{}: {found} numbers for {channels} channels",
                told()
            );
            Ok(numbers)
        };
        Self::new(list(mean)?, list(std)?).with_context(told)
    }

    /// From lists of equal length; every standard deviation is positive.
    pub fn new(mean: Vec<f64>, std: Vec<f64>) -> Result<Self> {
        ensure!(mean.len() == std.len(), "{} means, {} deviations", mean.len(), std.len());
        ensure!(mean.iter().all(|m| m.is_finite()), "a mean is not finite");
        ensure!(std.iter().all(|s| s.is_finite() && *s > 0.), "a deviation is not positive");
        Ok(Normalisation { mean, std })
    }

    /// As `--normalise` and checkpoint headers spell it.
    pub fn spelled(&self) -> String {
        let list = |v: &[f64]| v.iter().map(f64::to_string).collect::<Vec<_>>().join(",");
        format!("{}/{}", list(&self.mean), list(&self.std))
    }

    pub(crate) fn tensors(&self, place: (Kind, Device)) -> (Tensor, Tensor) {
        let one = |v: &[f64]| upload(v, place.1).to_kind(place.0).view([1, -1, 1, 1]);
        (one(&self.mean), one(&self.std))
    }
}
