//! `gradproof attack`: changes maps, keeps predictions, says by how much.

use crate::{
    cli::{Attack, Common},
    evaluation::{Fitted, Judge, Judging, Named, Parts, Plan, Run, no_map_warning, table},
    outcome::Outcome,
    results::{
        AtEps, Attacked, Convergence, Keys, Record, Sample, Table, at_radius, auc, change,
        distances, effect, keys, label, quantities,
    },
    runtime::{graphs::Graphs, outputs::Files, ui::Ui},
    session::{self, Loaded},
};
use ::attack::Ball;
use anyhow::{Result, ensure};
use explain::similarity::in_tables;
use plot::{AttackedImage, Picture};
use serde_json::{Map, Value};
use std::path::{Path, PathBuf};
use tch::Tensor;

/// Attacked images in a figure, at most.
const SHOWN: usize = 8;

/// Errors: unknown names, settings out of range.
pub fn check(args: &Attack) -> Result<()> {
    Plan::check(&args.how, &args.explained, &args.method).map(|_| ())
}

/// Attacks every image at every radius, the smallest first.
pub fn run(args: &Attack, common: &Common, ui: &Ui) -> Result<Outcome> {
    let mut outcome = Outcome::default();
    let mut plan = Plan::check(&args.how, &args.explained, &args.method)?;
    plan.graphs = Graphs::wanted(common.cuda_graphs);
    let files = files(args, &plan);
    files.check(common.force || args.resume)?;
    let loaded = session::load(&args.subject, common, ui)?;
    loaded.check_target(&args.explained)?;
    let fitted = plan.fit(&loaded)?;
    if args.drawn.figure.is_some() {
        super::check_figure_channels(&loaded.data)?;
    }
    files.check_writable()?;
    let parts = Parts::open(args.out.as_deref(), args.resume, resume_key(args))?;
    loaded.announce(ui);

    let judging = plan.judging(&loaded, fitted.k)?;
    let runs = attack(args, (&fitted, &judging), &loaded, &parts, ui)?;
    plan.graphs.iter().filter_map(Graphs::note).for_each(|note| ui.note(&note));
    let result = result(args, (&fitted, &judging), &loaded, &runs);
    if let Some(out) = &args.out {
        for (ball, run) in plan.radii.balls().iter().zip(&runs) {
            run.write(&plan.radii.file(out, ball.eps), &loaded, &args.method, ball.eps)?;
        }
        let text = serde_json::to_string_pretty(&result)?;
        let path = out.with_extension("json");
        tensorfile::atomic::write(&path, |f| Ok(f.write_all(text.as_bytes())?))?;
    }
    parts.done()?;
    if let (Some(path), Some(run), Some(ball)) =
        (&args.drawn.figure, runs.last(), plan.radii.balls().last())
    {
        draw(path, &loaded, args, run, &label(ball.eps))?;
    }
    let count = Attacked::of(&result, &Keys::new()).no_map();
    if count > 0 {
        let told = no_map_warning(count, loaded.data.len(), &args.method);
        let aim = if plan.aims() { ", or at the map that is aimed at" } else { "" };
        ui.note(&format!("{told}{aim}: left out of success and of means"));
    }
    outcome.say(&table(&result));
    for path in written(args, &plan).chain(args.drawn.figure.clone()) {
        outcome.say(&format!("written: {}", path.display()));
    }
    outcome.with(&result)
}

/// What is read and written.
fn files(args: &Attack, plan: &Plan) -> Files {
    Files::of(&args.subject)
        .methods("--method", &args.method)
        .reads("--target-image", &args.how.target_image)
        .reads("--target-map", &args.how.target_map)
        .writes("--out", written(args, plan))
        .writes("--figure", &args.drawn.figure)
}

/// The files of `--out`: tensors of each radius and the numbers.
fn written(args: &Attack, plan: &Plan) -> impl Iterator<Item = PathBuf> {
    let tensors: Vec<PathBuf> = args.out.iter().flat_map(|out| plan.radii.files(out)).collect();
    tensors.into_iter().chain(args.out.as_ref().map(|out| out.with_extension("json")))
}

/// Everything that decides what is found for a batch, to tell parts of other attacks.
fn resume_key(args: &Attack) -> String {
    let (asked, explained) = (args.subject.resume_key(), args.explained.resume_key());
    format!("{asked} {explained} {:?} {:?}", args.method, args.how)
}

/// One run a radius, of batches found now or, when resuming, before.
fn attack(
    args: &Attack,
    (fitted, judging): (&Fitted, &Judging),
    loaded: &Loaded,
    parts: &Parts,
    ui: &Ui,
) -> Result<Vec<Run>> {
    let plan = fitted.plan;
    let mut runs: Vec<Run> = plan.radii.balls().iter().map(|_| Run::default()).collect();
    let make = |(x, y): (&Tensor, &Tensor), first, tick: &dyn Fn()| -> Result<Vec<Named>> {
        let batch = loaded.batch(&args.explained, x, y, first)?;
        let outcomes = fitted.outcomes(&batch, first, tick)?;
        let judge = Judge::new(loaded, &*judging.method, (&batch, y, first), fitted.k)?;
        outcomes.iter().map(|outcome| judge.everything(outcome)).collect()
    };
    let images = (loaded, loaded.fits.batch, loaded.chunk(args.explained.chunk));
    parts.each(images, (ui, "attacking", fitted.iterations()), make, |radii| {
        let (found, wanted) = (radii.len(), runs.len());
        ensure!(found == wanted, "a part has {found} radii, not {wanted}");
        runs.iter_mut().zip(radii).for_each(|(run, batch)| run.push(batch));
        Ok(())
    })?;
    Ok(runs.into_iter().map(Run::joined).collect())
}

