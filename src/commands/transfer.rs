//! `gradproof transfer`: what images made against the maps of one model and method do to those of
//! others (Wang et al. 2020, section 5.3).

use crate::{
    cli::{Common, Transfer},
    evaluation::{Parts, Plan, Run, auc, no_map_warning},
    outcome::Outcome,
    report,
    results::{AtEps, Maps, Tidy, TransferCell, TransferResult, label},
    runtime::outputs::Files,
    runtime::ui::Ui,
    session::{self, Loaded, methods},
};
use anyhow::{Context, Result};
use serde_json::Value;
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
    let [plans, judges] = plans(args, [&from, &to])?;
    let files = files(args);
    files.check()?;
    let models = session::load_models(&args.subject, &args.explained, common, ui)?;
    let matrix = Matrix {
        explained: &args.explained,
        sources: sources(&models, &plans)?,
        targets: targets(&models, &judges)?,
        radii: plans[0].radii.balls().len(),
    };
    files.check_writable()?;
    let parts = Parts::open(args.out.as_deref(), args.resume, decides(args))?;
    models.iter().for_each(|loaded| loaded.announce(ui));

    let runs = work(&matrix, &models[0], &parts, ui)?;
    let names = |methods: &[String]| -> Vec<Maps> {
        let of = |model| methods.iter().map(move |m| Maps { model, method: m.clone() });
        (0..models.len()).flat_map(of).collect()
    };
    let mut settings = plans[0].settings(matrix.k());
    settings.insert("batch_size".into(), models[0].fits.batch.into());
    let result = TransferResult {
        origin: models[0].origin(),
        models: models.iter().map(|loaded| loaded.card.clone()).collect(),
        accuracy: (0..models.len())
            .map(|model| runs.at(model * to.len(), 0)[0].accuracy())
            .collect(),
        data: args.subject.data.clone(),
        images: models[0].data.len(),
        attack: args.how.attack.clone(),
        settings,
        sources: names(&from),
        targets: names(&to),
        cells: cells(&matrix, &plans[0], &runs),
    };
    let json = result.json()?;
    write(args, &result, &json)?;
    parts.done()?;
    for (from, maps) in result.sources.iter().enumerate() {
        let cells = result.cells.iter().filter(|cell| cell.from == from);
        let count = cells.flat_map(|cell| &cell.eps).map(|at| at.no_map).max().unwrap_or(0);
        if count > 0 {
            let told = no_map_warning(count, result.images, &maps.method);
            let model = &result.models[maps.model].name;
            ui.note(&format!("{told} (`{model}`): left out of success and of means"));
        }
    }
    outcome.say(&table::table(&result));
    for path in args.out.iter().chain(&args.figure) {
        outcome.say(&format!("written: {}", path.display()));
    }
    outcome.with(&json)
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
            let method = &*plan.method;
            method.check(&loaded.model, loaded.data.image_shape()).with_context(|| told(loaded))?;
            all.push(Target { loaded, method });
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
fn decides(args: &Transfer) -> String {
    let Transfer { subject, explained, from, to, how, .. } = args;
    format!("{} {} {from:?} {to:?} {how:?}", subject.decides(), explained.decides())
}

/// Every cell's runs, of batches found now or, when resuming, before.
fn work(matrix: &Matrix, loaded: &Loaded, parts: &Parts, ui: &Ui) -> Result<Runs> {
    let steps = matrix.sources.iter().map(|source| source.fitted.plan.iterations()).sum();
    let mut runs = matrix.runs();
    let images = (loaded, loaded.fits.batch);
    let make =
        |images: (&Tensor, &Tensor), first, tick: &dyn Fn()| matrix.batch(images, first, tick);
    parts.each(images, (ui, "transferring", steps), make, |found| runs.push(found))?;
    Ok(runs.joined())
}

fn cells(matrix: &Matrix, plan: &Plan, runs: &Runs) -> Vec<TransferCell> {
    let cell = |from: usize, to: usize| {
        let at = |(ball, run): (&::attack::Ball, &Run)| {
            let mut metrics = run.summaries();
            metrics.insert("kept".into(), run.summary(run.tensor("kept")));
            let (success, no_map) = (run.success_rate(), run.no_map());
            let (eps, label) = (ball.eps, label(ball.eps));
            AtEps { eps, label, success, no_map, metrics, change: None, tensors: None }
        };
        let eps: Vec<AtEps> = plan.radii.balls().iter().zip(runs.at(to, from)).map(at).collect();
        TransferCell { from, to, auc: auc(&eps), eps }
    };
    let row = |from| (0..matrix.targets.len()).map(move |to| cell(from, to));
    (0..matrix.sources.len()).flat_map(row).collect()
}

fn write(args: &Transfer, result: &TransferResult, json: &Value) -> Result<()> {
    let save = |path: &Path, text: &str| {
        tensorfile::atomic::write(path, |file| Ok(file.write_all(text.as_bytes())?))
    };
    if let Some(out) = &args.out {
        save(&out.with_extension("csv"), &result.rows().1.csv()?)?;
        save(out, &serde_json::to_string_pretty(json)?)?;
    }
    args.figure.as_ref().map_or(Ok(()), |path| plot::heatmap(path, &report::heatmap(result)))
}
