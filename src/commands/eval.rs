//! `gradproof eval`: accuracy, accuracy under attack, curvature.

use crate::{
    cli::{Common, Eval},
    outcome::Outcome,
    results::{
        Number, Quantity, Record, Table as Rows, at_radius, distances, keys,
        quantities::{self, l2_change},
    },
    runtime::outputs::Files,
    runtime::{ui::Ui, workers::Stop},
    session::threat::Radii,
    session::{self, Loaded},
};
use ::attack::{
    AttackInput, Ball, NamedAdversary, Norm, Robustness, Summary,
    prediction::{
        adversary,
        autoattack::{self, selection},
    },
};
use ::results::Better;
use ::train::Accuracy;
use anyhow::{Context, Result, ensure};
use models::finite::logits_of;
use serde_json::{Map, json};
use std::{collections::BTreeMap, path::Path};
use tch::{Kind, Tensor};
use tensorfile::TensorFile;
use toml::Table;

mod boundary;
mod found;

use found::{AtRadius, Curvature, Share};

/// Errors: unknown attacks, settings out of range.
pub fn check(args: &Eval) -> Result<()> {
    Plan::check(args).map(drop)
}

/// The radii of the attacks, where none is given the usual one of the norm. Errors: out of range.
pub(super) fn radii(args: &Eval) -> Result<Radii> {
    let usual = [if args.norm == Norm::L2 { 0.5 } else { 8. / 255. }];
    Radii::new(args.norm, if args.eps.is_empty() { &usual } else { &args.eps[..] })
}

/// Measures what was asked for.
pub fn run(args: &Eval, common: &Common, ui: &Ui) -> Result<Outcome> {
    let mut outcome = Outcome::default();
    let plan = Plan::check(args)?;
    let out = args.out.iter().flat_map(|out| plan.radii.files(out));
    let files = Files::of(&args.subject).writes("--figure", &args.figure).writes("--out", out);
    files.check(common.force)?;
    let loaded = session::load(&args.subject, common, ui)?;
    autoattack::check(&plan.attacks, loaded.model.shape.classes)?;
    if !plan.attacks.is_empty() {
        loaded.data.check_pixels("an attack")?;
    }
    if args.figure.is_some() {
        boundary::check(&loaded)?;
    }
    files.check_writable()?;
    loaded.announce(ui);
    let data = &loaded.data;
    let bar = ui.bar(data.len() as u64, "evaluating");
    let right = accuracy(&loaded, |n| bar.inc(n))?;
    bar.finish_and_clear();
    let clean = Share::of(&right.correct);
    let balanced = right.balanced(&data.labels);
    let percent = 100. * balanced;
    outcome.say(&format!("accuracy {clean}; mean of the classes' own {percent:.2} %"));
    if let Some(path) = &args.figure {
        boundary::draw(path, &loaded)?;
        outcome.say(&format!("written: {}", path.display()));
    }
    let curvature = args.curvature.then(|| curvature(&loaded, ui)).transpose()?;
    if let Some(q) = &curvature {
        outcome.say(&q.text());
    }
    let robust = plan.attack(args, &loaded, ui)?;
    for at in &robust {
        outcome.say(&at.text(args.norm));
    }
    let rows =
        rows(&loaded, &registry::word(&args.norm), (&clean, balanced), curvature.as_ref(), &robust);
    outcome.with(&Record {
        kind: "eval".into(),
        origin: Some(loaded.origin()),
        models: vec![loaded.card.clone()],
        data: args.subject.data.clone(),
        images: Some(data.len() as u64),
        settings: BTreeMap::from([("norm".to_owned(), json!(args.norm))]),
        quantities: quantities::found(quantities().into(), &rows),
        rows,
        rest: Map::from_iter([("robust".to_owned(), serde_json::to_value(&robust)?)]),
    })
}

