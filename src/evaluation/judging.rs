//! By what maps results are judged: a method with draws enough that its maps say something.

use crate::{cli::Explained, results::of_images, session::Loaded};
use anyhow::Result;
use explain::{Attribution, heat, similarity::top_intersection};
use registry::Named;
use toml::{Table, Value};

/// K-in of clean maps under two sets of draws that is enough.
const ENOUGH: f64 = 0.9;
/// Samples that are tried for it, at most.
const MOST: i64 = 256;
/// Images on which that is seen.
const IMAGES: usize = 8;

/// A method as results are judged by it.
pub struct Judging {
    /// The method.
    pub method: Box<dyn Attribution>,
    /// Its samples; none of one that has no such option, or no number of its own.
    pub samples: Option<i64>,
}

impl Judging {
    /// The method `spelled` with `asked` samples; else with its own, or as many more as it takes for
    /// k-in of the k largest pixels. One that iterates keeps its own.
    pub fn new(
        (loaded, explained): (&Loaded, &Explained),
        spelled: &str,
        asked: Option<u32>,
        k: i64,
    ) -> Result<Self> {
        let table = registry::parse(spelled)?;
        let with = |samples: i64| {
            let mut table = table.clone();
            table.insert("samples".into(), Value::Integer(samples));
            explain::method(table)
        };
        let (own, iterates) = samples(&table)?;
        let samples = match (own, asked) {
            (None, _) => return Ok(Judging { method: explain::method(table)?, samples: None }),
            (_, Some(asked)) => i64::from(asked),
            (Some(own), None) if iterates => own,
            (Some(own), None) => enough((loaded, explained), own, &with, k)?,
        };
        Ok(Judging { method: with(samples)?, samples: Some(samples) })
    }
}

/// The samples of a method, and whether it iterates.
fn samples(table: &Table) -> Result<(Option<i64>, bool)> {
    let name = table.get("name").and_then(Value::as_str).unwrap_or_default();
    let options = explain::entry(name)?.options();
    let usual = options.iter().find(|setting| setting.name == "samples");
    let usual = usual.and_then(|setting| setting.default.clone());
    let own = table.get("samples").cloned().filter(|_| usual.is_some()).or(usual);
    let iterates = options.iter().any(|setting| setting.name == "steps");
    Ok((own.and_then(|value| value.as_integer()), iterates))
}

/// From `own` on twice as many, until the clean maps of the first images stay what they are.
fn enough(
    (loaded, explained): (&Loaded, &Explained),
    own: i64,
    with: &dyn Fn(i64) -> Result<Box<dyn Attribution>>,
    k: i64,
) -> Result<i64> {
    let rows: Vec<u64> = (0..loaded.data.len().min(IMAGES) as u64).collect();
    let batch = loaded.pick(explained, &rows)?.redrawn();
    let other = batch.redrawn();
    let mut samples = own;
    loop {
        let method = with(samples)?;
        let [a, b] = [&batch, &other].map(|draws| heat(&method.attribute(&loaded.model, draws)));
        let alike = of_images(&top_intersection(&a, &b, k), None).mean;
        if samples >= MOST || alike.is_none_or(|alike| alike >= ENOUGH) {
            return Ok(samples);
        }
        samples = (2 * samples).min(MOST);
    }
}
