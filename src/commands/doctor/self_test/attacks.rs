//! Every attack by every rule: the same images in f64. In f32 rounding turns signs, and an attack
//! follows signs: there it must stay in its ball and end no further from its goal than it began.

use super::{Lines, side::apart, world::World};
use anyhow::Result;
use attack::{
    ADVERSARIES, ATTACKS, AttackInput, Ball, Beta, Descent, MapAttack, MapObjective, Norm,
    OPTIMIZERS, Optimizer, Step,
};
use registry::few;
use tch::{Device, Kind, Tensor};

const EPS: f64 = 8. / 255.;

pub(super) fn run(lines: &mut Lines, world: &World, right: &World) -> Result<()> {
    let ball = Ball::new(Norm::Linf, EPS)?;
    for (name, adversary) in few(ADVERSARIES, &[]) {
        let attacked = |world: &World| {
            let batch = &world.batch;
            let (x, y) = (&batch.x, &batch.target.class);
            adversary.attack(&AttackInput::new(&world.model, (x, y), ball, &batch.keys))
        };
        judge(lines, world, &format!("attack {name}"), &attacked(world), || attacked(right));
    }
    let gxi = explain::parse("gxi")?;
    for (goal, objective) in few(ATTACKS, &[]) {
        for (rule, optimizer) in few(OPTIMIZERS, &[]) {
            let found = on_maps(world, &*gxi, &*objective, &*optimizer, &ball)?;
            let Some((adversarial, began, ended)) = found else { continue };
            let what = format!("attack {goal} by {rule}");
            judge(lines, world, &what, &adversarial, || {
                let found = on_maps(right, &*gxi, &*objective, &*optimizer, &ball);
                found.ok().flatten().map_or(Tensor::new(), |found| found.0)
            });
            if !world.side.is_f64() {
                let further = (ended - began).clamp_min(0.).max().double_value(&[]);
                lines.difference(world.side.name, &format!("{what}: measure"), further, 1e-6);
            }
        }
    }
    Ok(())
}

/// Compares in f64; in less, holds the ball.
fn judge(
    lines: &mut Lines,
    world: &World,
    what: &str,
    found: &Tensor,
    expected: impl FnOnce() -> Tensor,
) {
    if world.side.is_f64() {
        let off = apart(found, &expected(), true);
        return lines.difference(world.side.name, what, off, world.bound());
    }
    let moved = (found - &world.batch.x).abs().max().double_value(&[]);
    let inside = found.ge(0.).logical_and(&found.le(1.)).all().int64_value(&[]) == 1;
    let moved = if inside { moved / EPS } else { f64::INFINITY };
    lines.difference(world.side.name, &format!("{what}: in its ball"), moved, 1. + 1e-4);
}

/// The attacked images, and the measure before and after on the CPU; none: rule and goal do not fit.
fn on_maps(
    world: &World,
    method: &dyn explain::Attribution,
    objective: &dyn MapObjective,
    optimizer: &dyn Optimizer,
    ball: &Ball,
) -> Result<Option<(Tensor, Tensor, Tensor)>> {
    let spreads = models::spreads(&world.model, [world.batch.x.shallow_clone()]);
    let attack = MapAttack {
        model: &world.model,
        method,
        objective,
        optimizer,
        beta: Beta::USUAL,
        spreads: &spreads,
        surrogate: ::attack::Surrogate::Exact,
        descent: Descent::Near,
        iterations: 3,
        step: Step::Falling(EPS),
        restarts: 1,
        fresh: false,
        recorder: None,
    };
    let [_, c, h, w] = world.batch.x.size()[..] else { unreachable!("images") };
    if attack.check([c, h, w]).is_err() {
        return Ok(None);
    }
    let clean = attack.reference(&world.batch, 10);
    let found = attack.run(&world.batch, &clean, ball, None, &|| ());
    let trace = found.trace.to_device(Device::Cpu).to_kind(Kind::Double).nan_to_num(0., 0., 0.);
    let last = trace.size()[1] - 1;
    Ok(Some((found.adversarial, trace.select(1, 0), trace.select(1, last))))
}
