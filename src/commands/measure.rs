//! `gradproof measure`: numbers that say how good maps are, image by image, and their means with
//! bootstrap intervals. The maps of a method are made once for all metrics.

use crate::{
    cli::{Common, Measure, Subject},
    evaluation::{Named, Parts, no_map_warning},
    outcome::Outcome,
    results::{Keys, Number, QUANTITY, Quantity, Record, Row, Sample, Table, keys, quantities},
    runtime::outputs::Files,
    runtime::ui::Ui,
    session,
    session::{Loaded, load_beside},
};
use ::results::{Line, Query};
use anyhow::{Result, ensure};
use explain::metric::statistics::spearman;
use serde_json::Map;
use std::{collections::BTreeMap, path::Path};
use tch::{Kind, Tensor};
use tensorfile::words::count;

mod cases;
mod plan;
mod preset;
mod table;

use cases::Cases;
use plan::{Key, Plan};
pub(crate) use preset::PRESETS;

/// Errors: unknown names, settings out of range.
pub fn check(args: &Measure) -> Result<()> {
    Plan::check(args).map(|_| ())
}

/// A metric as the user wrote it, and one of its columns.
pub(super) type MetricColumn = (String, String);

/// The methods and the columns that will be measured. Errors: see [`check`].
pub(super) fn expected(args: &Measure) -> Result<(Vec<String>, Vec<MetricColumn>)> {
    let plan = Plan::check(args)?;
    let column = |key: &plan::Key| (plan.metrics[key.metric].0.clone(), key.key.clone());
    let columns = plan.columns.iter().map(column).collect();
    Ok((plan.methods.into_iter().map(|(method, _)| method).collect(), columns))
}

/// Measures every method on every model.
pub fn run(args: &Measure, common: &Common, ui: &Ui) -> Result<Outcome> {
    let mut outcome = Outcome::default();
    let plan = Plan::check(args)?;
    let files = files(args);
    files.check(common.force || args.resume)?;
    let models = session::load_models(&args.subject, &plan.explained, common, ui)?;
    models.iter().try_for_each(|loaded| plan.fit(loaded))?;
    let random_label_model = args.random_labels.as_ref().map(|file| {
        let subject = Subject { weights: file.clone(), ..args.subject.clone() };
        load_beside((&models[0].card.name, &models[0]), &subject, ui)
    });
    let random_label_model = random_label_model.transpose()?;
    files.check_writable()?;
    let parts = Parts::open(args.out.as_deref(), args.resume, resume_key(args))?;
    models.iter().for_each(|loaded| loaded.announce(ui));
    ui.note(&plan.told());

    let found = measure(args, &plan, (&models, random_label_model.as_ref()), &parts, ui)?;
    let result = result(args, &plan, &models, &found);
    if let Some(out) = &args.out {
        save(&out.with_extension("jsonl"), &lines(&plan, &models, &found)?)?;
        save(&out.with_extension("csv"), &result.rows.csv()?)?;
        save(out, &serde_json::to_string_pretty(&result)?)?;
    }
    parts.done()?;
    for row in result.rows.filter(&keys([(QUANTITY, "no-map")])) {
        if let Some(count) = row.number.mean.filter(|count| *count > 0.) {
            ui.note(&no_map_warning(count as u64, models[0].data.len(), row.key("method")));
        }
    }
    outcome.say(&table::table(&result));
    for end in ["json", "jsonl", "csv"] {
        let path = args.out.iter().map(|out| out.with_extension(end));
        path.for_each(|path| outcome.say(&format!("written: {}", path.display())));
    }
    outcome.with(&result)
}

/// What is read and written.
fn files(args: &Measure) -> Files {
    let out =
        args.out.iter().flat_map(|out| ["json", "jsonl", "csv"].map(|e| out.with_extension(e)));
    Files::of(&args.subject)
        .methods("--method", args.method.as_deref().unwrap_or_default())
        .reads("--random-labels", &args.random_labels)
        .writes("--out", out)
}

