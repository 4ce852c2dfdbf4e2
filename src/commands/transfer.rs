//! `gradproof transfer`: what images made against the maps of one model and method do to those of
//! others (Wang et al. 2020, section 5.3).

use crate::{
    cli::{Common, Transfer},
    evaluation::{Parts, Plan, Run, no_map_warning},
    outcome::Outcome,
    report,
    results::{
        AtEps, Attacked, Convergence, Matrix as Found, Number, Record, Table, at_radius, auc, keys,
        label, quantities,
    },
    runtime::{graphs::Graphs, outputs::Files, ui::Ui},
    session::{self, Loaded, methods},
};
use anyhow::{Context, Result};
use serde_json::Map;
use std::path::Path;
use tch::Tensor;

mod matrix;
mod table;

use matrix::{Matrix, Runs, Source, Target};

/// Errors: unknown names, settings out of range.
pub fn check(args: &Transfer) -> Result<()> {
    let [from, to] = lists(args)?;
    plans(args, [&from, &to]).map(|_| ())
}

/// The methods that are attacked, and those that are judged.
fn lists(args: &Transfer) -> Result<[Vec<String>; 2]> {
    let to = args.to.as_ref().unwrap_or(&args.from);
    Ok([methods("--from", &args.from)?, methods("--to", to)?])
}

fn plans<'a>(args: &'a Transfer, lists: [&'a Vec<String>; 2]) -> Result<[Vec<Plan<'a>>; 2]> {
    let of = |list: &'a Vec<String>| -> Result<Vec<Plan<'a>>> {
        list.iter().map(|spelled| Plan::check(&args.how, &args.explained, spelled)).collect()
    };
    Ok([of(lists[0])?, of(lists[1])?])
}

/// Attacks the maps of every model by every `--from`, and judges those of every model by every
/// `--to` on what was found.
pub fn run(args: &Transfer, common: &Common, ui: &Ui) -> Result<Outcome> {
    let mut outcome = Outcome::default();
    let [from, to] = lists(args)?;
    let [mut plans, judges] = plans(args, [&from, &to])?;
    plans.iter_mut().for_each(|plan| plan.graphs = Graphs::wanted(common.cuda_graphs));
    let files = files(args);
    files.check(common.force || args.resume)?;
    let models = session::load_models(&args.subject, &args.explained, common, ui)?;
    let matrix = Matrix {
        explained: &args.explained,
        sources: sources(&models, &plans)?,
        targets: targets(&models, &judges)?,
        radii: plans[0].radii.balls().len(),
    };
    files.check_writable()?;
    let parts = Parts::open(args.out.as_deref(), args.resume, resume_key(args))?;
    models.iter().for_each(|loaded| loaded.announce(ui));

    let runs = work(&matrix, &models[0], &parts, ui)?;
    let notes = plans.iter().filter_map(|plan| plan.graphs.as_ref()?.note());
    notes.take(1).for_each(|note| ui.note(&note));
    let mut settings = matrix.sources[0].fitted.settings();
    settings.insert("batch_size".into(), models[0].fits.batch.into());
    let samples: Vec<_> = matrix.targets.iter().map(|target| target.judging.samples).collect();
    settings.insert("judge_samples".into(), serde_json::json!(samples));
    let rows = rows(args, &models, [&from, &to], (&matrix, &plans[0], &runs));
    let result = Record {
        kind: "transfer".into(),
        origin: Some(models[0].origin()),
        models: models.iter().map(|loaded| loaded.card.clone()).collect(),
        data: args.subject.data.clone(),
        images: Some(models[0].data.len() as u64),
        settings,
        quantities: quantities::found(quantities::of_attacks(), &rows),
        rows,
        rest: Map::new(),
    };
    write(args, &result)?;
    parts.done()?;
    let found = Found::of(&result);
    for from in &found.sources {
        let [model, method] = from;
        let of = keys([("from_model", *model), ("from_method", *method)]);
        let count = Attacked::of(&result, &of).no_map();
        if count > 0 {
            let told = no_map_warning(count, models[0].data.len(), method);
            ui.note(&format!("{told} (`{model}`): left out of success and of means"));
        }
    }
    outcome.say(&table::table(&found));
    let csv = args.out.iter().map(|out| out.with_extension("csv"));
    for path in args.out.iter().cloned().chain(csv).chain(args.figure.clone()) {
        outcome.say(&format!("written: {}", path.display()));
    }
    outcome.with(&result)
}

fn sources<'a>(models: &'a [Loaded], plans: &'a [Plan<'a>]) -> Result<Vec<Source<'a>>> {
    let mut all = vec![];
    for loaded in models {
        for plan in plans {
            let fitted = plan.fit(loaded).with_context(|| told(loaded))?;
            all.push(Source { loaded, fitted });
        }
    }
    Ok(all)
}

