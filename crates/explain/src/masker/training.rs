//! How a masker is trained: Equation 3 of Dabkowski & Gal 2017 over masks of a class, by Adam.

use super::{Masker, spread};
use crate::{method::variation, sampling::baseline::blurred};
use anyhow::{Result, ensure};
use models::{
    Model, Score, SharedTensor, Target,
    adam::{Adam, Moments},
    grad::cross_entropy,
    noise, upload,
};
use serde::Serialize;
use tch::{Kind, Tensor};

/// What a masker is trained with.
#[derive(Clone, Debug, Serialize)]
pub struct Training {
    /// Passes over the images, 1 or more.
    pub epochs: u32,
    /// Images a step.
    pub batch: usize,
    /// Adam's step size at the beginning; it falls to 0 in a line.
    pub learning_rate: f64,
    /// Channels of its layers.
    pub width: i64,
    /// Weight of the mask's mean (λ2).
    pub area: f64,
    /// Weight of the mask's variation, the mean square difference of neighbours (λ1).
    pub variation: f64,
    /// Weight of what is left of the class where the mask is taken out (λ3).
    pub left: f64,
    /// Exponent of that probability (λ4).
    pub power: f64,
    /// Share of the images that are asked for a class they do not show, whose masks shall be empty.
    pub others: f64,
    /// Of every draw.
    pub seed: u64,
}

impl Default for Training {
    fn default() -> Self {
        Training {
            epochs: 3,
            batch: 64,
            learning_rate: 1e-3,
            width: 32,
            area: 4.,
            variation: 1.,
            left: 5.,
            power: 0.3,
            others: 0.3,
            seed: 0,
        }
    }
}

/// Means over the images of an epoch.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Found {
    /// The loss.
    pub loss: f64,
    /// Share of the image that masks of its class keep.
    pub area: f64,
    /// Probability of the class on what the mask keeps.
    pub kept: f64,
    /// Probability of the class on what it leaves.
    pub left: f64,
    /// Share of the image that masks of other classes keep.
    pub other_area: f64,
}

impl Training {
    /// Errors: a number that training cannot use.
    pub fn check(&self) -> Result<()> {
        ensure!(self.epochs > 0 && self.batch > 0 && self.width > 0, "a count is 0");
        registry::positive("learning-rate", self.learning_rate)?;
        let weights = [("area", self.area), ("variation", self.variation), ("left", self.left)];
        weights.iter().try_for_each(|&(name, value)| registry::not_negative(name, value))?;
        registry::positive("power", self.power)?;
        ensure!((0. ..1.).contains(&self.others), "`others` is {}, not in [0, 1)", self.others);
        Ok(())
    }

    /// Draws in [0, 1) for images, one each; `what` tells draws apart.
    fn units(&self, images: &[u64], what: (&str, u32), like: &Tensor) -> Tensor {
        let id = noise::key(noise::name_id(what.0), u64::from(what.1), 0);
        let keys: Vec<u64> = images.iter().map(|&i| noise::key(self.seed, i, id)).collect();
        noise::uniform(&keys, &[1, 1, 1], like.device()).to_kind(like.kind())
    }

    /// What fills the place of what a mask takes out: the blurred image or a colour with noise, by
    /// the toss of a coin. σ of the blur is the paper's 10 pixels of 224.
    fn filling(&self, x: &Tensor, images: &[u64], epoch: u32) -> Tensor {
        const BLUR: f64 = 10. / 224.;
        const GRAIN: f64 = 0.1;
        let (_, c, h, w) = x.size4().expect("images have four axes");
        let id = noise::key(noise::name_id("colour"), u64::from(epoch), 0);
        let keys: Vec<u64> = images.iter().map(|&i| noise::key(self.seed, i, id)).collect();
        let colour = noise::uniform(&keys, &[c, 1, 1], x.device());
        let grain = noise::normal(&keys, &[c, h, w], x.device()) * GRAIN;
        let colour = (colour + grain).clamp(0., 1.).to_kind(x.kind());
        let blur = blurred(x, BLUR * h.max(w) as f64);
        blur.where_self(&self.units(images, ("coin", epoch), x).lt(0.5), &colour)
    }

    /// The class that each image is asked for: the network's, or another one where `real` is false.
    fn asked(&self, own: &Tensor, real: &Tensor, classes: i64, drawn: &Tensor) -> Tensor {
        let by = (drawn.view([-1]) * (classes - 1) as f64).floor().to_kind(Kind::Int64) + 1;
        let other = (own + by.clamp_max(classes - 1)).remainder(classes);
        own.where_self(real, &other)
    }
}

/// Equation 3 for one mask an image, `[N]` each.
#[derive(Debug)]
pub struct Equation {
    /// What the mask itself costs: λ1 its variation + λ2 its mean.
    pub of_mask: Tensor,
    /// What the class costs: −ln p(kept) + λ3 p(left)^λ4.
    pub of_class: Tensor,
    /// The mask's mean.
    pub area: Tensor,
    /// Probability of the class on what the mask keeps.
    pub kept: Tensor,
    /// Probability of the class on what it leaves.
    pub left: Tensor,
}

