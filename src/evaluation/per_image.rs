//! Per-image results of an attack at one radius, and what is said of them.

use super::batch_store::Named;
use crate::{
    results::{
        Attacked, BELOW, FLOOR, Floor, Keys, Number, OF_OTHERS, QUANTITY, Record, Sample,
        UNDEFINED, counted, keys, of_images, of_shares, starts,
    },
    session::Loaded,
};
use ::attack::Outcome;
use anyhow::{Context, Result};
use explain::{
    Attribution, Batch, heat,
    similarity::{SIMILARITIES, Similarity, in_tables},
};
use std::{collections::BTreeMap, fmt::Write, path::Path};
use tch::{Device, Kind, Tensor};
use tensorfile::TensorFile;

/// The maps of one method on one model, as results are judged: by draws that no attacker has seen,
/// those of clean maps and those of attacked ones apart, so that what the draws alone move is a floor.
pub struct Judge<'a> {
    loaded: &'a Loaded,
    method: &'a dyn Attribution,
    labels: &'a Tensor,
    batch: Batch,
    /// The same images with other draws.
    other: Batch,
    /// Number of the first image among those asked for.
    first: u64,
    /// Signed maps of the clean images.
    maps: Tensor,
    /// Their similarities to those of the other draws, by name.
    floors: Vec<(String, Tensor)>,
    predictions: Tensor,
    confidence: Tensor,
    k: i64,
}

impl<'a> Judge<'a> {
    /// Of the images of `batch`, of which `first` is the first; `k` is the size of the top. Errors: a
    /// logit or a map that is not finite.
    pub fn new(
        loaded: &'a Loaded,
        method: &'a dyn Attribution,
        (batch, labels, first): (&Batch, &'a Tensor, u64),
        k: i64,
    ) -> Result<Self> {
        let batch = batch.redrawn();
        let (predictions, confidence) = loaded.predict(&batch.x, &|i| loaded.place(first + i))?;
        let maps = loaded.attribute(method, &batch, first)?;
        let other = batch.redrawn();
        let again = loaded.attribute(method, &other, first)?;
        let floors = similarities(&maps, &again, k);
        let floors = floors.map(|(name, score)| (format!("{name}{FLOOR}"), score)).collect();
        Ok(Judge {
            loaded,
            method,
            labels,
            batch,
            other,
            first,
            maps,
            floors,
            predictions,
            confidence,
            k,
        })
    }

    /// The numbers of an attack's images, one an image, on the CPU, and the signed maps there. Errors:
    /// those of [`Judge::new`].
    pub fn numbers(&self, outcome: &Outcome) -> Result<(Named, Tensor)> {
        let (adversarial, loaded, first) = (&outcome.adversarial, self.loaded, self.first);
        let told = |i| format!("after the attack {}", loaded.place(first + i));
        let (class, confidence) = loaded.predict(adversarial, &told)?;
        let moved = self.other.moved(adversarial, self.method);
        let maps = loaded.attribute(self.method, &moved, first);
        let maps = maps.context("after the attack")?;
        let rest = [
            ("labels", self.labels.shallow_clone()),
            ("predictions", self.predictions.shallow_clone()),
            ("confidence", confidence),
            ("kept", class.eq_tensor(&self.predictions).to_kind(Kind::Float)),
            ("success", outcome.success.to_kind(Kind::Uint8)),
            ("has_map", outcome.has_map.to_kind(Kind::Uint8)),
            ("trace", outcome.trace.shallow_clone()),
        ];
        let mut all = named(rest);
        all.extend(named(similarities(&self.maps, &maps, self.k)));
        all.extend(named(self.floors.iter().map(|(name, t)| (name.as_str(), t.shallow_clone()))));
        Ok((all, maps))
    }

    /// Everything there is about them.
    pub fn everything(&self, outcome: &Outcome) -> Result<Named> {
        let (mut all, maps) = self.numbers(outcome)?;
        // Of the model under attack every prediction stays.
        all.remove("kept");
        all.extend(named([
            ("images", self.batch.x.shallow_clone()),
            ("targets", self.batch.target.class.shallow_clone()),
            ("clean_confidence", self.confidence.shallow_clone()),
            ("adversarial", outcome.adversarial.shallow_clone()),
            ("maps", self.maps.to_kind(Kind::Float)),
            ("attacked_maps", maps.to_kind(Kind::Float)),
        ]));
        Ok(all)
    }
}

/// Every similarity of signed maps, by name.
fn similarities(
    before: &Tensor,
    after: &Tensor,
    k: i64,
) -> impl Iterator<Item = (&'static str, Tensor)> {
    let (before, after) = (heat(before), heat(after));
    SIMILARITIES.iter().map(move |m| (m.name, (m.score)(&before, &after, k).to_kind(Kind::Float)))
}

fn named<'a>(tensors: impl IntoIterator<Item = (&'a str, Tensor)>) -> Named {
    let on_cpu = |(name, t): (&str, Tensor)| (name.to_owned(), t.to_device(Device::Cpu));
    tensors.into_iter().map(on_cpu).collect()
}