fn targets<'a>(models: &'a [Loaded], judges: &'a [Plan<'a>]) -> Result<Vec<Target<'a>>> {
    let mut all = vec![];
    for loaded in models {
        for plan in judges {
            plan.method
                .check(&loaded.model, loaded.data.image_shape())
                .with_context(|| told(loaded))?;
            let [_, height, width] = loaded.data.image_shape();
            let k = plan.k(height, width);
            all.push(Target { loaded, judging: plan.judging(loaded, k)? });
        }
    }
    Ok(all)
}

fn told(loaded: &Loaded) -> String {
    format!("model `{}`", loaded.card.name)
}

/// What is read and written.
fn files(args: &Transfer) -> Files {
    let csv = args.out.iter().map(|out| out.with_extension("csv"));
    Files::of(&args.subject)
        .methods("--from", &args.from)
        .methods("--to", args.to.as_deref().unwrap_or_default())
        .reads("--target-image", &args.how.target_image)
        .reads("--target-map", &args.how.target_map)
        .writes("--out", csv.chain(args.out.clone()))
        .writes("--figure", &args.figure)
}

/// Everything that decides what is found for a batch, to tell parts of other commands.
fn resume_key(args: &Transfer) -> String {
    let Transfer { subject, explained, from, to, how, .. } = args;
    format!("{} {} {from:?} {to:?} {how:?}", subject.resume_key(), explained.resume_key())
}

/// Every cell's runs, of batches found now or, when resuming, before.
fn work(matrix: &Matrix, loaded: &Loaded, parts: &Parts, ui: &Ui) -> Result<Runs> {
    let steps = matrix.sources.iter().map(|source| source.fitted.iterations()).sum();
    let mut runs = matrix.runs();
    let images = (loaded, loaded.fits.batch, loaded.chunk(matrix.explained.chunk));
    let make =
        |images: (&Tensor, &Tensor), first, tick: &dyn Fn()| matrix.batch(images, first, tick);
    parts.each(images, (ui, "transferring", steps), make, |found| runs.push(found))?;
    Ok(runs.joined())
}

/// The numbers of every cell, and how accurate the models are.
fn rows(
    args: &Transfer,
    models: &[Loaded],
    [from, to]: [&[String]; 2],
    (matrix, plan, runs): (&Matrix, &Plan, &Runs),
) -> Table {
    let mut rows = Table::default();
    let name = |model: usize| models[model].card.name.as_str();
    for source in 0..matrix.sources.len() {
        let of = [
            ("from_model", name(source / from.len())),
            ("from_method", &from[source % from.len()]),
            ("attack", &args.how.attack),
        ];
        for (ball, run) in plan.radii.balls().iter().zip(runs.at(0, source)) {
            let of = at_radius(&keys(of), ball.eps, &label(ball.eps));
            Convergence::of(run.tensor("trace")).push(&mut rows, &of);
        }
        for target in 0..matrix.targets.len() {
            let judged = [name(target / to.len()), &to[target % to.len()]];
            let judged = keys([("model", judged[0]), ("method", judged[1])]);
            let of = keys(of).into_iter().chain(judged).collect();
            let eps = cell(plan, runs.at(target, source));
            AtEps::push(&mut rows, &of, &eps, &auc(&eps));
            for (at, run) in eps.iter().zip(runs.at(target, source)) {
                let of = at_radius(&of, at.eps, &at.label);
                run.floors().iter().for_each(|(name, floor)| floor.push(&mut rows, &of, name));
            }
        }
    }
    for (model, loaded) in models.iter().enumerate() {
        let right = Number::exact(runs.at(model * to.len(), 0)[0].accuracy());
        let right = Number { n: Some(loaded.data.len() as u64), ..right };
        rows.push(&keys([("model", name(model))]), "accuracy", right);
    }
    rows
}

fn cell(plan: &Plan, runs: &[Run]) -> Vec<AtEps> {
    let at = |(ball, run): (&::attack::Ball, &Run)| {
        let mut metrics = run.numbers();
        metrics.insert("kept".into(), run.number(run.tensor("kept")));
        let (success, no_map) = (run.success_rate(), run.no_map());
        let (eps, label) = (ball.eps, label(ball.eps));
        AtEps { eps, label, success, no_map, metrics, change: None }
    };
    plan.radii.balls().iter().zip(runs).map(at).collect()
}

fn write(args: &Transfer, result: &Record) -> Result<()> {
    let save = |path: &Path, text: &str| {
        tensorfile::atomic::write(path, |file| Ok(file.write_all(text.as_bytes())?))
    };
    if let Some(out) = &args.out {
        save(&out.with_extension("csv"), &result.rows.csv()?)?;
        save(out, &serde_json::to_string_pretty(result)?)?;
    }
    args.figure.as_ref().map_or(Ok(()), |path| plot::heatmap(path, &report::heatmap(result)))
}