impl Training {
    /// The equation for masks `[N, 1, h, w]` of the images `x`, with `filling` `[N, C, H, W]` where they
    /// take something out, and the classes `[N]`.
    pub fn equation(
        &self,
        model: &dyn Model,
        (x, filling): (&Tensor, &Tensor),
        mask: &Tensor,
        class: &Tensor,
    ) -> Equation {
        // Its power has no slope at 0.
        const LEAST: f64 = 1e-6;
        let area = mask.mean_dim([1i64, 2, 3].as_slice(), false, mask.kind());
        let whole = spread(mask, x);
        let kept = model.logits(&(filling + (x - filling) * &whole));
        let left = model.logits(&(x + (filling - x) * &whole));
        let p = |logits: &Tensor| {
            let target = Target { class: class.shallow_clone(), score: Score::Prob };
            target.of(logits).to_kind(x.kind())
        };
        let left = p(&left);
        let of_left = (&left + LEAST).pow_tensor_scalar(self.power) * self.left;
        Equation {
            of_mask: variation(mask, 2.) * self.variation + &area * self.area,
            of_class: cross_entropy(&kept, class) + of_left,
            area,
            kept: p(&kept),
            left,
        }
    }

    /// The loss of each image of a step, with a graph to the masker's numbers, and `[N, 6]`, of which
    /// [`means`] makes what was found.
    fn step(
        &self,
        model: &dyn Model,
        masker: &Masker,
        (x, images): (&Tensor, &[u64]),
        epoch: u32,
    ) -> (Tensor, Tensor) {
        let (seen, logits) = tch::no_grad(|| masker.look(model, x));
        let (own, classes) = (logits.argmax(1, false), logits.size()[1]);
        let real = self.units(images, ("real", epoch), x).ge(self.others).view([-1]);
        let drawn = self.units(images, ("other", epoch), x);
        let class = self.asked(&own, &real, classes, &drawn);
        let mask = masker.decode(&seen, &class);
        let filling = self.filling(x, images, epoch);
        let Equation { of_mask, of_class, area, kept, left } =
            self.equation(model, (x, &filling), &mask, &class);
        let on = real.to_kind(x.kind());
        let loss = of_mask + of_class * &on;
        let off: Tensor = 1. - &on;
        let parts = [&loss, &on, &(&area * &on), &(kept * &on), &(left * &on), &(&area * off)];
        let found = Tensor::stack(&parts.map(Tensor::detach), 1);
        (loss, found)
    }
}

/// A masker for `model`, trained on the images `[N, C, H, W]`; `tick` is told of every step how many
/// images it had, `say` of every epoch what it found. Errors: no tap, a loss that is not finite.
pub fn fit(
    model: &dyn Model,
    x: &Tensor,
    how: &Training,
    tick: &dyn Fn(u64),
    say: &dyn Fn(u32, &Found),
) -> Result<(Masker, Found)> {
    const ADAM: Adam = Adam { betas: [0.9, 0.999], eps: 1e-8 };
    how.check()?;
    let (n, c, h, w) = x.size4()?;
    let mut masker = Masker::new(model, [c, h, w], how.width, how.seed)?;
    let names: Vec<String> = masker.params.keys().cloned().collect();
    let mut params: Vec<Tensor> =
        names.iter().map(|name| masker.get(name, &x.to_kind(Kind::Float))).collect();
    let mut moments: Vec<Moments> = params.iter().map(Moments::zero).collect();
    let steps = (n as u64).div_ceil(how.batch as u64) * u64::from(how.epochs);
    let (mut step, mut found) = (0, Found::default());
    for epoch in 1..=how.epochs {
        let mut sums = Tensor::zeros([6], (Kind::Double, x.device()));
        for images in order(n, how.seed, epoch).chunks(how.batch) {
            let part = x.index_select(0, &upload(images, x.device()));
            let keys: Vec<u64> = images.iter().map(|&i| i as u64).collect();
            let leaves: Vec<Tensor> =
                params.iter().map(|p| p.detach().set_requires_grad(true)).collect();
            let named = names.iter().zip(&leaves);
            let shared = |(name, t): (&String, &Tensor)| {
                (name.clone(), SharedTensor::new(t.shallow_clone()))
            };
            masker.params = named.map(shared).collect();
            let (loss, parts) = tch::with_grad(|| {
                let (loss, parts) = how.step(model, &masker, (&part, &keys), epoch);
                (loss.mean(Kind::Double), parts)
            });
            let grads = Tensor::run_backward(&[&loss], &leaves, false, false);
            step += 1;
            let rate = how.learning_rate * (1. - (step - 1) as f64 / steps as f64);
            for ((p, g), moments) in params.iter_mut().zip(&grads).zip(&mut moments) {
                *p = &*p - ADAM.direction(moments, g, step) * rate;
            }
            sums += parts.sum_dim_intlist([0i64].as_slice(), false, Kind::Double);
            tick(images.len() as u64);
        }
        found = means(&sums, n as f64);
        ensure!(found.loss.is_finite(), "the loss of epoch {epoch} is {}", found.loss);
        say(epoch, &found);
    }
    let cpu =
        |(name, p): (String, Tensor)| (name, SharedTensor::new(p.to_device(tch::Device::Cpu)));
    masker.params = names.into_iter().zip(params).map(cpu).collect();
    Ok((masker, found))
}

/// The images in the order of an epoch.
fn order(n: i64, seed: u64, epoch: u32) -> Vec<i64> {
    let key = |i: i64| {
        noise::key(seed, noise::key(noise::name_id("order"), u64::from(epoch), 0), i as u64)
    };
    let mut order: Vec<i64> = (0..n).collect();
    order.sort_by_key(|&i| key(i));
    order
}

fn means(sums: &Tensor, n: f64) -> Found {
    let at = |i: i64| sums.double_value(&[i]);
    let real = at(1);
    let of = |i: i64| at(i) / real.max(1.);
    Found {
        loss: at(0) / n,
        area: of(2),
        kept: of(3),
        left: of(4),
        other_area: at(5) / (n - real).max(1.),
    }
}