/// Maps that are compared at once.
const CHUNK: i64 = 64;

/// Per-image tensors at one radius, batch after batch and then joined.
#[derive(Default)]
pub struct Run {
    batches: BTreeMap<String, Vec<Tensor>>,
    joined: BTreeMap<String, Tensor>,
}

impl Run {
    /// Adds one batch.
    pub fn push(&mut self, batch: Named) {
        for (name, tensor) in batch {
            self.batches.entry(name).or_default().push(tensor);
        }
    }

    /// All batches as one.
    pub fn joined(self) -> Self {
        let join = |(name, parts): (String, Vec<Tensor>)| (name, Tensor::cat(&parts, 0));
        Run { joined: self.batches.into_iter().map(join).collect(), batches: BTreeMap::new() }
    }

    /// A joined tensor.
    pub fn tensor(&self, name: &str) -> &Tensor {
        self.joined.get(name).expect("pushed with every batch")
    }

    /// Per-image numbers, NaN where an image had no map to attack.
    pub fn attacked(&self, values: &Tensor) -> Tensor {
        let no_map = self.tensor("has_map").eq(0.);
        values.to_kind(Kind::Double).masked_fill(&no_map, f64::NAN)
    }

    /// Images without a map.
    pub fn no_map(&self) -> u64 {
        self.tensor("has_map").eq(0.).sum(Kind::Int64).int64_value(&[]) as u64
    }

    /// Fraction of the images with a map that have an accepted iterate; no mean if no image has a map.
    pub fn success_rate(&self) -> Sample {
        of_shares(&self.attacked(self.tensor("success")))
    }

    /// Clean accuracy on these images.
    pub fn accuracy(&self) -> f64 {
        let right = self.right();
        right.iter().sum::<f64>() / right.len() as f64
    }

    /// 1 where a clean image is classified as its label, else 0.
    pub fn right(&self) -> Vec<f64> {
        let right = self.tensor("predictions").eq_tensor(self.tensor("labels"));
        Vec::try_from(right.to_kind(Kind::Double)).expect("f64 on the CPU")
    }

    /// Every similarity and the confidence.
    pub fn numbers(&self) -> BTreeMap<String, Sample> {
        let names = SIMILARITIES.iter().map(|m| m.name).chain(["confidence"]);
        names.map(|name| (name.to_owned(), self.number(self.tensor(name)))).collect()
    }

    /// Every similarity of a clean map and that of the next image, of the last image that of the first:
    /// what is left where nothing is the same. Named with [`OF_OTHERS`]; none of a single image.
    pub fn of_others(&self, k: i64) -> Vec<(String, Sample)> {
        let maps = self.tensor("maps");
        let n = maps.size()[0];
        if n < 2 {
            return vec![];
        }
        let of = |similarity: &Similarity| {
            let part = |start: i64| {
                let count = CHUNK.min(n - start);
                let next =
                    Tensor::arange_start(start + 1, start + count + 1, (Kind::Int64, Device::Cpu));
                let others = maps.index_select(0, &next.remainder(n));
                (similarity.score)(&heat(&maps.narrow(0, start, count)), &heat(&others), k)
            };
            let parts: Vec<Tensor> = (0..n).step_by(CHUNK as usize).map(part).collect();
            of_images(&self.attacked(&Tensor::cat(&parts, 0)), None)
        };
        SIMILARITIES.iter().map(|s| (format!("{}{OF_OTHERS}", s.name), of(s))).collect()
    }

    /// What draws alone do to every similarity, and whether the attack does more.
    pub fn floors(&self) -> Vec<(&'static str, Floor)> {
        let no_map = self.tensor("has_map").eq(0.);
        let of =
            |name: &str| self.tensor(name).to_kind(Kind::Double).masked_fill(&no_map, f64::NAN);
        let floor =
            |m: &Similarity| Floor::of(m.better, &of(m.name), &of(&format!("{}{FLOOR}", m.name)));
        SIMILARITIES.iter().map(|m| (m.name, floor(m))).collect()
    }

