//! Names of classes and columns, which people write in more than one way.

use std::collections::BTreeMap;

/// What a name says of a list of names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found {
    /// It stands there as it is written.
    Exact(usize),
    /// One name alone differs from it by nothing but case, spaces, `-` and `_`, or is the same
    /// number.
    Alike(usize),
    /// More than one name is meant.
    Several(usize, usize),
    /// It is none of them.
    No,
}

impl Found {
    /// The place, where it is one.
    pub fn place(self) -> Option<usize> {
        match self {
            Found::Exact(place) | Found::Alike(place) => Some(place),
            _ => None,
        }
    }
}

/// Looks `name` up in `all`.
pub fn find(all: &[String], name: &str) -> Found {
    let exact = two(all, |other| other == name);
    let plain_name = plain(name);
    let alike = || two(all, |other| plain(other) == plain_name || same_number(other, name));
    match (exact, alike) {
        ([Some(place), None], _) => Found::Exact(place),
        ([Some(a), Some(b)], _) => Found::Several(a, b),
        (_, alike) => match alike() {
            [Some(place), None] => Found::Alike(place),
            [Some(a), Some(b)] => Found::Several(a, b),
            _ => Found::No,
        },
    }
}

/// The first two places of what fits.
fn two(all: &[String], fits: impl Fn(&String) -> bool) -> [Option<usize>; 2] {
    let mut places = all.iter().enumerate().filter(|(_, name)| fits(name)).map(|(i, _)| i);
    [places.next(), places.next()]
}

/// What is said of classes whose names differ by nothing but case, spaces, `-` and `_`: a slip of the
/// pen makes two classes of one.
pub(crate) fn twins(classes: &[String]) -> Option<String> {
    let (mut known, mut pairs) = (BTreeMap::new(), vec![]);
    for class in classes {
        let first: &String = known.entry(plain(class)).or_insert(class);
        pairs.extend((first != class).then(|| format!("`{first}` and `{class}`")));
    }
    (!pairs.is_empty()).then(|| {
        format!(
            "names that differ in case, spaces or dashes alone are two classes: {}",
            few(&pairs)
        )
    })
}

fn plain(name: &str) -> String {
    let kept = name.chars().filter(|c| !c.is_whitespace() && !matches!(c, '-' | '_'));
    kept.flat_map(char::to_lowercase).collect()
}

fn same_number(a: &str, b: &str) -> bool {
    let number = |text: &str| text.parse::<f64>().ok().filter(|value| value.is_finite());
    number(a).is_some_and(|value| number(b) == Some(value))
}

/// The name of `all` that `name` may have been meant for: one that holds it or is held by it, or is
/// a slip or two away.
pub fn nearest<'a>(all: &'a [String], name: &str) -> Option<&'a str> {
    const LETTERS: usize = 4;
    const CLOSE: f64 = 0.7;
    let name = plain(name);
    let closeness = |other: &String| {
        let other = plain(other);
        let (short, long) =
            if other.len() < name.len() { (&other, &name) } else { (&name, &other) };
        let holds = short.chars().count() >= LETTERS && long.contains(short.as_str());
        if holds { 1. } else { strsim::normalized_damerau_levenshtein(&other, &name) }
    };
    let best = all.iter().map(|other| (closeness(other), other));
    let best = best.max_by(|a, b| a.0.total_cmp(&b.0)).filter(|(close, _)| *close >= CLOSE);
    best.map(|(_, other)| other.as_str())
}

/// The first names between commas, and how many more there are.
pub fn few<'a>(names: impl IntoIterator<Item = &'a String>) -> String {
    const SHOWN: usize = 8;
    let names: Vec<&str> = names.into_iter().map(String::as_str).collect();
    let shown = names[..names.len().min(SHOWN)].join(", ");
    match names.len().saturating_sub(SHOWN) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}
