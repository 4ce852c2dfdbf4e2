//! TRADES (Zhang et al. 2019): clean cross-entropy plus β times the divergence of the predictions
//! at an image and at one nearby where an attack made it large. The paper's attack starts at
//! x + 0.001 N(0, 1); ours at the adversary's own random start, uniform in the ball.

use super::{
    Loss, Objective, Statistics, Step,
    adversarial::{check_ramp, ramped},
    cross_entropy,
};
use anyhow::{Result, ensure};
use models::grad;
use registry::{Entry, described};
use serde::{Deserialize, Serialize};
use tch::{Kind, Tensor};
use toml::{Table, Value};

/// In the list of objectives.
pub(super) const ENTRY: Entry<dyn Objective> = Entry {
    name: "trades",
    about: "cross-entropy + beta · KL(p(x) || p(x')), x' where an attack made it large (Zhang et \
            al. 2019)",
    options: described::<Trades>(&[
        (
            "attack",
            "the adversary, a table: norm, eps, steps, step_size, random_start, restarts, best, rule; \
             always from a random start",
        ),
        ("beta", "weight of the divergence, 0 or more"),
        ("ramp", "epochs until the full eps"),
        (
            "attack_mode",
            "statistics of batch norms while attacking: running (or eval), batch (or train)",
        ),
    ])
    .needing(&[("attack", "{ eps = \"8/255\", steps = 7, step_size = \"2/255\" }")]),
    build,
};

#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Trades {
    attack: Table,
    #[serde(default = "six")]
    beta: f64,
    #[serde(default)]
    ramp: f64,
    #[serde(default)]
    attack_mode: Statistics,
}

fn six() -> f64 {
    6.
}

fn build(table: Table) -> Result<Box<dyn Objective>> {
    let options: Trades = registry::options(table)?;
    registry::not_negative("beta", options.beta)?;
    check_ramp(options.ramp)?;
    check_start(&options.attack)?;
    Ok(Box::new(options))
}

/// Errors: an attack that starts at the clean image, where what it climbs has no slope.
pub(super) fn check_start(attack: &Table) -> Result<()> {
    ensure!(
        attack.get("random_start") != Some(&Value::Boolean(false)),
        "`attack.random_start` is false, but what is climbed is flat at the clean image: the \
         attack would never leave it; leave `random_start` out"
    );
    Ok(())
}

/// KL(p ‖ q) of each image from logits `[N, K]`, `[N]`.
fn divergence(p: &Tensor, q: &Tensor) -> Tensor {
    let (p, q) = (p.log_softmax(1, p.kind()), q.log_softmax(1, q.kind()));
    (p.exp() * (p - q)).sum_dim_intlist([1].as_slice(), false, None::<Kind>)
}

/// What it says of every image.
const OBSERVED: &str = "divergence";

impl Objective for Trades {
    fn observes(&self) -> &'static [&'static str] {
        &[OBSERVED]
    }

    fn loss(&mut self, step: &Step) -> Loss {
        let network = step.network(self.attack_mode);
        let clean = tch::no_grad(|| network(step.x));
        let climb = |x: &Tensor| grad::value_and_grad(x, |x| divergence(&clean, &network(x)));
        let x = step.perturb(&climb, ramped(step.epoch, self.ramp));
        let logits = step.train_logits(step.x);
        let kl = divergence(&logits, &step.train_logits(&x));
        let penalty = kl.mean(None::<Kind>) * self.beta;
        Loss {
            parts: vec![("cross-entropy", cross_entropy(&logits, step.y)), ("divergence", penalty)],
            logits,
            observed: vec![(OBSERVED, kl.detach())],
        }
    }

    fn attack(&self) -> Option<&Table> {
        Some(&self.attack)
    }
}
