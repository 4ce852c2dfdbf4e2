//! `gradproof certify`: what no change of an image within an ℓ2 ball can do to its smoothed map,
//! and, on the other side, what an attack finds. The truth lies between.

use crate::{
    cli::{Certify, Common},
    evaluation::{Named, Parts},
    outcome::Outcome,
    results::{Keys, Number, Record, Table, at_radius, keys, label, quantities},
    runtime::outputs::Files,
    runtime::ui::Ui,
    session::{self, Loaded},
};
use ::results::Sample;
use anyhow::{Result, ensure};
use serde_json::{Map, Value, json};
use std::{collections::BTreeMap, path::Path};
use tch::{Kind, Tensor};
use tensorfile::words::count;

mod drawing;
mod image;
mod plan;
mod table;

use plan::{Maps, Plan};

/// Errors: unknown names, settings out of range.
pub fn check(args: &Certify) -> Result<()> {
    Plan::check(args).map(|_| ())
}

/// The methods, and the labels of shares and of radii, that there will be rows of. Errors: see
/// [`check`].
pub(super) fn expected(args: &Certify) -> Result<[Vec<String>; 3]> {
    let plan = Plan::check(args)?;
    let labels = |all: &[f64]| all.iter().map(|&one| label(one)).collect();
    let methods = plan.methods.iter().map(|(text, _)| text.clone()).collect();
    Ok([methods, labels(&plan.shares), labels(&plan.radii)])
}

/// Certifies the maps of every image, one image after the other.
pub fn run(args: &Certify, common: &Common, ui: &Ui) -> Result<Outcome> {
    let mut outcome = Outcome::default();
    let plan = Plan::check(args)?;
    let files = files(args);
    files.check(common.force || args.resume)?;
    let loaded = session::load(&args.subject, common, ui)?;
    loaded.check_target(&args.explained)?;
    plan.fit(&loaded)?;
    if args.figure.is_some() {
        super::check_figure_channels(&loaded.data)?;
    }
    files.check_writable()?;
    let parts = Parts::open(args.out.as_deref(), args.resume, decides(args))?;
    loaded.announce(ui);

    let found = work(&plan, &loaded, &parts, ui)?;
    let result = result(&plan, &loaded, &found);
    if let Some(out) = &args.out {
        save(&out.with_extension("jsonl"), &lines(&plan, &loaded, &found)?)?;
        save(&out.with_extension("csv"), &result.rows.csv()?)?;
        save(out, &serde_json::to_string_pretty(&result)?)?;
    }
    parts.done()?;
    if let Some(path) = &args.figure {
        drawing::pictures(path, &plan, &loaded, &found)?;
    }
    if let Some(path) = &args.chart {
        drawing::curves(path, &plan, &result)?;
    }
    for (method, built) in plan.methods.iter().filter(|_| args.against.iters > 0) {
        if built.differentiable().is_none() {
            ui.note(&format!(
                "`{method}` cannot be differentiated: it is certified and not attacked"
            ));
        }
    }
    outcome.say(&table::table(&result));
    let out = ["json", "jsonl", "csv"].into_iter();
    let out = out.filter_map(|end| args.out.as_ref().map(|out| out.with_extension(end)));
    for path in out.chain(args.figure.clone()).chain(args.chart.clone()) {
        outcome.say(&format!("written: {}", path.display()));
    }
    outcome.with(&result)
}

/// What is read and written.
fn files(args: &Certify) -> Files {
    let out =
        args.out.iter().flat_map(|out| ["json", "jsonl", "csv"].map(|e| out.with_extension(e)));
    Files::of(&args.subject)
        .methods("--method", &args.method)
        .writes("--out", out)
        .writes("--figure", &args.figure)
        .writes("--chart", &args.chart)
}

/// Everything that decides what is found for an image, to tell parts of other commands.
fn decides(args: &Certify) -> String {
    let Certify { subject, explained, method, smoothed, against, .. } = args;
    format!(
        "{} {} {method:?} {smoothed:?} {against:?}",
        subject.resume_key(),
        explained.resume_key()
    )
}

