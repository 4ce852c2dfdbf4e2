//! Where in a file a network is: under the one prefix that has all of its names. What lies outside
//! of that prefix is left out and said; of what lies inside, only a wrapper's own tensors are.

use super::shape;
use crate::zoo::Arch;
use anyhow::{Result, bail, ensure};
use std::collections::{BTreeMap, BTreeSet};

/// What wrappers put between the names of modules.
const WRAPPERS: [&str; 3] = ["_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module"];

/// Words of names that wrappers give to what is beside a network.
const BESIDE: [&str; 22] = [
    "acc",
    "accuracy",
    "auroc",
    "averaged",
    "confmat",
    "criterion",
    "epoch",
    "f1",
    "initted",
    "iteration",
    "loss",
    "losses",
    "lr",
    "metric",
    "metrics",
    "optim",
    "optimizer",
    "optimizers",
    "rng",
    "scaler",
    "scheduler",
    "step",
];

/// Words of names that averaged weights have.
const AVERAGED: [&str; 7] = ["ema", "swa", "avg", "averaged", "average", "polyak", "shadow"];

/// A network's tensors in a file.
pub(super) struct Found {
    /// What stands before the network's names, the last dot included.
    pub prefix: String,
    /// The file's name of each of the network's tensors, and of those that should not be there.
    pub tensors: BTreeMap<String, String>,
    /// The file's names that are left out, without counters of batches.
    pub left: Vec<String>,
    /// Names of the file that were read as others: (theirs, ours).
    pub renamed: Vec<(String, String)>,
    /// Where averaged weights are that were not taken.
    pub averaged: Option<String>,
    /// Whether the weights taken are averaged, as there are no others.
    pub only_averaged: bool,
}

/// Names read as if the network had been published here: new name -> name in the file.
struct Reading {
    names: BTreeMap<String, String>,
    rules: Vec<(String, String)>,
}

impl Reading {
    fn new(names: &BTreeSet<String>, rules: Vec<(String, String)>) -> Self {
        let mut read: BTreeMap<_, _> = names
            .iter()
            .filter(|n| rename(n, &rules) == **n)
            .map(|n| (n.clone(), n.clone()))
            .collect();
        for name in names {
            let new = rename(name, &rules);
            let free = read.get(&new).is_none_or(|file| file == name);
            read.insert(if free { new } else { name.clone() }, name.clone());
        }
        Reading { names: read, rules }
    }

    /// How many of `keys` are under each prefix.
    fn prefixes(&self, keys: &BTreeSet<String>) -> BTreeMap<String, usize> {
        let mut counts = BTreeMap::new();
        for name in self.names.keys() {
            let dots = name.match_indices('.').map(|(at, _)| at + 1);
            for at in std::iter::once(0).chain(dots).filter(|&at| keys.contains(&name[at..])) {
                *counts.entry(name[..at].to_owned()).or_default() += 1;
            }
        }
        counts
    }

    /// What is under `prefix`: rest of the name -> name in the file.
    fn under(&self, prefix: &str) -> BTreeMap<String, String> {
        let inside = |(name, file): (&String, &String)| {
            Some((name.strip_prefix(prefix)?.to_owned(), file.clone()))
        };
        self.names.iter().filter_map(inside).collect()
    }

    /// The rules that changed one of `names`, which the file has.
    fn used<'a>(&self, names: impl Iterator<Item = &'a String> + Clone) -> Vec<(String, String)> {
        let changes = |rule: &&(String, String)| {
            names.clone().any(|name| format!(".{name}.").contains(&format!(".{}.", rule.0)))
        };
        self.rules.iter().filter(changes).cloned().collect()
    }
}

fn rename(name: &str, rules: &[(String, String)]) -> String {
    let mut name = format!(".{name}.");
    for (theirs, ours) in rules {
        let ours = if ours.is_empty() { ".".into() } else { format!(".{ours}.") };
        name = name.replace(&format!(".{theirs}."), &ours);
    }
    name[1..name.len() - 1].to_owned()
}

