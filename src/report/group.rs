//! Puts results side by side that can be compared: one data set, method and attack, several models.

use super::{Found, Inputs};
use crate::results::{Attacked, Keys, ModelCard, QUANTITY, Sample, keys};
use serde_json::Value;
use std::collections::BTreeMap;

/// Results that differ in the model only.
pub(super) struct Group<'a> {
    pub(super) method: &'a str,
    pub(super) attack: &'a str,
    pub(super) data: &'a str,
    /// Natural training first, then by name.
    pub(super) entries: Vec<Entry<'a>>,
}

/// One result of a [`Group`].
pub(super) struct Entry<'a> {
    pub(super) found: &'a Found,
    /// How the model is called here: its training where that is enough.
    pub(super) label: String,
    /// Its colour and marker: the same model has the same on the whole page.
    pub(super) slot: usize,
}

impl Entry<'_> {
    /// Its numbers at each radius.
    pub(super) fn run(&self) -> Attacked<'_> {
        Attacked::of(&self.found.record, &Keys::new())
    }

    /// The model that was attacked.
    pub(super) fn card(&self) -> &ModelCard {
        &self.found.record.models[0]
    }

    /// Images attacked.
    pub(super) fn images(&self) -> usize {
        self.found.record.images.unwrap_or(0) as usize
    }

    /// Clean accuracy on these images.
    pub(super) fn accuracy(&self) -> Sample {
        let row = self.found.record.rows.only(&keys([(QUANTITY, "accuracy")]));
        row.map_or(Sample::default(), |row| Sample {
            number: row.number,
            values: row.values.clone(),
        })
    }

    /// Which of the data its images are, beside how many.
    fn images_of(&self) -> [Option<&Value>; 2] {
        ["offset", "class"].map(|name| self.found.record.settings.get(name))
    }
}

impl Group<'_> {
    /// Whether an entry is of the same images as the first.
    pub(super) fn paired(&self, entry: &Entry) -> bool {
        let first = &self.entries[0];
        first.images() == entry.images() && first.images_of() == entry.images_of()
    }

    /// Such as `gxi under topk on shapes`.
    pub(super) fn title(&self) -> String {
        format!("{} under {} on {}", self.method, self.attack, self.data)
    }
}

/// Every result, in groups in the order of data, attack and method.
pub(super) fn groups(inputs: &Inputs) -> Vec<Group<'_>> {
    let slots = slots(inputs);
    let mut groups: BTreeMap<(&str, &str, &str), Vec<Entry>> = BTreeMap::new();
    for found in inputs.of("attack") {
        let run = Attacked::of(&found.record, &Keys::new());
        let key = (found.record.data.as_str(), run.key("attack"), run.key("method"));
        let (slot, label) = slots[&key_of(&found.record.models[0])].clone();
        groups.entry(key).or_default().push(Entry { found, label, slot });
    }
    let groups = groups.into_iter().map(|((data, attack, method), mut entries)| {
        entries.sort_by_key(|entry| entry.slot);
        tell_apart(&mut entries);
        Group { method, attack, data, entries }
    });
    groups.collect()
}

type ModelKey<'a> = (bool, &'a str, &'a str, &'a str, &'a str);

/// What makes two cards one model; sorts natural training first.
fn key_of(model: &ModelCard) -> ModelKey<'_> {
    (model.training != "natural", &model.training, &model.name, &model.arch, &model.dataset)
}

/// Slot and label of every model: its training, or that and its name, or everything; the first of
/// them that no other model has.
fn slots(inputs: &Inputs) -> BTreeMap<ModelKey<'_>, (usize, String)> {
    let models: BTreeMap<ModelKey, &ModelCard> =
        inputs.of("attack").map(|f| &f.record.models[0]).map(|card| (key_of(card), card)).collect();
    let names: Vec<[String; 3]> = models.values().map(|model| names(model)).collect();
    let label = |own: &[String; 3]| {
        let unique = |i: &usize| names.iter().filter(|other| other[*i] == own[*i]).count() == 1;
        own[(0..2).find(unique).unwrap_or(2)].clone()
    };
    let labels: Vec<String> = names.iter().map(label).collect();
    models.into_keys().zip(labels.into_iter().enumerate()).collect()
}

fn names(model: &ModelCard) -> [String; 3] {
    let ModelCard { name, arch, training, dataset, .. } = model;
    if training == "unknown" || training.is_empty() {
        return [name.clone(), format!("{name}, {arch}"), format!("{name}, {arch} on {dataset}")];
    }
    let full = format!("{training} ({name}, {arch} on {dataset})");
    [training.clone(), format!("{training} ({name})"), full]
}

/// One model attacked twice in the same way (other settings, say): the file tells which is which.
fn tell_apart(entries: &mut [Entry]) {
    let labels: Vec<String> = entries.iter().map(|entry| entry.label.clone()).collect();
    for entry in entries {
        if labels.iter().filter(|label| **label == entry.label).count() > 1 {
            let path = &entry.found.path;
            let file = path.file_stem().unwrap_or_default().to_string_lossy();
            let folder = path.parent().and_then(|p| p.file_name()).unwrap_or_default();
            entry.label = format!("{}, {}/{file}", entry.label, folder.to_string_lossy());
        }
    }
}
