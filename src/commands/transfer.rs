//! `gradproof transfer`: what images made against the maps of one model and method do to those of
//! others (Wang et al. 2020, section 5.3).

use super::attack::{Parts, Plan, auc};
use crate::{
    cli::{Common, Subject, Transfer},
    figure, report,
    results::{AtEps, Maps, TransferCell, TransferResult, label},
    subject::{self, Loaded},
    ui::Ui,
};
use anyhow::{Context, Result, ensure};
use models::registry;
use std::path::{Path, PathBuf};
use tch::Tensor;

mod matrix;
mod table;

use matrix::{Matrix, Runs, Source, Target};

/// Attacks the maps of every model by every `--from`, and judges those of every model by every
/// `--to` on what was found.
pub fn run(args: &Transfer, common: &Common, ui: &Ui) -> Result<()> {
    let from = methods("--from", &args.from)?;
    let to = methods("--to", args.to.as_ref().unwrap_or(&args.from))?;
    let plan = |spelled| Plan::check(&args.how, &args.explained, spelled);
    let plans = from.iter().map(|spelled| plan(spelled)).collect::<Result<Vec<_>>>()?;
    let judges = to.iter().map(|spelled| plan(spelled)).collect::<Result<Vec<_>>>()?;
    let models = load(args, common, ui)?;
    let matrix = Matrix {
        explained: &args.explained,
        sources: sources(&models, &plans)?,
        targets: targets(&models, &judges)?,
        radii: plans[0].radii.balls().len(),
    };
    check_outputs(args)?;
    models.iter().for_each(|loaded| loaded.announce(ui));

    let parts = Parts::open(args.out.as_deref(), args.resume, decides(args))?;
    let runs = work(args, &matrix, &models[0], &parts, ui)?;
    let names = |methods: &[String]| -> Vec<Maps> {
        let of = |model| methods.iter().map(move |m| Maps { model, method: m.clone() });
        (0..models.len()).flat_map(of).collect()
    };
    let mut settings = plans[0].settings(matrix.k());
    settings.insert("batch_size".into(), args.subject.batch_size.into());
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
    write(args, &result)?;
    parts.done()?;
    ui.say(&table::table(&result))?;
    for path in args.out.iter().chain(&args.figure) {
        ui.say(&format!("written: {}", path.display()))?;
    }
    ui.result(&result)
}

/// The members of a list of methods. Errors: none, or one that stands there twice.
fn methods(option: &str, list: &str) -> Result<Vec<String>> {
    distinct(option, registry::split(list))
}

fn distinct(option: &str, all: Vec<String>) -> Result<Vec<String>> {
    for (i, one) in all.iter().enumerate() {
        ensure!(!one.is_empty(), "`{option}` has nothing between two commas, or at an end");
        ensure!(!all[..i].contains(one), "`{option}` names `{one}` twice; say it once");
    }
    Ok(all)
}

/// One model a file of `--weights`, on the same images.
fn load(args: &Transfer, common: &Common, ui: &Ui) -> Result<Vec<Loaded>> {
    let files = args.subject.weights.to_string_lossy();
    let files = distinct("--weights", files.split(',').map(str::to_owned).collect())?;
    let with = |file: &String| Subject { weights: PathBuf::from(file), ..args.subject.clone() };
    let mut models = vec![subject::load(&with(&files[0]), common, ui)?];
    models[0].check_target(&args.explained)?;
    for file in &files[1..] {
        let loaded = subject::load_beside(&models[0], &with(file), ui)?;
        same_classes((&files[0], &models[0]), (file, &loaded))?;
        models.push(loaded);
    }
    // Files of one name in several folders are told apart by their paths.
    let names: Vec<String> = models.iter().map(|loaded| loaded.card.name.clone()).collect();
    for (loaded, file) in models.iter_mut().zip(&files) {
        if names.iter().filter(|name| **name == loaded.card.name).count() > 1 {
            loaded.card.name.clone_from(file);
        }
    }
    Ok(models)
}

/// Errors: another number of classes, or others. Files without names number their classes.
fn same_classes(first: (&str, &Loaded), other: (&str, &Loaded)) -> Result<()> {
    let [a, b] = [first, other].map(|(_, loaded)| &loaded.card.classes);
    let numbered = |names: &[String]| names.iter().all(|name| name.parse::<u32>().is_ok());
    ensure!(
        a.len() == b.len(),
        "`{}` tells {} classes apart and `{}` {}; all models have to tell the same ones",
        first.0,
        a.len(),
        other.0,
        b.len()
    );
    let differ = a.iter().zip(b).find(|(a, b)| a != b);
    if let Some((a_name, b_name)) = differ.filter(|_| !numbered(a) && !numbered(b)) {
        anyhow::bail!(
            "a class that is `{a_name}` in `{}` is `{b_name}` in `{}`; all models have to tell \
             the same classes apart",
            first.0,
            other.0
        );
    }
    Ok(())
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

/// The last check, because it may make folders: a refused command leaves nothing behind.
fn check_outputs(args: &Transfer) -> Result<()> {
    let csv = args.out.as_ref().map(|out| out.with_extension("csv"));
    let mut files = args.out.iter().chain(&csv).chain(&args.figure);
    files.try_for_each(|path| tensorfile::atomic::check_writable(path))
}

/// Everything that decides what is found for a batch, to tell parts of other commands.
fn decides(args: &Transfer) -> String {
    let Transfer { subject, explained, from, to, how, .. } = args;
    format!("{subject:?} {explained:?} {from:?} {to:?} {how:?}")
}

/// Every cell's runs, of batches found now or, when resuming, before.
fn work(args: &Transfer, matrix: &Matrix, loaded: &Loaded, parts: &Parts, ui: &Ui) -> Result<Runs> {
    let steps = matrix.sources.iter().map(|source| source.fitted.plan.iterations()).sum();
    let mut runs = matrix.runs();
    let images = (loaded, args.subject.batch_size);
    let make =
        |images: (&Tensor, &Tensor), first, tick: &dyn Fn()| matrix.batch(images, first, tick);
    parts.each(images, (ui, "transferring", steps), make, |found| runs.push(found))?;
    Ok(runs.joined())
}

fn cells(matrix: &Matrix, plan: &Plan, runs: &Runs) -> Vec<TransferCell> {
    let cell = |from: usize, to: usize| {
        let at = |(ball, run): (&::attack::Ball, &super::attack::Run)| {
            let mut metrics = run.summaries();
            metrics.insert("kept".into(), run.summary(run.tensor("kept")));
            let success = run.success_rate();
            AtEps { eps: ball.eps, label: label(ball.eps), success, metrics, tensors: None }
        };
        let eps: Vec<AtEps> = plan.radii.balls().iter().zip(runs.at(to, from)).map(at).collect();
        TransferCell { from, to, auc: auc(&eps), eps }
    };
    let row = |from| (0..matrix.targets.len()).map(move |to| cell(from, to));
    (0..matrix.sources.len()).flat_map(row).collect()
}

fn write(args: &Transfer, result: &TransferResult) -> Result<()> {
    let save = |path: &Path, text: &str| {
        tensorfile::atomic::write(path, |file| Ok(file.write_all(text.as_bytes())?))
    };
    if let Some(out) = &args.out {
        save(&out.with_extension("csv"), &result.csv())?;
        save(out, &serde_json::to_string_pretty(result)?)?;
    }
    args.figure.as_ref().map_or(Ok(()), |path| figure::heatmap(path, &report::heatmap(result)))
}
