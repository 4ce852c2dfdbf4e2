//! `gradproof bench`: what the hot paths cost. Rounds are interleaved, so that a machine that slows
//! down slows everybody down; medians and quartiles, because timings have tails.

use crate::{
    cli::{Bench, Common},
    commands::doctor,
    outcome::Outcome,
    runtime::ui::Ui,
    runtime::{arithmetic, device},
};
use anyhow::{Result, ensure};
use memory::Peaks;
use models::{
    Classifier,
    zoo::{self, Normalisation, Shape},
};
use registry::Named;
use serde::Serialize;
use serde_json::{Map, Value, json};
use std::fmt::Write;
use tch::Device;
use tensorfile::words;

mod explain;
mod gemm;
mod memory;
mod train;

/// A contestant's name in the table, and the settings that make it.
type Entrant = (&'static str, &'static str);

/// The times of some entrants.
type Run = fn(&[&Entrant], &Bench, Device, &Ui) -> Result<Vec<Timed>>;

/// One benchmark.
struct Member {
    name: &'static str,
    about: &'static str,
    /// The first is the unit.
    entrants: &'static [Entrant],
    /// What the unit is called.
    unit: &'static str,
    run: Run,
}

impl Member {
    /// The unit, and the entrants that `--only` asks for.
    fn wanted(&self, only: &[String]) -> Vec<&'static Entrant> {
        let chosen = |name: &str| only.is_empty() || only.iter().any(|word| holds(name, word));
        let all = self.entrants.iter().enumerate();
        all.filter(|(i, (name, _))| *i == 0 || chosen(name)).map(|(_, entrant)| entrant).collect()
    }
}

fn holds(name: &str, word: &str) -> bool {
    name.to_lowercase().contains(&word.to_lowercase())
}

/// Errors: a word of `--only` that is in no name of these benchmarks.
fn check_words(members: &[&Member], only: &[String]) -> Result<()> {
    let names: Vec<&str> = members.iter().flat_map(|m| m.entrants).map(|(name, _)| *name).collect();
    for word in only {
        let found = names.iter().any(|name| holds(name, word));
        ensure!(found, "`--only {word}` is in no name; known: {}", names.join(", "));
    }
    Ok(())
}

impl Named for Member {
    fn name(&self) -> &'static str {
        self.name
    }
    fn about(&self) -> &'static str {
        self.about
    }
}

/// Every benchmark, sorted by name.
const BENCHES: &[Member] = &[
    Member {
        name: "explain",
        about: "the maps of a batch of shapes by each method, in forward passes",
        entrants: explain::ENTRANTS,
        unit: "forward passes",
        run: explain::run,
    },
    Member {
        name: "train",
        about: "one training step (loss, backward, SGD) of each objective, in natural steps",
        entrants: train::ENTRANTS,
        unit: "natural steps",
        run: train::run,
    },
];

/// The architecture asked for with random weights, on images of CIFAR-10's shape.
fn untrained(args: &Bench, device: Device) -> Result<Classifier> {
    let (arch, shape) = (zoo::arch(&args.arch)?, Shape::CIFAR10);
    let normalisation = Normalisation::parse("cifar10", shape.image[0])?;
    Ok(Classifier::new(arch, shape, normalisation, 0, device).to_device(device, true))
}

/// A name in the table and what does one unit of work and returns its milliseconds.
type Contestant<'a> = (&'static str, Box<dyn FnMut() -> f64 + 'a>);

/// Milliseconds of one contestant, one number a round.
struct Timed {
    name: &'static str,
    ms: Vec<f64>,
    /// How far what it gives is from what f32 gives, in units of that.
    error: Option<f64>,
    /// Products, each with a sum, that its passes make; none where they are not known for sure.
    products: Option<f64>,
}

/// Runs the benchmarks that are named, or all, and prints a table of each.
pub fn run(args: &Bench, common: &Common, ui: &Ui) -> Result<Outcome> {
    let mut outcome = Outcome::default();
    let named = args.names.iter().map(|name| registry::find("benchmark", BENCHES, name));
    let mut members = named.collect::<Result<Vec<_>>>()?;
    if members.is_empty() {
        members = BENCHES.iter().collect();
    }
    ensure!(args.rounds > 0, "`--rounds 0`: one round is the least");
    ensure!(args.batch_size > 0, "`--batch-size 0`: one image is the least");
    ensure!(args.chunk > 0, "`--chunk 0`: one image is the least");
    check_words(&members, &args.only)?;
    zoo::arch(&args.arch)?.check(&Shape::CIFAR10)?;
    let device = common.device.resolve()?;
    arithmetic::round_as(args.precision, device)?;
    let about = format!(
        "{} on {}, {} a step",
        args.arch,
        device::describe(device),
        words::count(args.batch_size, "image")
    );
    ui.note(&format!("{about}, load {:.2}", doctor::load_average()));
    let (mut all, mut rates) = (Map::new(), Map::new());
    for member in members {
        let wanted = member.wanted(&args.only);
        if wanted.len() == 1 && !args.only.is_empty() {
            continue;
        }
        let before = gemm::rate(args.precision, device);
        let timed = (member.run)(&wanted, args, device, ui)?;
        let rate = f64::midpoint(before, gemm::rate(args.precision, device));
        let table = table(&timed, member.unit, rate);
        let told = format!("a matrix product makes {:.0} GFLOP/s", rate / 1e9);
        outcome.say(&format!("{}: {}; {told}\n{table}", member.name, member.about));
        all.insert(member.name.into(), rows(&timed, rate));
        rates.insert(member.name.into(), json!(rate / 1e9));
    }
    let memory = if args.peak_memory { peaks(args, device, &mut outcome) } else { Value::Null };
    outcome.with(&json!({
        "version": env!("CARGO_PKG_VERSION"), "commit": env!("GRADPROOF_COMMIT"),
        "device": device::describe(device), "threads": tch::get_num_threads(),
        "load": doctor::load_average(), "arch": args.arch, "batch_size": args.batch_size,
        "chunk": args.chunk, "precision": args.precision, "rounds": args.rounds, "benches": all,
        "gemm_gflops": rates, "memory": memory,
    }))
}

