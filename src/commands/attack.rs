//! `gradproof attack`: changes maps, keeps predictions, says by how much.

use crate::{
    cli::{Attack, Common},
    figure::{self, Attacked, Picture},
    radii::Radii,
    results::{AtEps, AttackResult, label},
    subject::{self, Loaded},
    ui::Ui,
};
use ::attack::{Ball, MapAttack, Norm, objective};
use anyhow::{Context, Result, ensure};
use models::registry;
use std::path::{Path, PathBuf};
use tch::Tensor;

mod scores;

use scores::Run;

/// Attacked images in a figure, at most.
const SHOWN: usize = 8;

/// Attacks every image at every radius, the smallest first.
pub fn run(args: &Attack, common: &Common, ui: &Ui) -> Result<()> {
    let plan = Plan::check(args)?;
    let loaded = subject::load(&args.subject, common, ui)?;
    loaded.check_target(&args.explained)?;
    let image = loaded.data.image_shape();
    plan.method.check(&loaded.model, image).with_context(|| format!("method `{}`", args.method))?;
    let [_, height, width] = image;
    let k = args.k.unwrap_or(objective::default_k(height, width));
    objective::check_k(k, height, width)?;
    plan.check_outputs(args)?;
    loaded.announce(ui);

    let runs = plan.attack(args, &loaded, k, ui)?;
    let result = plan.result(args, &loaded, k, &runs)?;
    if let Some(out) = &args.out {
        for (ball, run) in plan.radii.balls().iter().zip(&runs) {
            run.write(&plan.radii.file(out, ball.eps), &loaded, &args.method, ball.eps)?;
        }
        let text = serde_json::to_string_pretty(&result)?;
        let path = out.with_extension("json");
        tensorfile::atomic::write(&path, |f| Ok(f.write_all(text.as_bytes())?))?;
    }
    if let (Some(path), Some(run), Some(ball)) =
        (&args.figure, runs.last(), plan.radii.balls().last())
    {
        draw(path, &loaded, args, run, &label(ball.eps))?;
    }
    ui.say(&scores::table(&result))?;
    for path in args.out.iter().chain(&args.figure) {
        ui.say(&format!("written: {}", path.display()))?;
    }
    ui.result(&result)
}

/// What the arguments ask for, checked.
struct Plan {
    method: Box<dyn explain::Attribution>,
    loss: Box<dyn ::attack::MapLoss>,
    radii: Radii,
}

impl Plan {
    fn check(args: &Attack) -> Result<Self> {
        let method = explain::method(registry::parse(&args.method)?)?;
        ensure!(
            method.differentiable().is_some(),
            "maps of `{}` cannot be differentiated; attack another method and transfer",
            args.method
        );
        let loss = ::attack::map_loss(registry::parse(&args.attack)?)?;
        ensure!(
            args.beta > 0. && args.beta.is_finite(),
            "`--beta {}`: must be positive",
            args.beta
        );
        ensure!(args.iters > 0, "`--iters 0`: at least one iteration is needed");
        if let Some(step) = args.step {
            ensure!(step > 0., "`--step {step}`: must be positive");
        }
        Ok(Plan { method, loss, radii: Radii::parse(&args.norm, &args.eps)? })
    }

    /// The last check, because it may make folders: a refused command leaves nothing behind.
    fn check_outputs(&self, args: &Attack) -> Result<()> {
        args.out.as_deref().map_or(Ok(()), |out| self.radii.check_writable(out))?;
        args.figure.as_deref().map_or(Ok(()), tensorfile::atomic::check_writable)
    }