    /// Of per-image values; those of images without a map are undefined.
    pub fn number(&self, values: &Tensor) -> Sample {
        of_images(&self.attacked(values), Some(self.tensor("success")))
    }

    /// The file of SPEC's `attack --out`.
    pub fn write(&self, path: &Path, loaded: &Loaded, method: &str, eps: f64) -> Result<()> {
        let tensors = self.joined.iter().map(|(n, t)| (n.clone(), t.shallow_clone())).collect();
        let mut metadata = loaded.header();
        metadata.insert("method".into(), method.into());
        metadata.insert("eps".into(), eps.to_string());
        TensorFile { tensors, metadata }.write(path)
    }
}

/// The result of an attack as a table for people.
pub fn table(record: &Record) -> String {
    let all = Attacked::of(record, &Keys::new());
    let accuracy = record.rows.filter(&keys([(QUANTITY, "accuracy")])).next();
    let images = counted(record);
    let mut text = format!(
        "{} on {} of {}: {images}, clean accuracy {:.1} %\n{:>8} {:>9} {:>9}",
        all.key("attack"),
        all.key("method"),
        all.key("model"),
        100. * accuracy.and_then(|row| row.number.mean).unwrap_or(f64::NAN),
        "eps",
        "success",
        "converged"
    );
    let similarities = in_tables().into_iter().map(|m| m.name);
    let names: Vec<&str> = similarities.chain(["confidence"]).collect();
    for name in &names {
        let _ = write!(text, " {name:>16}");
    }
    for (_, eps) in all.radii() {
        let mean = all.number(eps, "success").and_then(|number| number.mean);
        let success = mean.map_or(UNDEFINED.into(), |s| format!("{:.1} %", 100. * s));
        let converged = all.number(eps, "converged").and_then(|number| number.mean);
        let converged = converged.map_or("–", |yes| if yes == 1. { "yes" } else { "no" });
        let _ = write!(text, "\n{eps:>8} {success:>9} {converged:>9}");
        for name in &names {
            let shown = all.number(eps, name).map(Number::with_error).unwrap_or_default();
            let _ = write!(text, " {shown:>16}");
        }
    }
    if all.has_areas() {
        let _ = write!(text, "\n{:>8} {:>9} {:>9}", "AUC", "", "");
        for name in &names {
            let area = all.area(name).and_then(|row| row.number.mean);
            let area = area.map_or(UNDEFINED.into(), |area| format!("{area:.3}"));
            let _ = write!(text, " {area:>16}");
        }
    }
    if all.no_map() > 0 {
        let _ = write!(text, "\nno map: {} of {images}, left out", all.no_map());
    }
    starts(record).iter().for_each(|told| text = format!("{text}\n{told}"));
    text + &left_out(&all) + &not_below(&all)
}

/// Numbers that draws alone may explain.
fn not_below(all: &Attacked) -> String {
    let mut text = String::new();
    for (_, eps) in all.radii() {
        for name in in_tables().into_iter().map(|m| m.name) {
            let number = |ending: &str| all.number(eps, &format!("{name}{ending}"));
            if number(BELOW).and_then(|below| below.mean) == Some(0.) {
                let floor = number(FLOOR).map(Number::with_error).unwrap_or_default();
                let _ = write!(text, "\n{eps}: {name} is not below its floor, {floor}");
            }
        }
    }
    if !text.is_empty() {
        text += "\nfloor: clean maps under other draws of the method; beyond it is what the attack does";
    }
    text
}

/// Images where a number is undefined though they have a map.
fn left_out(all: &Attacked) -> String {
    let mut text = String::new();
    for (_, eps) in all.radii() {
        let no_map = all.number(eps, "no-map").and_then(|number| number.mean).unwrap_or(0.) as u64;
        for row in all.at(eps).filter(|row| row.number.undefined > no_map) {
            let (name, more) = (row.quantity(), row.number.undefined - no_map);
            let _ = write!(text, "\n{eps}: {name} {UNDEFINED} at {more} more, left out");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::results::stored::assert_printed;

    #[test]
    fn printed_tables_are_the_snapshots() {
        for name in ["attack-natural", "attack-old", "attack-ssr", "manipulate"] {
            assert_printed(name, table);
        }
    }
}