/// Prints the peaks of memory, or why there are none.
fn peaks(args: &Bench, device: Device, outcome: &mut Outcome) -> Value {
    match Peaks::measure(args, device) {
        Ok(peaks) => {
            outcome.say(&peaks.table());
            json!(peaks)
        }
        Err(why) => {
            outcome.say(&format!("peak memory: not measured: {why:#}"));
            json!({ "not_measured": format!("{why:#}") })
        }
    }
}

/// Calls every contestant once a round and collects the milliseconds they return; the first
/// `warm_up` rounds do not count.
fn interleaved(contestants: &mut [Contestant], warm_up: u32, args: &Bench, ui: &Ui) -> Vec<Timed> {
    let all = (warm_up + args.rounds) as usize * contestants.len();
    let bar = ui.bar(all as u64, "timing");
    let mut timed: Vec<Timed> = contestants
        .iter()
        .map(|(name, _)| Timed { name, ms: vec![], error: None, products: None })
        .collect();
    for round in 0..warm_up + args.rounds {
        for ((name, step), timed) in contestants.iter_mut().zip(&mut timed) {
            bar.set_message(*name);
            let ms = step();
            if round >= warm_up {
                timed.ms.push(ms);
            }
            bar.inc(1);
        }
    }
    bar.finish_and_clear();
    timed
}

/// First quartile, median, third quartile; interpolated.
fn quartiles(values: &[f64]) -> [f64; 3] {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    [0.25, 0.5, 0.75].map(|q| {
        let at = q * (sorted.len() - 1) as f64;
        let (below, above) = (sorted[at.floor() as usize], sorted[at.ceil() as usize]);
        below + (above - below) * at.fract()
    })
}

/// One contestant's row.
#[derive(Serialize)]
struct Row<'a> {
    name: &'static str,
    ms: &'a [f64],
    median_ms: f64,
    /// Interquartile range in percent of the median.
    spread_percent: f64,
    /// Median in medians of the unit.
    steps: f64,
    /// First and third quartile of the rounds' own ratios.
    steps_quartiles: [f64; 2],
    /// Of its products' rate by that of a matrix product.
    #[serde(skip_serializing_if = "Option::is_none")]
    of_gemm: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<f64>,
}

impl<'a> Row<'a> {
    fn of(timed: &'a Timed, unit: &Timed, rate: f64) -> Self {
        let [low, median_ms, high] = quartiles(&timed.ms);
        let ratios: Vec<f64> = timed.ms.iter().zip(&unit.ms).map(|(ms, unit)| ms / unit).collect();
        let [least, _, most] = quartiles(&ratios);
        Row {
            name: timed.name,
            ms: &timed.ms,
            median_ms,
            spread_percent: 100. * (high - low) / median_ms,
            steps: median_ms / quartiles(&unit.ms)[1],
            steps_quartiles: [least, most],
            of_gemm: timed.products.map(|n| 2. * n / (median_ms / 1e3) / rate),
            error: timed.error,
        }
    }
}

fn table(all: &[Timed], unit: &str, rate: f64) -> String {
    let mut text = format!(
        "  {:<22} {:>10} {:>8} {:>8}   {unit} (quartiles)",
        "", "median ms", "spread", "of gemm"
    );
    if all[0].error.is_some() {
        text += "   error beside f32";
    }
    for timed in all {
        let row = Row::of(timed, &all[0], rate);
        let of_gemm = row.of_gemm.map_or_else(String::new, |share| format!("{share:.2}"));
        let Row { name, median_ms, spread_percent, steps, steps_quartiles, error, .. } = row;
        let [least, most] = steps_quartiles;
        let _ = write!(
            text,
            "\n  {name:<22} {median_ms:>10.1} {spread_percent:>6.1} % {of_gemm:>8}   {steps:>6.2} ({least:.2} to \
             {most:.2})",
        );
        let _ = error.map_or(Ok(()), |error| write!(text, "   {:.2} %", 100. * error));
    }
    text
}

fn rows(all: &[Timed], rate: f64) -> Value {
    all.iter().map(|timed| json!(Row::of(timed, &all[0], rate))).collect()
}