    /// One run a radius. A smaller ball's result is allowed in a larger one, so that a larger
    /// radius is never weaker.
    fn attack(&self, args: &Attack, loaded: &Loaded, k: i64, ui: &Ui) -> Result<Vec<Run>> {
        let batches = loaded.data.len().div_ceil(args.subject.batch_size);
        let iterations = batches * self.radii.balls().len() * args.iters as usize;
        let bar = ui.bar(iterations as u64, "attacking");
        let method = self.method.differentiable().expect("checked");
        let mut runs: Vec<Run> = self.radii.balls().iter().map(|_| Run::default()).collect();
        let mut first = 0;
        for (x, y) in loaded.data.ordered(args.subject.batch_size) {
            let batch = loaded.batch(&args.explained, &x, &y, first)?;
            first += y.numel() as u64;
            let mut smaller = None;
            for (ball, run) in self.radii.balls().iter().zip(&mut runs) {
                let attack = MapAttack {
                    model: &loaded.model,
                    method,
                    loss: &*self.loss,
                    beta: args.beta,
                    iterations: args.iters,
                    step: args.step.unwrap_or(step(ball, args.iters)),
                };
                let mut outcome = attack.run(&batch, ball, k, || bar.inc(1));
                if let Some(smaller) = &smaller {
                    outcome = outcome.or_stronger(smaller);
                }
                run.push(loaded, &x, &y, &batch.target.class, &outcome, k);
                smaller = Some(outcome);
            }
        }
        bar.finish_and_clear();
        Ok(runs.into_iter().map(Run::joined).collect())
    }

    fn result(&self, args: &Attack, loaded: &Loaded, k: i64, runs: &[Run]) -> Result<AttackResult> {
        let file = |out: &PathBuf, eps| Some(name(self.radii.file(out, eps).file_name()?));
        let at = |(ball, run): (&Ball, &Run)| AtEps {
            eps: ball.eps,
            label: label(ball.eps),
            success: run.success_rate(),
            metrics: run.summaries(),
            tensors: args.out.as_ref().and_then(|out| file(out, ball.eps)),
        };
        let eps: Vec<AtEps> = self.radii.balls().iter().zip(runs).map(at).collect();
        let settings = serde_json::json!({
            "k": k, "iterations": args.iters, "step": args.step.map_or("0.5/255".into(), label),
            "beta": args.beta, "norm": args.norm, "target": args.explained.target,
            "score": args.explained.score, "batch_size": args.subject.batch_size,
        });
        Ok(AttackResult {
            origin: loaded.origin(),
            model: loaded.card.clone(),
            data: args.subject.data.clone(),
            images: loaded.data.len(),
            accuracy: runs.first().map_or(f64::NAN, Run::accuracy),
            method: args.method.clone(),
            attack: args.attack.clone(),
            settings: serde_json::from_value(settings)?,
            auc: scores::auc(&eps),
            eps,
        })
    }
}

/// The step where none is asked for.
fn step(ball: &Ball, iterations: u32) -> f64 {
    match ball.norm {
        Norm::Linf => 0.5 / 255.,
        Norm::L2 => 2.5 * ball.eps / f64::from(iterations),
    }
}

fn name(file: &std::ffi::OsStr) -> String {
    file.to_string_lossy().into_owned()
}

fn draw(path: &Path, loaded: &Loaded, args: &Attack, run: &Run, eps: &str) -> Result<()> {
    let title = format!("{}: {} on {} at {eps}", loaded.card.name, args.attack, args.method);
    let class = |name: &str, i: i64| {
        let number = run.tensor(name).int64_value(&[i]) as usize;
        loaded.card.classes[number].clone()
    };
    let number = |name: &str, i: i64| run.tensor(name).double_value(&[i]);
    let row = |i: i64| -> Result<Attacked> {
        let of = |name: &str| -> Tensor { run.tensor(name).get(i) };
        Ok(Attacked {
            image: Picture::from_image(&of("images"))?,
            map: Picture::from_raw_map(&of("maps"))?,
            attacked: Picture::from_image(&of("adversarial"))?,
            attacked_map: Picture::from_raw_map(&of("attacked_maps"))?,
            difference: Picture::difference(&of("images"), &of("adversarial"))?,
            before: format!("{} {:.2}", class("predictions", i), number("clean_confidence", i)),
            after: format!("{} {:.2}", class("predictions", i), number("confidence", i)),
            effect: format!("k-in {:.2}", number("k-in", i)),
        })
    };
    let shown = loaded.data.len().min(SHOWN) as i64;
    let rows = (0..shown).map(row).collect::<Result<Vec<_>>>()?;
    figure::wall(path, &title, &rows)
}
