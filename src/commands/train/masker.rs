//! `gradproof masker`: trains what `rtsal` explains with.

use crate::{
    cli::{Common, Masker},
    outcome::Outcome,
    results::{Better, Number, Quantity, Record, Table, keys},
    runtime::{outputs::Files, ui::Ui},
    session,
};
use anyhow::Result;
use explain::masker::{self, Found, Training};
use tensorfile::words::count;

/// Images a step, where `--batch-size` says nothing.
const BATCH: usize = 64;

/// Errors: settings out of range.
pub fn check(args: &Masker) -> Result<()> {
    training(args).check()
}

fn training(args: &Masker) -> Training {
    let Masker { subject, epochs, learning_rate, width, loss, .. } = args;
    Training {
        epochs: *epochs,
        batch: subject.batch_size.unwrap_or(BATCH),
        learning_rate: *learning_rate,
        width: *width,
        area: loss.area,
        variation: loss.variation,
        left: loss.left,
        power: loss.power,
        others: loss.others,
        seed: subject.seed,
    }
}

/// Trains it on all images asked for, for the classes that the network gives them.
pub fn run(args: &Masker, common: &Common, ui: &Ui) -> Result<Outcome> {
    check(args)?;
    let files = Files::of(&args.subject).writes("--out", [&args.out]);
    files.check(common.force)?;
    let loaded = session::load(&args.subject, common, ui)?;
    loaded.data.check_pixels("`masker`")?;
    files.check_writable()?;
    loaded.announce(ui);
    let how = training(args);
    let all: Vec<i64> = (0..loaded.data.len() as i64).collect();
    let (x, _) = loaded.data.batch(&all)?;
    let bar = ui.bar(all.len() as u64 * u64::from(how.epochs), "training");
    let say = |epoch: u32, found: &Found| {
        bar.suspend(|| ui.note(&format!("epoch {epoch}/{}  {}", how.epochs, line(found))));
    };
    let (masker, found) = masker::fit(&loaded.model, &x, &how, &|n| bar.inc(n), &say)?;
    bar.finish_and_clear();
    let mut header = loaded.header();
    header.insert("settings".into(), serde_json::to_string(&how)?);
    header.insert("data".into(), args.subject.data.clone());
    masker.write(&args.out, (&loaded.model, loaded.data.image_shape()), header)?;
    let mut outcome = Outcome::default();
    useless(&found).into_iter().for_each(|why| ui.note(&why));
    let epochs = count(how.epochs, "epoch");
    outcome.say(&format!("{}, after {epochs}: {}", line(&found), args.out.display()));
    let of = keys([("model", &loaded.card.name)]);
    let mut rows = Table::default();
    for (quantity, value) in quantities().iter().zip(values(&found)) {
        rows.push(&of, &quantity.name, Number::exact(value));
    }
    outcome.with(&Record {
        kind: "masker".into(),
        origin: Some(loaded.origin()),
        models: vec![loaded.card.clone()],
        data: args.subject.data.clone(),
        images: Some(loaded.data.len() as u64),
        quantities: quantities().into(),
        rows,
        rest: serde_json::from_value(serde_json::json!({ "masker": args.out, "settings": how }))?,
        ..Record::default()
    })
}

/// What is said of masks that show nothing.
fn useless(found: &Found) -> Option<String> {
    const LEAST: f64 = 0.01;
    let (much, how) = match found.area {
        area if area < LEAST => ("nothing", "less"),
        area if area > 1. - LEAST => ("everything", "more"),
        _ => return None,
    };
    Some(format!("warning: masks keep {much}: they show no class; try {how} `--area`"))
}

fn line(found: &Found) -> String {
    let Found { loss, area, kept, left, other_area } = found;
    format!(
        "loss {loss:.3}  masks keep {:.1} % of the image ({:.1} % for other classes)  p(class) \
         {kept:.3} on what is kept, {left:.3} on the rest",
        100. * area,
        100. * other_area
    )
}

fn values(found: &Found) -> [f64; 5] {
    [found.loss, found.area, found.kept, found.left, found.other_area]
}

/// What its numbers are, in the order of [`values`].
pub fn quantities() -> [Quantity; 5] {
    let of = |name, about| Quantity::new(name, name, about, Better::Neither);
    [
        of("loss", "mean loss of the last epoch"),
        of("area", "share of the image that masks of its class keep"),
        of("kept", "probability of the class on what the mask keeps"),
        of("left", "probability of the class on what the mask leaves"),
        of("other-area", "share of the image that masks of other classes keep"),
    ]
}