/// The ways in which names are read, until one has the whole network: as they are; as others
/// published them; as those do who split a network into `backbone` and head.
fn readings(names: &BTreeSet<String>, arch: &Arch) -> [Reading; 3] {
    let last = shape::plain(arch).built.last();
    let head = last.map_or("", |name| name.trim_end_matches(".bias"));
    let own = |rules: &[(&str, &str)]| -> Vec<(String, String)> {
        rules.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect()
    };
    let published = own(&[&WRAPPERS.map(|w| (w, "")), arch.renames].concat());
    let split = own(&[("backbone", ""), ("head.fc", head), ("classifier", head)]);
    let both = [split, published.clone()].concat();
    [vec![], published, both].map(|rules| Reading::new(names, rules))
}

/// Whether a prefix has all names of the network.
pub(super) fn is_whole(names: &BTreeSet<String>, arch: &Arch) -> bool {
    let keys = &shape::plain(arch).keys;
    let all = |reading: &Reading| reading.prefixes(keys).values().any(|&n| n == keys.len());
    names.len() >= keys.len() && readings(names, arch).iter().any(all)
}

/// Finds the network. `equal` says whether two tensors of the file have the same values; `entry`
/// picks one of several sets of weights. Errors: no such entry, several that differ, a network
/// that is a part of another one. Where no prefix has all names, the best one is given: filling
/// the network then says what is missing.
pub(super) fn find(
    names: &BTreeSet<String>,
    arch: &Arch,
    entry: Option<&str>,
    equal: &mut dyn FnMut(&str, &str) -> Result<bool>,
) -> Result<Found> {
    let keys = &shape::plain(arch).keys;
    let readings = readings(names, arch);
    let counts = readings.each_ref().map(|reading| reading.prefixes(keys));
    let whole = counts.iter().position(|c| c.values().any(|&count| count == keys.len()));
    let most = |i: &usize| counts[*i].values().copied().max().unwrap_or(0);
    let i = whole.unwrap_or_else(|| (0..3).rev().max_by_key(most).expect("three readings"));
    let (reading, counts) = (&readings[i], &counts[i]);
    let wanted = if whole.is_some() { keys.len() } else { most(&i) };
    let fit =
        counts.iter().filter(|(_, count)| **count == wanted).map(|(prefix, _)| prefix.clone());
    let mut candidates: Vec<String> = fit.collect();
    candidates.sort_by_key(|prefix| (prefix.len(), prefix.clone()));
    match whole {
        Some(_) => {
            let choice = choose(reading, &candidates, keys, entry, equal)?;
            Ok(divide(reading, arch, choice, &candidates))
        }
        None => {
            // of another network: a few names that happen to be the same say nothing
            let few = 2 * wanted < keys.len();
            let best = if few { None } else { candidates.first().cloned() };
            let best = best.unwrap_or_else(|| common(names));
            Ok(divide(reading, arch, Choice::of(best), &[]))
        }
    }
}

/// What all names start with, up to a dot.
fn common(names: &BTreeSet<String>) -> String {
    let (Some(first), Some(last)) = (names.first(), names.last()) else { return String::new() };
    let same = first.bytes().zip(last.bytes()).take_while(|(a, b)| a == b).count();
    first.as_bytes()[..same]
        .iter()
        .rposition(|&b| b == b'.')
        .map_or(String::new(), |dot| first[..=dot].to_owned())
}

/// What of the file is the network's and what is left out; `sets` are all prefixes that have a
/// whole network.
fn divide(reading: &Reading, arch: &Arch, choice: Choice, sets: &[String]) -> Found {
    let Choice { prefix, averaged, only_averaged } = choice;
    let under = reading.under(&prefix);
    let there: BTreeSet<String> = under.keys().cloned().collect();
    let keys: BTreeSet<String> =
        shape::sketch(arch, &arch.shape, &there).tensors().into_keys().collect();
    let longer = |set: &&String| set.len() > prefix.len();
    let other = |name: &str| {
        let inside = sets.iter().filter(longer).filter_map(|set| set.strip_prefix(&prefix));
        inside.into_iter().any(|set| name.starts_with(set))
    };
    let is_left = |name: &str| {
        is_counter(name) || (!keys.contains(name) && (other(name) || beside(name, &keys, arch)))
    };
    let tensors: BTreeMap<_, _> = under.into_iter().filter(|(name, _)| !is_left(name)).collect();
    let taken: BTreeSet<&String> = tensors.values().collect();
    let left = reading.names.values().filter(|n| !taken.contains(n) && !is_counter(n));
    let left = left.cloned().collect::<BTreeSet<_>>().into_iter().collect();
    let renamed = reading.used(tensors.values());
    Found { prefix, tensors, left, renamed, averaged, only_averaged }
}