/// The numbers of all images, one entry for each of the plan's maps.
fn work(plan: &Plan, loaded: &Loaded, parts: &Parts, ui: &Ui) -> Result<Vec<Named>> {
    let maps = plan.maps().len();
    let mut columns: Vec<BTreeMap<String, Vec<Tensor>>> =
        (0..maps).map(|_| BTreeMap::new()).collect();
    let make = |images: (&Tensor, &Tensor), first, tick: &dyn Fn()| {
        image::certify((plan, loaded), images, first, tick)
    };
    let images = (loaded, 1, loaded.chunk(plan.args.explained.chunk));
    parts.each(images, (ui, "certifying", plan.ticks(loaded)), make, |found| {
        ensure!(found.len() == maps, "a part has {}, not {maps}", count(found.len(), "map"));
        for (columns, named) in columns.iter_mut().zip(found) {
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

fn result(plan: &Plan, loaded: &Loaded, found: &[Named]) -> Record {
    let mut rows = Table::default();
    let model = keys([("model", &loaded.card.name)]);
    for ((method, _, share), named) in plan.maps().into_iter().zip(found) {
        let mut of = model.clone();
        of.extend(keys([("method", method), ("share", &label(share))]));
        rows_of_map(&mut rows, &of, plan, named);
    }
    // The classifier with the same noise is the same whatever is explained.
    if let Some(named) = found.first() {
        rows_of_prediction(&mut rows, &model, plan, named);
    }
    Record {
        kind: "certify".into(),
        origin: Some(loaded.origin()),
        models: vec![loaded.card.clone()],
        data: plan.args.subject.data.clone(),
        images: Some(loaded.data.len() as u64),
        settings: plan.settings(loaded),
        quantities: quantities::found(quantities::of_certificates(), &rows),
        rows,
        rest: Map::new(),
    }
}

fn rows_of_map(rows: &mut Table, of: &Keys, plan: &Plan, named: &Named) {
    let seed = plan.args.subject.seed;
    for (i, &radius) in plan.radii.iter().enumerate() {
        let at = at_radius(of, radius, &label(radius));
        for name in
            [image::CERTIFIED, image::ATTACKED].into_iter().filter(|n| named.contains_key(*n))
        {
            rows.push(
                &at,
                name,
                Sample::over_images(numbers(&named[name].select(1, i as i64)), seed),
            );
        }
        if let Some(kept) = named.get(image::KEPT) {
            rows.push(&at, image::KEPT, Sample::of_share(numbers(&kept.select(1, i as i64))));
        }
    }
    if let Some(resampled) = named.get(image::RESAMPLED) {
        rows.push(of, image::RESAMPLED, Sample::over_images(numbers(resampled), seed));
    }
    for (name, state) in [("certified-in", 1), ("certified-out", -1), ("abstained", 0)] {
        rows.push(of, name, Sample::over_images(shares(named, state), seed));
    }
    rows.push(of, "pixel-radius", Number::exact(plan.pixel_radius()));
}

/// Of each image the share of its pixels with this state.
fn shares(named: &Named, state: i64) -> Vec<f64> {
    let flat = named[image::STATES].flatten(1, -1).eq(state).to_kind(Kind::Double);
    numbers(&flat.mean_dim([1i64].as_slice(), false, Kind::Double))
}

fn rows_of_prediction(rows: &mut Table, model: &Keys, plan: &Plan, named: &Named) {
    let radii = numbers(&named[image::PREDICTION]);
    let same = |other: &str| numbers(&named[image::SMOOTHED].eq_tensor(&named[other]));
    let (right, explained) = (same("labels"), same("targets"));
    rows.push(model, image::PREDICTION, Sample::over_images(radii.clone(), plan.args.subject.seed));
    rows.push(model, "smoothed-accuracy", Sample::of_share(right));
    for &radius in &plan.radii {
        let sure = |(own, of): (&f64, &f64)| if *own >= radius { *of } else { 0. };
        let held: Vec<f64> = radii.iter().zip(&explained).map(sure).collect();
        let at = at_radius(model, radius, &label(radius));
        rows.push(&at, "certified-prediction", Sample::of_share(held));
    }
}

/// One number an image.
fn numbers(column: &Tensor) -> Vec<f64> {
    Vec::try_from(&column.to_kind(Kind::Double).contiguous()).expect("one number an image")
}

/// One JSON line an image.
fn lines(plan: &Plan, loaded: &Loaded, found: &[Named]) -> Result<String> {
    let (mut text, places) = (String::new(), loaded.places(0, loaded.data.len() as u64));
    for (i, place) in places.iter().enumerate() {
        let at = |named: &Named, name: &str| -> Value {
            let Some(values) = named.get(name).map(|t| t.get(i as i64)) else { return Value::Null };
            match values.dim() {
                0 => json!(values.double_value(&[])),
                _ => json!(numbers(&values)),
            }
        };
        let class = |name: &str| found[0][name].int64_value(&[i as i64]);
        let map = |((method, _, share), named): (Maps, &Named)| {
            let states = named[image::STATES].get(i as i64);
            let pixels = |state: i64| states.eq(state).sum(Kind::Int64).int64_value(&[]);
            json!({
                "method": method, "share": share,
                image::CERTIFIED: at(named, image::CERTIFIED),
                image::ATTACKED: at(named, image::ATTACKED),
                image::KEPT: at(named, image::KEPT),
                image::RESAMPLED: at(named, image::RESAMPLED),
                "in": pixels(1), "out": pixels(-1), "abstained": pixels(0),
            })
        };
        let line = json!({
            "image": place,
            "model": loaded.card.name,
            "label": class("labels"),
            "prediction": class("predictions"),
            "target": class("targets"),
            image::SMOOTHED: class(image::SMOOTHED),
            image::PREDICTION: at(&found[0], image::PREDICTION),
            "radii": plan.radii,
            "maps": plan.maps().into_iter().zip(found).map(map).collect::<Vec<_>>(),
        });
        text += &format!("{line}\n");
    }
    Ok(text)
}

fn save(path: &Path, text: &str) -> Result<()> {
    tensorfile::atomic::write(path, |file| Ok(file.write_all(text.as_bytes())?))
}
