//! Whether an iteration or a step waits for the device: a plug of work that takes long is put into
//! the stream, and the host has to come back while it is still running.

use super::{
    Lines,
    side::{Side, images, reference},
};
use ::train::{
    objective::{OBJECTIVES, Step, objective},
    optimizer::optimizer,
};
use anyhow::Result;
use attack::{AutoPgd, Ball, Beta, Descent, MapAttack, Norm, Step as Steps};
use explain::Batch;
use models::{Classifier, Model, params::flat::Flat, zoo};
use std::time::Instant;
use tch::{Cuda, Device, Kind, Tensor};

/// Seconds that the plug takes at least, and that the host may take.
const PLUG: f64 = 1.;
const BACK: f64 = 0.3;

pub fn run(lines: &mut Lines, device: Device) -> Result<()> {
    let Device::Cuda(number) = device else {
        lines.skipped("", "an iteration and a step", "a CPU's work is done when a call returns");
        return Ok(());
    };
    let plug = Plug::new(device, number);
    let arch = zoo::arch("resnet20")?;
    let right = reference(arch)?;
    let side = Side::single(device);
    let model = side.network(&right, arch)?;
    let x = images(16, &right.shape);
    let class = model.logits(&side.place(&x)).argmax(1, false);
    let batch = side.batch(&x, &class);
    attacked(lines, &plug, &model, &batch)?;
    stepped(lines, &plug, &side.trainable(&right, arch)?, &batch)
}

fn attacked(lines: &mut Lines, plug: &Plug, model: &Classifier, batch: &Batch) -> Result<()> {
    let gxi = explain::parse("gxi")?;
    let topk = attack::map_objective(registry::parse("topk")?)?;
    let spreads = models::spreads(model, [batch.x.shallow_clone()]);
    let attack = MapAttack {
        model,
        method: &*gxi,
        objective: &*topk,
        optimizer: &AutoPgd {},
        beta: Beta::USUAL,
        spreads: &spreads,
        surrogate: ::attack::Surrogate::Exact,
        descent: Descent::Near,
        iterations: 2,
        step: Steps::Falling(0.03),
        restarts: 1,
        fresh: false,
        recorder: None,
    };
    let (clean, ball) = (attack.reference(batch, 10), Ball::new(Norm::Linf, 0.03)?);
    let found = plug.behind(|| drop(attack.run(batch, &clean, &ball, None, &|| ())));
    lines.difference("f32", "seconds of the host, an attack on maps", found, BACK);
    Ok(())
}

fn stepped(lines: &mut Lines, plug: &Plug, trained: &Classifier, batch: &Batch) -> Result<()> {
    let flat = Flat::new(trained.params());
    let mut sgd = optimizer(&toml::from_str("name = 'sgd'\nlearning_rate = 0.01")?)?;
    for entry in OBJECTIVES {
        let table = toml::from_str(&format!("name = '{}'", entry.name))?;
        let Ok(mut built) = objective(&table) else { continue };
        if built.attack().is_some() {
            continue; // its adversary is PGD's walk, which the attack above takes
        }
        let (keys, numbers): (Vec<u64>, Vec<i64>) = ((0..16).collect(), (0..16).collect());
        let step = Step {
            keys: &keys,
            numbers: &numbers,
            images: 16,
            ..Step::new(trained, &batch.x, &batch.target.class)
        };
        let found = plug.behind(|| {
            let total = built.loss(&step).total();
            sgd.step(&flat.gradients(&step.gradients(&total)), 0.01);
        });
        lines.difference(
            "f32",
            &format!("seconds of the host, a step of {}", entry.name),
            found,
            BACK,
        );
    }
    Ok(())
}

/// Products of a matrix that keep the device busy for [`PLUG`] seconds.
struct Plug {
    matrix: Tensor,
    number: usize,
    products: u32,
}

impl Plug {
    fn new(device: Device, number: usize) -> Self {
        let matrix = Tensor::rand([4096, 4096], (Kind::Float, device)) / 4096.;
        let mut plug = Plug { matrix, number, products: 1 };
        plug.put();
        Cuda::synchronize(number as i64);
        let clock = Instant::now();
        plug.put();
        Cuda::synchronize(number as i64);
        plug.products = (PLUG / clock.elapsed().as_secs_f64()).clamp(1., 1e5) as u32;
        plug
    }

    fn put(&self) {
        (0..self.products).for_each(|_| drop(self.matrix.matmul(&self.matrix)));
    }

    /// Seconds until `work` returns with the plug before it; once before that without, so that
    /// kernels are loaded.
    fn behind(&self, mut work: impl FnMut()) -> f64 {
        work();
        Cuda::synchronize(self.number as i64);
        self.put();
        let clock = Instant::now();
        work();
        let seconds = clock.elapsed().as_secs_f64();
        Cuda::synchronize(self.number as i64);
        seconds
    }
}
