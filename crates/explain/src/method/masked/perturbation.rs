//! Meaningful perturbation (Fong & Vedaldi 2017): the smallest, smoothest part of the image whose
//! blurring takes the class away. The map is one minus the mask, the same in every channel.

use crate::{
    Attribution, Batch,
    engine::chunks,
    sampling::baseline::{Baseline, check_pixel},
};
use anyhow::{Result, ensure};
use models::{
    Model, Score, Target,
    adam::{Adam, Moments},
    grad::{Graph, pull},
};
use registry::{Entry, described};
use serde::{Deserialize, Serialize};
use tch::{Kind, Tensor};
use toml::{Table, Value};

/// In the list of methods.
pub(crate) const ENTRY: Entry<dyn Attribution> = Entry {
    name: "mask",
    about: "meaningful perturbation (Fong & Vedaldi 2017): one minus the mask that takes the \
            class away",
    options: described::<Options>(&[
        ("steps", "steps of Adam"),
        ("learning_rate", "step size of Adam, 0 or more"),
        ("cell", "side of a cell of the mask, in pixels"),
        ("lambda1", "weight of the mask's mean, 0 or more"),
        ("lambda2", "weight of the mask's variation, 0 or more"),
        ("power", "exponent of the variation, 1 or more"),
        ("baseline", "blur, or a value in [0, 1]: what replaces masked pixels"),
        ("blur", "σ of the blurred baseline, in pixels"),
    ])
    .option_aliases(&[("lr", "learning_rate")]),
    build,
};

const ADAM: Adam = Adam { betas: [0.9, 0.999], eps: 1e-8 };

#[derive(Debug)]
struct Mask {
    options: Options,
    baseline: Baseline,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
struct Options {
    steps: u32,
    learning_rate: f64,
    cell: i64,
    lambda1: f64,
    lambda2: f64,
    power: f64,
    baseline: Value,
    blur: f64,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            steps: 300,
            learning_rate: 0.1,
            cell: 4,
            lambda1: 0.01,
            lambda2: 0.2,
            power: 3.,
            baseline: Value::String("blur".into()),
            blur: 3.,
        }
    }
}

fn build(table: Table) -> Result<Box<dyn Attribution>> {
    let options: Options = registry::options(table)?;
    ensure!(options.steps > 0, "`steps` is 0; it must be positive");
    ensure!(options.cell > 0, "`cell` is {}; it must be positive", options.cell);
    for (name, value) in [
        ("learning_rate", options.learning_rate),
        ("lambda1", options.lambda1),
        ("lambda2", options.lambda2),
    ] {
        registry::not_negative(name, value)?;
    }
    ensure!(options.power >= 1., "`power` is {}; it must be 1 or more", options.power);
    let baseline = Baseline::parse(&options.baseline, options.blur)?;
    check_pixel(baseline)?;
    Ok(Box::new(Mask { options, baseline }))
}

/// Σ |difference of neighbours|^power of each mask, in units of its cells, `[N]`.
pub(crate) fn variation(mask: &Tensor, power: f64) -> Tensor {
    let along = |dim: i64| {
        let n = mask.size()[dim as usize];
        let d = mask.narrow(dim, 1, n - 1) - mask.narrow(dim, 0, n - 1);
        d.abs().pow_tensor_scalar(power).sum_dim_intlist([1i64, 2, 3].as_slice(), false, d.kind())
    };
    (along(2) + along(3)) / (mask.size()[2] * mask.size()[3]) as f64
}

impl Mask {
    /// Mask `[N, 1, h, w]` -> `[N, 1, H, W]`.
    fn spread(mask: &Tensor, x: &Tensor) -> Tensor {
        let (_, _, h, w) = x.size4().expect("images have four dimensions");
        mask.upsample_bilinear2d([h, w], false, None, None)
    }

    /// The loss of every image, summed.
    fn loss(&self, model: &dyn Model, batch: &Batch, blank: &Tensor, mask: &Tensor) -> Tensor {
        let kept = Self::spread(mask, &batch.x);
        let logits = model.logits(&(blank + (&batch.x - blank) * kept));
        let class = batch.target.class.shallow_clone();
        let p = Target { class, score: Score::Prob }.of(&logits).to_kind(mask.kind());
        let Options { lambda1, lambda2, power, .. } = self.options;
        let gone: Tensor = 1. - mask;
        let gone = gone.abs().mean_dim([1i64, 2, 3].as_slice(), false, mask.kind());
        let parts = p + gone * lambda1 + variation(mask, power) * lambda2;
        parts.sum(None::<Kind>)
    }

    /// The masks of one pass's images, by Adam from a mask of ones.
    fn fitted(&self, model: &dyn Model, batch: &Batch) -> Tensor {
        let (n, _, h, w) = batch.x.size4().expect("images have four dimensions");
        let cells = |side: i64| (side + self.options.cell - 1) / self.options.cell;
        let which = vec![0; n as usize];
        let blank = tch::no_grad(|| self.baseline.image(batch, &which));
        let mut mask = Tensor::ones([n, 1, cells(h), cells(w)], (batch.x.kind(), batch.x.device()));
        let mut moments = Moments::zero(&mask);
        for step in 1..=self.options.steps {
            let leaf = mask.detach().set_requires_grad(true);
            let loss = tch::with_grad(|| self.loss(model, batch, &blank, &leaf));
            let g = pull(&loss, &leaf, Graph::Free);
            let down = ADAM.direction(&mut moments, &g, i64::from(step));
            mask = (mask - down * self.options.learning_rate).clamp(0., 1.);
        }
        mask
    }
}

impl Attribution for Mask {
    fn attribute(&self, model: &dyn Model, batch: &Batch) -> Tensor {
        let [map] = chunks::map(batch, |pass| {
            let (part, mask) = (&pass.block, self.fitted(model, &pass.block));
            let map: Tensor = 1. - Self::spread(&mask, &part.x);
            [map.expand_as(&part.x)]
        });
        map
    }
}
