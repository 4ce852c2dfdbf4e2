//! Why a file does not fit, in words: what else it fits, and what its names say.

use super::{Hints, find::Found, fitting, shape};
use crate::zoo::{self, Arch};
use std::collections::BTreeMap;
use tensorfile::Weights;

/// Names in a message, at most.
const SHOWN: usize = 8;

/// The message for a file that does not say its architecture.
pub(super) fn without_arch(file: &mut Weights, hints: &Hints) -> String {
    let fitting = fitting::fitting(file, hints.entry.as_deref());
    match fitting.is_empty() {
        false => format!("the file does not say its architecture; {}", proposal(&fitting)),
        true => {
            let known = zoo::ARCHS.iter().map(|a| a.name).collect::<Vec<_>>().join(", ");
            format!("the file does not say its architecture; add `--arch NAME` ({known})")
        }
    }
}

/// What to add for a file that fits these architectures.
pub(super) fn proposal(fitting: &[&str]) -> String {
    let names = fitting.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
    let first = fitting.first().copied().unwrap_or("NAME");
    format!("its tensors fit {names}: add `--arch {first}`")
}

/// The likely reason why a network was not filled, after a semicolon; nothing where none is known.
pub(super) fn of_misfit(
    file: &mut Weights,
    found: &Found,
    arch: &Arch,
    entry: Option<&str>,
) -> String {
    let others: Vec<&str> =
        fitting::fitting(file, entry).into_iter().filter(|name| *name != arch.name).collect();
    let names: Vec<&str> = file.names().collect();
    let has = |end: &str| names.iter().any(|name| name.ends_with(end));
    let has_running = |names: &[&str]| names.iter().any(|n| n.ends_with("running_var"));
    let wanted: Vec<&str> = shape::plain(arch).built.iter().map(String::as_str).collect();
    let shared = found.tensors.keys().filter(|name| wanted.contains(&name.as_str())).count();
    let prefix = super::find::plain(&found.prefix);
    let more = found.tensors.len() > shared;
    match () {
        () if shared == wanted.len() && !more => String::new(),
        () if !others.is_empty() => format!("; {}", proposal(&others)),
        () if has("._packed_params._dtype") || has(".zero_point") => {
            "; the network is quantised: save its float weights instead".to_owned()
        }
        () if shared == 0 => {
            format!("; none of its names is the network's: {}", groups(&own(&names), ""))
        }
        () if has_running(&wanted) && !has_running(&names) => {
            "; it has no running statistics: save the `state_dict`, not the parameters".to_owned()
        }
        () if shared == wanted.len() => "; a deeper network of the same family?".to_owned(),
        () if !prefix.is_empty() => format!("; most of its names are under `{prefix}`"),
        () => String::new(),
    }
}

fn own(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

/// Names in groups by the first part in which they differ from `prefix`; a group with its count.
pub(super) fn groups(names: &[String], prefix: &str) -> String {
    let mut groups: BTreeMap<String, Vec<&String>> = BTreeMap::new();
    for name in names {
        let same = prefix.split_inclusive('.').scan(0, |at, part| {
            *at += part.len();
            Some(*at)
        });
        let common = same.take_while(|&at| name.starts_with(&prefix[..at])).last().unwrap_or(0);
        let rest = &name[common..];
        let end = rest.find(['.', '[']).filter(|at| *at > 0).unwrap_or(rest.len());
        groups.entry(name[..common + end].to_owned()).or_default().push(name);
    }
    let form = |(group, names): (&String, &Vec<&String>)| match names.as_slice() {
        [one] => format!("`{one}`"),
        more => format!("`{group}` ({} tensors)", more.len()),
    };
    let some = groups.iter().take(SHOWN).map(form).collect::<Vec<_>>().join(", ");
    match groups.len().saturating_sub(SHOWN) {
        0 => some,
        more => format!("{some} and {more} more"),
    }
}