/// Everything that decides what is found for a batch, to tell parts of other commands.
fn resume_key(args: &Measure) -> String {
    let Measure {
        metrics,
        subject,
        method,
        preset,
        target,
        score,
        attack,
        eps,
        norm,
        random_labels,
        ..
    } = args;
    let norm = registry::word(norm);
    format!(
        "{metrics:?} {} {method:?} {preset:?} {target:?} {score:?} {attack:?} {eps} {norm} \
         {random_labels:?}",
        subject.resume_key()
    )
}

/// The numbers of all images, for each model and then for each method.
fn measure(
    args: &Measure,
    plan: &Plan,
    (models, random_label_model): (&[Loaded], Option<&Loaded>),
    parts: &Parts,
    ui: &Ui,
) -> Result<Vec<Named>> {
    let cases = models.iter().map(|loaded| Cases::new(plan, loaded, random_label_model, args));
    let cases: Vec<Cases> = cases.collect::<Result<_>>()?;
    let rows = models.len() * plan.methods.len();
    let mut columns: Vec<BTreeMap<String, Vec<Tensor>>> =
        (0..rows).map(|_| BTreeMap::new()).collect();
    let make = |images: (&Tensor, &Tensor), first, tick: &dyn Fn()| -> Result<Vec<Named>> {
        let each = cases.iter().map(|cases| cases.batch(images, first, tick));
        Ok(each.collect::<Result<Vec<_>>>()?.into_iter().flatten().collect())
    };
    let steps = (rows * plan.metrics.len()) as u64;
    let images = (&models[0], models[0].fits.batch, models[0].chunk(args.chunk));
    parts.each(images, (ui, "measuring", steps), make, |batch| {
        ensure!(batch.len() == rows, "a part has {}, not {rows}", count(batch.len(), "row"));
        for (columns, named) in columns.iter_mut().zip(batch) {
            for (name, t) in named {
                columns.entry(name).or_default().push(t);
            }
        }
        Ok(())
    })?;
    let joined = |columns: BTreeMap<String, Vec<Tensor>>| -> Named {
        columns.into_iter().map(|(name, parts)| (name, Tensor::cat(&parts, 0))).collect()
    };
    Ok(columns.into_iter().map(joined).collect())
}

/// A column of a row, one number an image.
fn numbers(named: &Named, key: &str) -> Vec<f64> {
    let column = named[key].to_kind(Kind::Double);
    Vec::try_from(&column).expect("f64 on the CPU")
}

fn result(args: &Measure, plan: &Plan, models: &[Loaded], found: &[Named]) -> Record {
    let mut rows = Table::default();
    for (i, named) in found.iter().enumerate() {
        let model = &models[i / plan.methods.len()].card.name;
        let mut of = keys([("model", model), ("method", &plan.methods[i % plan.methods.len()].0)]);
        let empty = numbers(named, cases::EMPTY).iter().sum::<f64>();
        rows.push(&of, "no-map", Number::exact(empty));
        for column in &plan.columns {
            of.insert("metric".into(), plan.metrics[column.metric].0.clone());
            rows.rows.push(row(&of, column, named, args.subject.seed));
        }
    }
    for (method, rho) in rank_correlation(plan, models.len(), &rows) {
        let rho = Number { mean: rho, n: Some(models.len() as u64), ..Number::default() };
        rows.push(&keys([("method", method)]), "rank-correlation", rho);
    }
    let columns = plan.columns.iter().map(|c| Quantity::new(&c.key, &c.key, c.about, c.better));
    let own = quantities::found(quantities::of_measures().into(), &rows);
    Record {
        kind: "measure".into(),
        origin: Some(models[0].origin()),
        models: models.iter().map(|loaded| loaded.card.clone()).collect(),
        data: args.subject.data.clone(),
        images: Some(models[0].data.len() as u64),
        settings: plan.settings(args, &models[0]),
        quantities: columns.chain(own).collect(),
        rows,
        rest: Map::new(),
    }
}