struct Choice {
    prefix: String,
    averaged: Option<String>,
    only_averaged: bool,
}

impl Choice {
    fn of(prefix: String) -> Self {
        Choice { prefix, averaged: None, only_averaged: false }
    }
}

/// One of the prefixes that have the whole network, shortest first: those that `entry` names, else
/// those that are not averaged. What remains must be the same weights.
fn choose(
    reading: &Reading,
    candidates: &[String],
    keys: &BTreeSet<String>,
    entry: Option<&str>,
    equal: &mut dyn FnMut(&str, &str) -> Result<bool>,
) -> Result<Choice> {
    let shown =
        || candidates.iter().map(|c| format!("`{}`", plain(c))).collect::<Vec<_>>().join(", ");
    let named =
        |c: &&String| entry.is_none_or(|entry| format!(".{c}").contains(&format!(".{entry}.")));
    let asked: Vec<&String> = candidates.iter().filter(named).collect();
    if let (Some(entry), []) = (entry, asked.as_slice()) {
        match candidates {
            [one] if one.is_empty() => {
                bail!("`--entry {entry}`: the file has one set of weights, without a name")
            }
            _ => bail!("`--entry {entry}`: the file has no such weights; it has {}", shown()),
        }
    }
    let (averaged, raw): (Vec<&String>, Vec<&String>) =
        asked.into_iter().partition(|c| averaged_part(c).is_some());
    let only_averaged = raw.is_empty() && entry.is_none();
    let from = if raw.is_empty() { &averaged } else { &raw };
    let file = |prefix: &str, key: &String| reading.names[&format!("{prefix}{key}")].clone();
    for other in &from[1..] {
        for key in keys {
            let same = equal(&file(from[0], key), &file(other, key))?;
            ensure!(
                same,
                "the file has several sets of weights: {}; choose by `--entry NAME`",
                shown()
            );
        }
    }
    let prefix = from[0].clone();
    let averaged = averaged.iter().find(|_| !raw.is_empty()).and_then(|c| averaged_part(c));
    Ok(Choice { prefix, averaged, only_averaged })
}

/// A prefix up to its word for averaged weights, if it has one.
fn averaged_part(prefix: &str) -> Option<String> {
    let parts: Vec<&str> = prefix.split('.').collect();
    let at = parts.iter().position(|part| words(part).any(|w| AVERAGED.contains(&w.as_str())))?;
    Some(parts[..=at].join("."))
}

fn words(part: &str) -> impl Iterator<Item = String> {
    let is_break = |c: char| !c.is_ascii_alphanumeric();
    part.split(is_break).map(str::to_ascii_lowercase)
}

/// A prefix as users type it.
pub(super) fn plain(prefix: &str) -> &str {
    prefix.trim_end_matches('.')
}

/// Whether `name`, under the network's prefix, is what a wrapper keeps beside a network: its first
/// word says so, and no tensor of the network starts with that word.
fn beside(name: &str, keys: &BTreeSet<String>, arch: &Arch) -> bool {
    let first = |name: &str| name.split(['.', '[']).next().unwrap_or_default().to_owned();
    let part = first(name);
    let says = words(&part).any(|w| BESIDE.contains(&w.as_str()) || AVERAGED.contains(&w.as_str()));
    (says || arch.unused.contains(&part.as_str())) && keys.iter().all(|key| first(key) != part)
}

/// Batch norms count their batches; nothing depends on it.
pub(super) fn is_counter(name: &str) -> bool {
    name.ends_with("num_batches_tracked")
}

/// An error where the network is one step of a sequence whose other steps have tensors too: what
/// the file computes is then not what the network alone does.
pub(super) fn check_alone(found: &Found) -> Result<()> {
    let mut above = String::new();
    for step in plain(&found.prefix).split('.') {
        let number = !step.is_empty() && step.bytes().all(|b| b.is_ascii_digit());
        let beside = |name: &&String| {
            let next = name.strip_prefix(above.as_str()).and_then(|n| n.split('.').next());
            next.is_some_and(|n| {
                n != step && !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit())
            })
        };
        if let Some(other) = found.left.iter().find(beside).filter(|_| number) {
            bail!(
                "`{other}` stands in one sequence with the network under `{above}{step}`: the \
                 network is only a part of it"
            );
        }
        above = format!("{above}{step}.");
    }
    Ok(())
}
