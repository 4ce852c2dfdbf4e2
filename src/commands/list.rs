//! `gradproof models` and `gradproof list`: what there is, from the registries.

use crate::runtime::ui::Ui;
use anyhow::Result;
use models::{
    Classifier,
    registry::Named,
    zoo::{ARCHS, Normalisation},
};
use serde_json::{Value, json};
use std::fmt::Write;
use tch::Device;

/// Every architecture with its parameter count.
pub fn models(ui: &Ui) -> Result<()> {
    let mut text = String::new();
    let mut all = vec![];
    for arch in ARCHS {
        let normalisation = Normalisation::parse(arch.normalise, arch.shape.image[0])?;
        let model = Classifier::blank(arch, arch.shape, normalisation, Device::Cpu);
        let (count, image) = (model.params().count(), arch.shape.image.map(|n| n.to_string()));
        let image = image.join("x");
        let _ =
            writeln!(text, "{:<18} {:>11}  {image:<10} {}", arch.name, grouped(count), arch.about);
        all.push(json!({
            "name": arch.name, "parameters": count, "image": arch.shape.image,
            "classes": arch.shape.classes, "about": arch.about,
        }));
    }
    ui.say(text.trim_end())?;
    ui.result(&all)
}

/// 11173962 -> 11,173,962.
fn grouped(n: i64) -> String {
    let digits = n.to_string();
    let mut out = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// Every family but the architectures.
pub fn families(ui: &Ui) -> Result<()> {
    let families = [
        ("attribution methods", lines(explain::METHODS)),
        ("attacks on maps", lines(attack::ATTACKS)),
        ("rules of attacks on maps", lines(attack::OPTIMIZERS)),
        ("attacks on predictions", lines(attack::ADVERSARIES)),
        ("similarities of maps", lines(explain::similarity::SIMILARITIES)),
        ("metrics of maps", lines(explain::metric::METRICS)),
        ("presets of `measure`", lines(super::measure::PRESETS)),
        ("training objectives", lines(::train::objective::OBJECTIVES)),
        ("optimisers", lines(::train::optimizer::OPTIMIZERS)),
        ("schedules", lines(::train::schedule::SCHEDULES)),
        ("functions of `plane`", lines(models::toy::FUNCTIONS)),
        ("kinds of data", ::data::KINDS.to_vec()),
    ];
    let mut text = String::new();
    let mut all = serde_json::Map::new();
    for (family, members) in &families {
        let _ = writeln!(text, "{family}");
        for (name, about) in members {
            let _ = writeln!(text, "  {name:<13} {about}");
        }
        text.push('\n');
        let of = |(name, about): &(&str, &str)| ((*name).to_owned(), Value::from(*about));
        all.insert((*family).into(), Value::Object(members.iter().map(of).collect()));
    }
    ui.say(text.trim_end())?;
    ui.result(&all)
}

fn lines<E: Named>(entries: &[E]) -> Vec<(&'static str, &'static str)> {
    entries.iter().map(|e| (e.name(), e.about())).collect()
}