/// What its numbers are.
fn quantities() -> [Quantity; 5] {
    let mean = "mean over classes of the accuracy on each class's images, in [0, 1]";
    let xi = "largest eigenvalue of the Hessian of the loss at the image";
    let robust = "share of the images that no attack misclassifies, in [0, 1]";
    [
        quantities::accuracy(),
        Quantity::new("balanced-accuracy", "balanced accuracy", mean, Better::Higher),
        Quantity::new("curvature", "curvature", xi, Better::Lower),
        Quantity::new("robust-accuracy", "robust accuracy", robust, Better::Higher),
        l2_change(),
    ]
}

fn rows(
    loaded: &Loaded,
    norm: &str,
    (clean, balanced): (&Share, f64),
    curvature: Option<&Curvature>,
    robust: &[AtRadius],
) -> Rows {
    let mut rows = Rows::default();
    let mut of = keys([("model", &loaded.card.name)]);
    rows.push(&of, "accuracy", clean.0.clone());
    rows.push(&of, "balanced-accuracy", Number::exact(balanced));
    if let Some(&Curvature { mean, median, p90, n, undefined }) = curvature {
        let (n, undefined) = (Some(n as u64), undefined as u64);
        rows.push(
            &of,
            "curvature",
            Number { mean, median, p90, n, undefined, ..Number::default() },
        );
    }
    of.insert("norm".into(), norm.into());
    for at in robust {
        let names: Vec<&str> = at.summary.attacks.iter().map(|tally| tally.name.as_str()).collect();
        let mut of = at_radius(&of, at.eps, &at.label);
        of.insert("attack".into(), names.join(", "));
        rows.push(&of, "robust-accuracy", at.accuracy.0.clone());
        at.change.iter().for_each(|change| rows.push(&of, "l2-change", change.clone()));
    }
    rows
}

fn curvature(loaded: &Loaded, ui: &Ui) -> Result<Curvature> {
    let bar = ui.bar(loaded.data.len() as u64, "curvature");
    let make = |(x, y): (&Tensor, &Tensor), _, stop: &Stop| {
        stop.check();
        let xi = ::train::curvature(&loaded.model, x);
        bar.inc(y.numel() as u64);
        Ok(xi)
    };
    let mut parts = vec![];
    loaded.each_batch((0, loaded.fits.batch, loaded.fits.chunk), make, |xi| {
        parts.push(xi);
        Ok(())
    })?;
    bar.finish_and_clear();
    Ok(Curvature::of(&Tensor::cat(&parts, 0)))
}

/// Predicts every image once. Errors: a logit that is not finite.
fn accuracy(loaded: &Loaded, tick: impl Fn(u64) + Sync) -> Result<Accuracy> {
    let make = |images: (&Tensor, &Tensor), first: u64, stop: &Stop| {
        stop.check();
        let told = |row| logits_of(loaded.data.place(first + row), &loaded.data.name);
        let right = ::train::right(&loaded.model, images, told);
        tick(images.1.numel() as u64);
        right.with_context(|| format!("`{}`", loaded.card.name))
    };
    let mut correct = vec![];
    loaded.each_batch((0, loaded.fits.batch, loaded.fits.chunk), make, |right| {
        correct.push(right);
        Ok(())
    })?;
    Ok(Accuracy::of(Tensor::cat(&correct, 0)))
}

/// The attacks that the arguments ask for, checked.
struct Plan {
    attacks: Vec<NamedAdversary>,
    radii: Radii,
}

impl Plan {
    fn check(args: &Eval) -> Result<Self> {
        let attacks = attacks(args)?;
        let asked = !args.eps.is_empty() || args.out.is_some();
        ensure!(
            !attacks.is_empty() || !asked,
            "`--eps` and `--out` are for attacks; add `--pgd 20` or `--attack standard`"
        );
        Ok(Plan { attacks, radii: radii(args)? })
    }

