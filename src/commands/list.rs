//! `gradproof models` and `gradproof list`: what there is, from the registries.

use crate::{cli::List, outcome::Outcome, runtime::ui::Ui};
use anyhow::{Result, ensure};
use models::{
    Classifier,
    zoo::{ARCHS, Normalisation},
};
use registry::{Named, Setting};
use serde_json::{Value, json};
use std::fmt::Write;
use tch::Device;

mod network;
pub mod shell;

/// What the registries have, or what a network has.
pub fn run(args: &List, ui: &Ui) -> Result<Outcome> {
    match &args.weights {
        Some(file) => network::run(file, args, ui),
        None => list(args.name.as_deref()),
    }
}

/// Every architecture with its parameter count.
pub fn models() -> Result<Outcome> {
    let mut outcome = Outcome::default();
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
    outcome.say(text.trim_end());
    outcome.with(&all)
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

/// A family's name and its members.
type Family = (&'static str, Vec<Member>);

/// What is said of a member.
struct Member {
    name: &'static str,
    aliases: &'static [&'static str],
    about: &'static str,
    options: Vec<Setting>,
}

fn members<E: Named>(entries: &[E]) -> Vec<Member> {
    let member = |e: &E| {
        let (name, aliases, about) = (e.name(), e.aliases(), e.about());
        Member { name, aliases, about, options: e.options() }
    };
    entries.iter().map(member).collect()
}

fn families() -> Vec<Family> {
    vec![
        ("architectures", members(ARCHS)),
        ("attribution methods", members(explain::METHODS)),
        ("attribution methods with a trained part", members(&[explain::RTSAL])),
        ("maps made elsewhere", members(&[explain::STORED])),
        ("attacks on maps", members(attack::ATTACKS)),
        ("optimisers of attacks", members(attack::OPTIMIZERS)),
        ("attacks on predictions", members(attack::ADVERSARIES)),
        ("similarities of maps", members(explain::similarity::SIMILARITIES)),
        ("metrics of maps", members(explain::metric::METRICS)),
        ("presets of `measure`", members(super::measure::PRESETS)),
        ("training objectives", members(::train::objective::OBJECTIVES)),
        ("optimisers", members(::train::optimizer::OPTIMIZERS)),
        ("schedules", members(::train::schedule::SCHEDULES)),
        ("functions of `plane`", members(models::toy::FUNCTIONS)),
        ("kinds of data", members(::data::SOURCES)),
    ]
}

/// Every member of every family with its options, or those called `name`. Errors: there is none.
fn list(name: Option<&str>) -> Result<Outcome> {
    let mut outcome = Outcome::default();
    let mut families = families();
    if let Some(name) = name {
        let all = families.iter().flat_map(|(_, members)| members);
        let known = all.flat_map(|m| [&[m.name], m.aliases].concat());
        let near = registry::nearest(name, known);
        let near = &near[..near.len().min(5)];
        ensure!(near.contains(&name), "nothing is called `{name}`; nearest: {}", near.join(", "));
        let called = |m: &Member| m.name == name || m.aliases.contains(&name);
        families.iter_mut().for_each(|(_, members)| members.retain(called));
        families.retain(|(_, members)| !members.is_empty());
    }
    let text: Vec<String> = families.iter().map(written).collect();
    outcome.say(text.join("\n").trim_end());
    let one = |(family, members): &Family| {
        let all = members.iter().map(|m| (m.name.to_owned(), object(m)));
        ((*family).to_owned(), Value::Object(all.collect()))
    };
    outcome.with(&families.iter().map(one).collect::<serde_json::Map<_, _>>())
}

/// A family as text: a line a member, below it one an option.
fn written((family, members): &Family) -> String {
    let mut text = format!("{family}\n");
    for Member { name, aliases, about, options } in members {
        let _ = writeln!(text, "  {name:<13} {about}{}", also(aliases));
        let width = options.iter().map(|o| o.to_string().chars().count()).max().unwrap_or(0);
        for option in options {
            let also = also(&option.aliases);
            let _ = writeln!(text, "      {option:<width$}   {}{also}", option.about);
        }
    }
    text
}

/// Other names, behind a description.
fn also(aliases: &[&str]) -> String {
    if aliases.is_empty() { String::new() } else { format!("; also {}", aliases.join(", ")) }
}

fn object(member: &Member) -> Value {
    let option = |o: &Setting| {
        let said = json!({
            "about": o.about, "default": o.default, "required": o.needed, "type": o.kind(),
            "aliases": o.aliases,
        });
        (o.name.to_owned(), said)
    };
    let options: serde_json::Map<_, _> = member.options.iter().map(option).collect();
    json!({ "about": member.about, "aliases": member.aliases, "options": options })
}
