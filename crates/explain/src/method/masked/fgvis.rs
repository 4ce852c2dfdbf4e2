//! FGVis (Wagner et al. 2019): which values of the image take the class away as they go to the
//! baseline, one mask a channel. Against adversarial evidence a gradient passes a nonlinearity only
//! where what leaves it lies between 0 and what left it for the clean image. The map is one minus
//! the mask of the deletion game, which ends where another class wins, so that little is gone without
//! a weight on what is.

use crate::{
    Attribution, Batch,
    engine::chunks,
    sampling::baseline::{Baseline, check_pixel},
};
use anyhow::{Result, ensure};
use models::{
    Activation, Model, Ops, Score, Target,
    grad::{Graph, pull},
};
use registry::{Entry, described};
use serde::{Deserialize, Serialize};
use std::cell::{Cell, RefCell};
use tch::{Kind, Tensor};
use toml::{Table, Value};

/// In the list of methods.
pub(crate) const ENTRY: Entry<dyn Attribution> = Entry {
    name: "fgvis",
    about: "FGVis (Wagner et al. 2019): one minus the mask that takes the class away, without \
            evidence that the clean image has not",
    options: described::<Options>(&[
        ("steps", "steps of gradient descent"),
        ("learning_rate", "the largest change of the mask in a step, 0 or more"),
        ("lambda", "weight of Σ |1 − mask|, 0 or more"),
        ("baseline", "blur, or a value in [0, 1]: what replaces masked values"),
        ("blur", "σ of the blurred baseline, in pixels"),
        ("defended", "false: gradients pass every nonlinearity"),
        ("until_switched", "true: an image whose class another outdoes is done"),
    ])
    .option_aliases(&[("lr", "learning_rate")]),
    build,
};

#[derive(Debug)]
struct FgVis {
    options: Options,
    baseline: Baseline,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
struct Options {
    steps: u32,
    learning_rate: f64,
    lambda: f64,
    baseline: Value,
    blur: f64,
    defended: bool,
    until_switched: bool,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            steps: 500,
            learning_rate: 0.1,
            lambda: 0.,
            baseline: Value::Integer(0),
            blur: 3.,
            defended: true,
            until_switched: true,
        }
    }
}

fn build(table: Table) -> Result<Box<dyn Attribution>> {
    let options: Options = registry::options(table)?;
    ensure!(options.steps > 0, "`steps` is 0; it must be positive");
    for (name, value) in [("learning_rate", options.learning_rate), ("lambda", options.lambda)] {
        registry::not_negative(name, value)?;
    }
    let baseline = Baseline::parse(&options.baseline, options.blur)?;
    check_pixel(baseline)?;
    Ok(Box::new(FgVis { options, baseline }))
}

/// The ordinary pass; keeps what leaves each nonlinearity.
#[derive(Default)]
struct Remembering(RefCell<Vec<Tensor>>);

impl Ops for Remembering {
    fn act(&self, activation: &Activation, z: &Tensor) -> Tensor {
        let y = activation.apply(z);
        self.0.borrow_mut().push(y.detach());
        y
    }
}

/// The ordinary pass whose gradient passes a nonlinearity only between 0 and its clean value.
struct Defended<'a> {
    clean: &'a [Tensor],
    reached: Cell<usize>,
}

impl Ops for Defended<'_> {
    fn act(&self, activation: &Activation, z: &Tensor) -> Tensor {
        let clean = &self.clean[self.reached.replace(self.reached.get() + 1)];
        let y = activation.apply(z);
        let low = y.greater_equal_tensor(&clean.clamp_max(0.));
        let high = y.less_equal_tensor(&clean.clamp_min(0.));
        y.where_self(&low.logical_and(&high), &y.detach())
    }
}

impl FgVis {
    /// The logits `[N, K]` of the masked images, with a graph to their pixels.
    fn logits(&self, model: &dyn Model, x: &Tensor, clean: &[Tensor]) -> Tensor {
        match self.options.defended {
            true => model.forward(x, &Defended { clean, reached: Cell::new(0) }),
            false => model.logits(x),
        }
    }

    /// The masks of one pass's images, from masks of ones.
    fn fitted(&self, model: &dyn Model, batch: &Batch) -> Tensor {
        let Options { steps, learning_rate, lambda, until_switched, .. } = self.options;
        let which = vec![0; batch.keys.len()];
        let remembering = Remembering::default();
        let blank = tch::no_grad(|| {
            let _ = model.forward(&batch.x, &remembering);
            self.baseline.image(batch, &which)
        });
        let clean = remembering.0.into_inner();
        let class = batch.target.class.shallow_clone();
        let target = Target { class: class.shallow_clone(), score: Score::Prob };
        let mut mask = batch.x.ones_like();
        let mut going = class.ones_like().view([-1, 1, 1, 1]).to_kind(mask.kind());
        for _ in 0..steps {
            let leaf = mask.detach().set_requires_grad(true);
            let (loss, logits) = tch::with_grad(|| {
                let logits = self.logits(model, &(&blank + (&batch.x - &blank) * &leaf), &clean);
                let removed: Tensor = 1. - &leaf;
                let p = target.of(&logits).sum(Kind::Double);
                (p + removed.abs().sum(Kind::Double) * lambda, logits)
            });
            if until_switched {
                let first = logits.argmax(1, false).eq_tensor(&class).view([-1, 1, 1, 1]);
                going *= first.to_kind(mask.kind());
            }
            let g = pull(&loss, &leaf, Graph::Free);
            let most = g.abs().amax([1i64, 2, 3].as_slice(), true);
            let unit = (g / &most).where_self(&most.gt(0.), &most.zeros_like());
            mask = (mask - unit * &going * learning_rate).clamp(0., 1.);
        }
        mask
    }
}

impl Attribution for FgVis {
    fn attribute(&self, model: &dyn Model, batch: &Batch) -> Tensor {
        let [map] = chunks::map(batch, |pass| {
            let gone: Tensor = 1. - self.fitted(model, &pass.block);
            [gone]
        });
        map
    }
}