/// A column of a row over all images, with why it is undefined at some.
fn row(of: &Keys, column: &Key, named: &Named, seed: u64) -> Row {
    let values = numbers(named, &column.key);
    let flags = [cases::EMPTY, cases::CONSTANT, cases::NO_OBJECT].map(|flag| numbers(named, flag));
    let undefined: Vec<usize> = (0..values.len()).filter(|&i| values[i].is_nan()).collect();
    let number = match column.share {
        true => Sample::of_share(values),
        false => Sample::over_images(values, seed),
    };
    let mut row = Row::new(of, &column.key, number);
    for i in undefined {
        let reason = column.reason([0, 1, 2].map(|flag| flags[flag][i] > 0.));
        *row.reasons.entry(reason.into()).or_default() += 1;
    }
    row
}

/// Of each method: Spearman's ρ over models of how robust the score is and how robust the maps are
/// (Tan & Tian 2023, Table 1); two models would always say 1 or −1. Models without one of the means are
/// left out.
fn rank_correlation<'a>(
    plan: &'a Plan,
    models: usize,
    rows: &Table,
) -> BTreeMap<&'a str, Option<f64>> {
    let names = ["lipschitz", "model-lipschitz"];
    if models < 3 || names.iter().any(|name| plan.columns.iter().all(|c| c.key != **name)) {
        return BTreeMap::new();
    }
    let of = |method: &'a String| {
        let query = Query { quantities: &names, down: &["model"], across: &[QUANTITY], each: &[] };
        let grids = query.of(rows.filter(&keys([("method", method)])));
        let pair = |line: &Line| -> Option<(f64, f64)> {
            line.cells[0]?.number.mean.zip(line.cells[1]?.number.mean)
        };
        let lines = grids.iter().flat_map(|grid| &grid.lines);
        let (maps, scores): (Vec<f64>, Vec<f64>) = lines.filter_map(pair).unzip();
        let rho = (maps.len() > 2).then(|| spearman(&maps, &scores));
        (method.as_str(), rho.filter(|rho| !rho.is_nan()))
    };
    plan.methods.iter().map(|(spelled, _)| of(spelled)).collect()
}

/// One JSON line an image and model. A number that is undefined or infinite is `null`.
fn lines(plan: &Plan, models: &[Loaded], found: &[Named]) -> Result<String> {
    let mut text = String::new();
    for (loaded, rows) in models.iter().zip(found.chunks(plan.methods.len())) {
        let class = |key: &str| numbers(&rows[0], key);
        let [labels, predictions, targets] = ["labels", "predictions", "targets"].map(class);
        let table: Vec<Vec<Vec<f64>>> = rows
            .iter()
            .map(|row| plan.columns.iter().map(|c| numbers(row, &c.key)).collect())
            .collect();
        let places = loaded.places(0, loaded.data.len() as u64);
        for i in 0..loaded.data.len() {
            let of = |columns: &Vec<Vec<f64>>| -> BTreeMap<&str, f64> {
                let keys = plan.columns.iter().map(|c| c.key.as_str());
                keys.zip(columns.iter().map(|values| values[i])).collect()
            };
            let methods: BTreeMap<&str, BTreeMap<&str, f64>> =
                plan.methods.iter().map(|(m, _)| m.as_str()).zip(table.iter().map(of)).collect();
            let line = serde_json::json!({
                "image": places[i],
                "model": loaded.card.name,
                "label": labels[i] as i64,
                "prediction": predictions[i] as i64,
                "target": targets[i] as i64,
                "methods": methods,
            });
            text += &format!("{line}\n");
        }
    }
    Ok(text)
}

fn save(path: &Path, text: &str) -> Result<()> {
    tensorfile::atomic::write(path, |file| Ok(file.write_all(text.as_bytes())?))
}
