//! Per-image results of an attack at one radius, and what is said of them.

use super::parts::Named;
use crate::{
    results::{AtEps, AttackResult, Summary},
    subject::Loaded,
};
use ::attack::Outcome;
use anyhow::Result;
use explain::{Attribution, Batch, heat, similarity::SIMILARITIES};
use std::{collections::BTreeMap, fmt::Write, path::Path};
use tch::{Device, Kind, Tensor};
use tensorfile::TensorFile;

/// The maps of one method on one model, as results are judged: drawn anew, because an attacker who
/// bent the map of one set of samples has gained nothing.
pub(crate) struct Judge<'a> {
    loaded: &'a Loaded,
    method: &'a dyn Attribution,
    labels: &'a Tensor,
    batch: Batch,
    /// Signed maps of the clean images.
    maps: Tensor,
    predictions: Tensor,
    confidence: Tensor,
    k: i64,
}

impl<'a> Judge<'a> {
    /// Of the images of `batch`; `k` is the size of the top.
    pub fn new(
        loaded: &'a Loaded,
        method: &'a dyn Attribution,
        (batch, labels): (&Batch, &'a Tensor),
        k: i64,
    ) -> Self {
        let batch = batch.redrawn();
        let maps = method.attribute(&loaded.model, &batch);
        let (predictions, confidence) = loaded.predict(&batch.x);
        Judge { loaded, method, labels, batch, maps, predictions, confidence, k }
    }

    /// The numbers of an attack's images, one an image, on the CPU, and the signed maps there.
    pub fn numbers(&self, outcome: &Outcome) -> (Named, Tensor) {
        let adversarial = &outcome.adversarial;
        let maps = self.method.attribute(&self.loaded.model, &self.batch.at(adversarial));
        let (class, confidence) = self.loaded.predict(adversarial);
        let (before, after) = (heat(&self.maps), heat(&maps));
        let score = |score: fn(&Tensor, &Tensor, i64) -> Tensor| score(&before, &after, self.k);
        let scores = SIMILARITIES.iter().map(|m| (m.name, score(m.score).to_kind(Kind::Float)));
        let rest = [
            ("labels", self.labels.shallow_clone()),
            ("predictions", self.predictions.shallow_clone()),
            ("confidence", confidence),
            ("kept", class.eq_tensor(&self.predictions).to_kind(Kind::Float)),
            ("success", outcome.success.to_kind(Kind::Uint8)),
        ];
        (named(rest.into_iter().chain(scores)), maps)
    }

    /// Everything there is about them.
    pub fn everything(&self, outcome: &Outcome) -> Named {
        let (mut all, maps) = self.numbers(outcome);
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
        all
    }
}

fn named<'a>(tensors: impl IntoIterator<Item = (&'a str, Tensor)>) -> Named {
    let on_cpu = |(name, t): (&str, Tensor)| (name.to_owned(), t.to_device(Device::Cpu));
    tensors.into_iter().map(on_cpu).collect()
}

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

    /// Fraction of images with an accepted iterate.
    pub fn success_rate(&self) -> f64 {
        mean(self.tensor("success"))
    }

    /// Clean accuracy on these images.
    pub fn accuracy(&self) -> f64 {
        mean(&self.tensor("predictions").eq_tensor(self.tensor("labels")))
    }

    /// Every similarity and the confidence.
    pub fn summaries(&self) -> BTreeMap<String, Summary> {
        let names = SIMILARITIES.iter().map(|m| m.name).chain(["confidence"]);
        names.map(|name| (name.to_owned(), self.summary(self.tensor(name)))).collect()
    }

    /// Of per-image values.
    pub fn summary(&self, values: &Tensor) -> Summary {
        let n = values.numel() as f64;
        let deviation =
            if n > 1. { values.to_kind(Kind::Double).std(true).double_value(&[]) } else { 0. };
        let succeeded = values.masked_select(&self.tensor("success").gt(0.));
        let successes = (succeeded.numel() > 0).then(|| mean(&succeeded));
        Summary { mean: mean(values), stderr: deviation / n.sqrt(), successes }
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

fn mean(values: &Tensor) -> f64 {
    values.to_kind(Kind::Double).mean(Kind::Double).double_value(&[])
}

/// Trapezoid over log2(255 ε) of each metric's mean; empty with fewer than two positive radii.
pub fn auc(eps: &[AtEps]) -> BTreeMap<String, f64> {
    let at: Vec<&AtEps> = eps.iter().filter(|at| at.eps > 0.).collect();
    let Some(first) = at.first().filter(|_| at.len() > 1) else { return BTreeMap::new() };
    let area = |name: &String| {
        let piece = |pair: &[&AtEps]| {
            let width = (pair[1].eps / pair[0].eps).log2();
            width * (pair[0].metrics[name].mean + pair[1].metrics[name].mean) / 2.
        };
        at.windows(2).map(piece).sum()
    };
    first.metrics.keys().map(|name| (name.clone(), area(name))).collect()
}

/// The result as a table for people.
pub fn table(result: &AttackResult) -> String {
    let mut text = format!(
        "{} on {} of {}: {} images, clean accuracy {:.1} %\n{:>8} {:>9}",
        result.attack,
        result.method,
        result.model.name,
        result.images,
        100. * result.accuracy,
        "eps",
        "success"
    );
    let names: Vec<&str> = ["k-in", "cor", "cdl", "cosd", "confidence"].into();
    for name in &names {
        let _ = write!(text, " {name:>16}");
    }
    for at in &result.eps {
        let _ = write!(text, "\n{:>8} {:>7.1} %", at.label, 100. * at.success);
        for name in &names {
            let s = &at.metrics[*name];
            let _ = write!(text, " {:>16}", format!("{:.3} ± {:.3}", s.mean, s.stderr));
        }
    }
    if !result.auc.is_empty() {
        let _ = write!(text, "\n{:>8} {:>9}", "AUC", "");
        for name in &names {
            let _ = write!(text, " {:>16}", format!("{:.3}", result.auc[*name]));
        }
    }
    text
}
