//! One training step of every objective, from the same weights on the same random images.

use super::{Contestant, Entrant, Timed, interleaved, untrained};
use crate::{cli::Bench, commands::train::adversary, runtime::ui::Ui};
use ::train::{
    objective::{self, Adversary, Objective, Step},
    optimizer::{self, Optimizer},
};
use anyhow::{Context, Result};
use models::{Model, Params, noise, params::flat::Flat, zoo::Shape};
use std::{collections::BTreeMap, time::Instant};
use tch::{Device, Kind, Tensor};

/// Settings of the objective, and the model's `frozen_norm`.
pub(super) const ENTRANTS: &[Entrant] = &[
    ("natural", "name = 'natural'"),
    (
        "PGD-7",
        "name = 'adversarial'\n\
         attack = { norm = 'linf', eps = '8/255', steps = 7, step_size = '2/255' }",
    ),
    ("PGD-30", "name = 'adversarial'\nattack = { norm = 'l2', eps = 0.25, steps = 30 }"),
    (
        "TRADES-7",
        "name = 'trades'\n\
         attack = { norm = 'linf', eps = '8/255', steps = 7, step_size = '2/255' }",
    ),
    ("gradient norm", "name = 'gradient-norm'"),
    ("CURE", "name = 'curvature'"),
    ("SSR naive", "name = 'ssr'\neigenvector = 'naive'"),
    ("SSR exact", "name = 'ssr'\neigenvector = 'exact'"),
    ("SSR warm", "name = 'ssr'\neigenvector = 'warm'"),
    ("SSR exact, batch norm", "name = 'ssr'\nnorm = 'batch'"),
    ("SSR warm, batch norm", "name = 'ssr'\neigenvector = 'warm'\nnorm = 'batch'"),
    ("SSR exact, frozen norm", "frozen_norm = true\nname = 'ssr'\neigenvector = 'exact'"),
    ("SSR warm, frozen norm", "frozen_norm = true\nname = 'ssr'\neigenvector = 'warm'"),
    ("IG-NORM", "name = 'ig-norm'"),
];

/// Steps before those that count: kernels are chosen, and what is kept per image is there.
const WARM_UP: u32 = 2;

/// Times the steps.
pub(super) fn run(
    wanted: &[&Entrant],
    args: &Bench,
    device: Device,
    ui: &Ui,
) -> Result<Vec<Timed>> {
    let (model, shape) = (untrained(args, device)?, Shape::CIFAR10);
    let flat = Flat::new(model.params());
    let start: BTreeMap<String, Tensor> =
        model.params().tensors().into_iter().map(|(name, t)| (name, t.copy())).collect();
    let n = args.batch_size;
    let keys: Vec<u64> = (0..n as u64).map(|image| noise::key(0, image, 0)).collect();
    let x = noise::uniform(&keys, &shape.image, device);
    let y = Tensor::arange(n as i64, (Kind::Int64, device)).remainder(shape.classes);
    let numbers: Vec<i64> = (0..n as i64).collect();
    let step = Step {
        numbers: &numbers,
        images: n,
        keys: &keys,
        // Ramps of settings are over.
        epoch: 1e3,
        precision: args.precision,
        ..Step::new(&model, &x, &y)
    };
    let mut runners = vec![];
    for (name, settings) in wanted {
        runners.push((*name, Runner::new(settings).with_context(|| format!("`{name}`"))?));
    }
    let mut contestants: Vec<Contestant> = vec![];
    for (name, mut runner) in runners {
        let (step, start, flat) = (&step, &start, &flat);
        contestants.push((name, Box::new(move || runner.step(step, start, flat))));
    }
    let mut timed = interleaved(&mut contestants, WARM_UP, args, ui);
    if model.nonlinear_only_in_ops() {
        // Forwards, backwards by weights, and backwards by inputs, which images need none of.
        let one = model.footprint();
        timed[0].products = Some((3 * one.products - one.first_products) as f64 * n as f64);
    }
    Ok(timed)
}

struct Runner {
    objective: Box<dyn Objective>,
    adversary: Option<Box<dyn Adversary>>,
    frozen_norm: bool,
    optimizer: Box<dyn Optimizer>,
}

impl Runner {
    fn new(settings: &str) -> Result<Self> {
        let mut settings: toml::Table = toml::from_str(settings)?;
        let frozen_norm = settings.remove("frozen_norm").is_some_and(|on| on == true.into());
        let objective = objective::objective(&settings)?;
        let adversary = objective.attack().map(adversary).transpose()?;
        let sgd = "name = 'sgd'\nlearning_rate = 0.01\nweight_decay = 5e-4";
        let optimizer = optimizer::optimizer(&toml::from_str(sgd)?)?;
        Ok(Runner { objective, adversary, frozen_norm, optimizer })
    }

    /// Milliseconds of one step from the weights `start`.
    fn step(&mut self, step: &Step, start: &BTreeMap<String, Tensor>, flat: &Flat) -> f64 {
        let params = step.model.params();
        params.fill(start).expect("the same network");
        wait(params);
        let clock = Instant::now();
        let (frozen_norm, adversary) = (self.frozen_norm, self.adversary.as_deref());
        let step = Step { frozen_norm, adversary, ..*step };
        let total = self.objective.loss(&step).total();
        self.optimizer.step(&flat.gradients(&step.gradients(&total)), 0.01);
        wait(params);
        clock.elapsed().as_secs_f64() * 1e3
    }
}

/// Returns when the device has done all it was asked to: a number is read back.
fn wait(params: &Params) {
    let weights = params.weights();
    let _ = weights[0].1.sum(Kind::Float).double_value(&[]);
}
