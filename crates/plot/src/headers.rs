//! Headers of columns that tell them apart: what several methods have in common is left out where
//! there is no room for it.

use crate::text::Face;
use std::collections::BTreeMap;

/// Lines a header may take.
pub(crate) const LINES: usize = 3;

/// Each of `names` in at most three lines of `width`. No two are equal: where one has to be cut, the
/// options that methods of one name share go first; what is still equal is numbered.
pub(crate) fn headers(names: &[String], face: Face, width: f32) -> Vec<Vec<String>> {
    let broken = |name: &str| face.broken(name, width, LINES);
    let cut = |lines: &[String]| lines.iter().any(|line| line.ends_with('…'));
    let whole: Vec<Vec<String>> = names.iter().map(|name| broken(name)).collect();
    let long = whole.iter().any(|lines| cut(lines));
    let short = apart(names);
    let mut found: Vec<Vec<String>> = match long {
        true => short.iter().map(|name| broken(name)).collect(),
        false => whole,
    };
    let mut seen: BTreeMap<Vec<String>, usize> = BTreeMap::new();
    for lines in &mut found {
        let count = seen.entry(lines.clone()).or_default();
        *count += 1;
        if *count > 1 {
            let first = lines.first().cloned().unwrap_or_default();
            let numbered = face.fit(&format!("({count}) {first}"), width);
            match lines.first_mut() {
                Some(line) => *line = numbered,
                None => lines.push(numbered),
            }
        }
    }
    found
}

/// The words of methods, `NAME:key=value,key=value`, without those that all methods of one name have.
fn apart(names: &[String]) -> Vec<String> {
    let words = |name: &str| -> Vec<String> {
        let words: Vec<String> = name.split_inclusive([':', ',']).map(str::to_owned).collect();
        if words.is_empty() { vec![String::new()] } else { words }
    };
    let all: Vec<Vec<String>> = names.iter().map(|name| words(name)).collect();
    let bare = |word: &str| word.trim_end_matches([':', ',']).to_owned();
    let short = |own: &Vec<String>| {
        let others: Vec<&Vec<String>> =
            all.iter().filter(|other| bare(&other[0]) == bare(&own[0])).collect();
        if others.len() < 2 {
            return own.concat();
        }
        let common = |word: &str| {
            others.iter().all(|other| other[1..].iter().any(|w| bare(w) == bare(word)))
        };
        let kept: Vec<&str> =
            own[1..].iter().map(String::as_str).filter(|word| !common(word)).collect();
        let rest = kept.concat();
        match rest.trim_end_matches([':', ',']) {
            "" => bare(&own[0]),
            rest => format!("{}:{rest}", bare(&own[0])),
        }
    };
    all.iter().map(short).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::bold;
    use std::collections::BTreeSet;

    fn of(names: &[&str], width: f32) -> Vec<String> {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        headers(&names, bold(12.0), width).iter().map(|lines| lines.concat()).collect()
    }

    #[test]
    fn no_two_headers_of_a_figure_are_equal() {
        let long =
            "smooth:inner=\"ig:points=10,rule=trapezoid\",density=gaussian,size=8/255,samples=";
        let several: Vec<String> = [10, 20, 30].iter().map(|n| format!("{long}{n}")).collect();
        let mut names: Vec<&str> = several.iter().map(String::as_str).collect();
        names.extend(["image", "ig:points=10", "ig:points=100", "gxi", "gxi", "lime", ""]);
        for width in [50.0, 80.0, 128.0, 400.0] {
            let found = of(&names, width);
            let different: BTreeSet<&String> = found.iter().collect();
            assert_eq!(different.len(), names.len(), "{width}: {found:?}");
        }
    }

    #[test]
    fn what_methods_share_goes_first() {
        let names = [
            "smooth:inner=\"ig:points=10\",density=gaussian,samples=16,size=8/255",
            "smooth:inner=\"ig:points=10\",density=gaussian,samples=32,size=8/255",
        ];
        assert_eq!(of(&names, 128.0), ["smooth:samples=16", "smooth:samples=32"]);
        assert_eq!(of(&["ig:points=4", "ig:points=8"], 128.0), ["ig:points=4", "ig:points=8"]);
    }
}