fn result(
    args: &Attack,
    (fitted, judging): (&Fitted, &Judging),
    loaded: &Loaded,
    runs: &[Run],
) -> Record {
    let plan = fitted.plan;
    let at = |(ball, run): (&Ball, &Run)| AtEps {
        eps: ball.eps,
        label: label(ball.eps),
        success: run.success_rate(),
        metrics: run.numbers(),
        no_map: run.no_map(),
        change: change(&run.attacked(&distances(run.tensor("images"), run.tensor("adversarial")))),
    };
    let eps: Vec<AtEps> = plan.radii.balls().iter().zip(runs).map(at).collect();
    let mut settings = fitted.settings();
    settings.insert("batch_size".into(), loaded.fits.batch.into());
    if args.subject.offset > 0 {
        settings.insert("offset".into(), args.subject.offset.into());
    }
    settings.extend(args.subject.class.clone().map(|class| ("class".to_owned(), class.into())));
    settings.extend(judging.samples.map(|n| ("judge_samples".to_owned(), n.into())));
    let mut rows = Table::default();
    let model = keys([("model", &loaded.card.name)]);
    let maps = keys([("method", &args.method), ("attack", &args.how.attack)]);
    let of = model.clone().into_iter().chain(maps).collect();
    AtEps::push(&mut rows, &of, &eps, &auc(&eps));
    let others = runs.first().map(|run| run.of_others(fitted.k)).unwrap_or_default();
    others.into_iter().for_each(|(name, others)| rows.push(&of, &name, others));
    for (at, run) in eps.iter().zip(runs) {
        let of = at_radius(&of, at.eps, &at.label);
        Convergence::of(run.tensor("trace")).push(&mut rows, &of);
        run.floors().iter().for_each(|(name, floor)| floor.push(&mut rows, &of, name));
    }
    let images = loaded.data.len() as u64;
    let right = runs.first().map(Run::right).unwrap_or_default();
    rows.push(&model, "accuracy", Sample::of_share(right));
    let tensors: Map<String, Value> = plan
        .radii
        .balls()
        .iter()
        .filter_map(|ball| {
            let file = plan.radii.file(args.out.as_ref()?, ball.eps);
            Some((label(ball.eps), name(file.file_name()?).into()))
        })
        .collect();
    Record {
        kind: "attack".into(),
        origin: Some(loaded.origin()),
        models: vec![loaded.card.clone()],
        data: args.subject.data.clone(),
        images: Some(images),
        settings,
        quantities: quantities::found(quantities::of_attacks(), &rows),
        rows,
        rest: Map::from_iter([("tensors".to_owned(), Value::Object(tensors))]),
    }
}

fn name(file: &std::ffi::OsStr) -> String {
    file.to_string_lossy().into_owned()
}

fn draw(path: &Path, loaded: &Loaded, args: &Attack, run: &Run, eps: &str) -> Result<()> {
    let title = format!("{}: {} on {} at {eps}", loaded.card.name, args.how.attack, args.method);
    let class = |name: &str, i: i64| {
        let number = run.tensor(name).int64_value(&[i]) as usize;
        loaded.card.classes[number].clone()
    };
    let number = |name: &str, i: i64| run.tensor(name).double_value(&[i]);
    let first = in_tables()[0];
    let drawing = args.drawn.drawing(run.tensor("maps"));
    let row = |i: i64| -> Result<AttackedImage> {
        let of = |name: &str| -> Tensor { run.tensor(name).get(i) };
        Ok(AttackedImage {
            image: Picture::from_image(&of("images"))?,
            map: Picture::of_map(&of("maps"), &of("images"), drawing)?,
            attacked: Picture::from_image(&of("adversarial"))?,
            attacked_map: Picture::of_map(&of("attacked_maps"), &of("adversarial"), drawing)?,
            difference: Picture::difference(&of("images"), &of("adversarial"))?,
            before: format!("{} {:.2}", class("predictions", i), number("clean_confidence", i)),
            after: format!("{} {:.2}", class("predictions", i), number("confidence", i)),
            effect: match run.tensor("has_map").int64_value(&[i]) {
                0 => "no map".into(),
                _ => effect(first.name, number(first.name, i)),
            },
        })
    };
    let (columns, shape) = (AttackedImage::COLUMNS.len(), loaded.data.image_shape());
    let shown = args.drawn.shown(loaded.data.len(), SHOWN, columns, shape);
    let rows = (0..shown).map(row).collect::<Result<Vec<_>>>()?;
    plot::attack_gallery(path, &title, &rows)
}