    fn attack(&self, args: &Eval, loaded: &Loaded, ui: &Ui) -> Result<Vec<AtRadius>> {
        if self.attacks.is_empty() {
            return Ok(vec![]);
        }
        let size = loaded.fits.batch;
        let batches = loaded.data.len().div_ceil(size) * self.radii.balls().len();
        let bar = ui.bar((batches * self.attacks.len()) as u64, "attacking");
        let mut all = vec![];
        for &ball in self.radii.balls() {
            let mut summary = Summary::default();
            let mut kept = Kept::default();
            let (mut moved, mut robust) = (vec![], vec![]);
            let make = |(x, y): (&Tensor, &Tensor), first: u64, stop: &Stop| {
                let keys = loaded.keys(first, y.numel() as u64);
                let tick = || {
                    stop.check();
                    bar.inc(1);
                };
                let input = AttackInput::new(&loaded.model, (x, y), ball, &keys);
                let found = autoattack::run(&input, &self.attacks, tick);
                let told = |row| format!("after the attack {}", loaded.place(first + row));
                let predictions = loaded.predict(&found.adversarial, &told)?.0;
                Ok((x.shallow_clone(), y.shallow_clone(), predictions, found))
            };
            let images = (0, size, loaded.fits.chunk);
            loaded.each_batch(images, make, |(x, y, predictions, found)| {
                summary.merge(&found.summary);
                moved.push(distances(&x, &found.adversarial));
                robust.push(found.robust.shallow_clone());
                if args.out.is_some() {
                    kept.push((&x, &y), predictions, &found);
                }
                Ok(())
            })?;
            if let Some(out) = &args.out {
                let file = self.radii.file(out, ball.eps);
                kept.write(&file, loaded, ball)?;
                ui.note(&format!("written: {}", file.display()));
            }
            let [moved, robust] = [moved, robust].map(|parts| Tensor::cat(&parts, 0));
            all.push(AtRadius::of(ball.eps, summary, &moved, &robust));
        }
        bar.finish_and_clear();
        Ok(all)
    }
}

/// The attacks in the order they run in: those of `--pgd`, `--apgd`, `--attack`, `--square`.
fn attacks(args: &Eval) -> Result<Vec<NamedAdversary>> {
    let mut asked = vec![];
    asked.extend(args.pgd.map(|steps| format!("pgd:steps={steps}")));
    for loss in ["ce", "dlr"] {
        asked.extend(args.apgd.map(|steps| format!("apgd-{loss}:steps={steps}")));
    }
    asked.extend(args.attack.as_deref().map(registry::split).unwrap_or_default());
    asked.extend(args.square.map(|queries| format!("square:queries={queries}")));
    let mut attacks = vec![];
    for text in asked {
        if let Some(all) = selection(&text) {
            attacks.extend(all);
            continue;
        }
        let table: Table = registry::parse(&text)?;
        attacks.push(NamedAdversary { adversary: adversary(table)?, name: text });
    }
    for (i, named) in attacks.iter().enumerate() {
        let twice = attacks[..i].iter().any(|other| other.name == named.name);
        ensure!(!twice, "`{}` is asked for twice", named.name);
    }
    Ok(attacks)
}

/// What `--out` holds, batch after batch, on the CPU.
#[derive(Default)]
struct Kept(BTreeMap<&'static str, Vec<Tensor>>);

impl Kept {
    fn push(&mut self, (x, y): (&Tensor, &Tensor), predictions: Tensor, found: &Robustness) {
        let parts = [
            ("images", x.shallow_clone()),
            ("adversarial", found.adversarial.shallow_clone()),
            ("labels", y.shallow_clone()),
            ("predictions", predictions),
            ("robust", found.robust.to_kind(Kind::Uint8)),
        ];
        for (name, part) in parts {
            self.0.entry(name).or_default().push(part.to_device(tch::Device::Cpu));
        }
    }

    fn write(self, path: &Path, loaded: &Loaded, ball: Ball) -> Result<()> {
        let joined = |(name, parts): (&str, Vec<Tensor>)| (name.to_owned(), Tensor::cat(&parts, 0));
        let tensors = self.0.into_iter().map(joined).collect();
        let mut metadata = loaded.header();
        metadata.insert("eps".into(), ball.eps.to_string());
        TensorFile { tensors, metadata }.write(path)
    }
}
