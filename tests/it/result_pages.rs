//! The pages of docs/results: every claim of their experiments with its verdict, and the index that
//! counts them. A verdict is that of `docs/results/verdicts/NAME.json`, the `summary.json` of the run
//! that the page is of; without it nothing is decided.

use crate::docs::root;
use serde::Deserialize;
use std::{collections::BTreeMap, fmt::Write, fs, path::Path};
use testkit::snapshot::assert_file;

/// What a summary says of a claim.
#[derive(Deserialize)]
struct Claimed {
    claim: String,
    verdict: String,
    told: String,
    interval: Option<[f64; 2]>,
}

#[derive(Deserialize)]
struct Summary {
    experiment: String,
    scale: String,
    verdicts: Vec<Claimed>,
}

/// An experiment: its claims in the order of the file, and what it makes again.
struct Asked {
    name: String,
    reproduces: Vec<String>,
    claims: Vec<String>,
}

fn asked() -> Vec<Asked> {
    let mut all = vec![];
    for entry in fs::read_dir(root().join("experiments")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|e| e != "toml") {
            continue;
        }
        let file: toml::Table = fs::read_to_string(&path).unwrap().parse().unwrap();
        let list =
            |of: Option<&toml::Value>| of.and_then(|v| v.as_array().cloned()).unwrap_or_default();
        let text = |of: &toml::Value| of["text"].as_str().unwrap().to_owned();
        let claims: Vec<String> = list(file.get("claim")).iter().map(text).collect();
        let reproduces = list(file.get("reproduces"));
        let reproduces = reproduces.iter().map(|of| of.as_str().unwrap().to_owned()).collect();
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        if !claims.is_empty() {
            all.push(Asked { name, reproduces, claims });
        }
    }
    all.sort_by(|a, b| a.name.cmp(&b.name));
    all
}

/// The verdicts of an experiment by claim; none where its run left none.
fn found(name: &str) -> Option<BTreeMap<String, Claimed>> {
    let path = root().join(format!("docs/results/verdicts/{name}.json"));
    let summary: Summary = serde_json::from_slice(&fs::read(path).ok()?).unwrap();
    assert_eq!((summary.experiment.as_str(), summary.scale.as_str()), (name, "cpu"));
    Some(summary.verdicts.into_iter().map(|of| (of.claim.clone(), of)).collect())
}

/// The word of a verdict and what follows it, for a claim of an experiment that has a page.
fn verdict(found: Option<&BTreeMap<String, Claimed>>, claim: &str) -> (String, String) {
    match found.map(|found| found.get(claim)) {
        None => ("not decided".into(), " (no per-image values)".into()),
        Some(None) => ("not decided".into(), " (asked after the run)".into()),
        Some(Some(of)) => {
            let rest = of.told.strip_prefix(&of.verdict).unwrap_or_default();
            (of.verdict.clone(), rest.to_owned())
        }
    }
}

/// `text` in lines of at most 100 characters, all but the first indented.
fn wrapped(text: &str) -> String {
    let (mut all, mut line) = (String::new(), String::new());
    for word in text.split(' ') {
        if !line.trim().is_empty() && line.chars().count() + 1 + word.chars().count() > 100 {
            let _ = writeln!(all, "{line}");
            line = format!("  {word}");
        } else {
            line += if line.is_empty() { "" } else { " " };
            line += word;
        }
    }
    all + &line + "\n"
}

fn block(of: &Asked) -> String {
    let found = found(&of.name);
    let line = |claim: &String| {
        let (word, rest) = verdict(found.as_ref(), claim);
        wrapped(&format!("- {claim} **{word}**{rest}"))
    };
    of.claims.iter().map(line).collect()
}

/// The names that stand in `<!-- claims: NAME -->` of a text.
fn named(text: &str) -> Vec<&str> {
    let parts = text.split("<!-- claims: ").skip(1);
    parts.map(|part| part.split_once(" -->").unwrap().0).collect()
}

/// The pages, with the experiments that each is of.
fn pages() -> Vec<(String, Vec<String>)> {
    let mut all = vec![];
    for entry in fs::read_dir(root().join("docs/results")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|e| e == "md") && !path.ends_with("README.md") {
            let text = fs::read_to_string(&path).unwrap();
            let file = path.file_name().unwrap().to_string_lossy().into_owned();
            all.push((file, named(&text).into_iter().map(str::to_owned).collect()));
        }
    }
    all.sort();
    all
}

/// One line an experiment: how many of its claims hold, fail, are not decided, were not run.
fn counted() -> String {
    let pages = pages();
    let mut text = "| experiment | of the papers | hold | fail | not decided | not run | page |\n\
                    |---|---|---|---|---|---|---|\n"
        .to_owned();
    let mut sums = [0; 4];
    for of in asked() {
        let page = pages.iter().find(|(_, names)| names.contains(&of.name));
        let found = found(&of.name);
        let words: Vec<String> = match page {
            Some(_) => of.claims.iter().map(|claim| verdict(found.as_ref(), claim).0).collect(),
            None => of.claims.iter().map(|_| "not run".to_owned()).collect(),
        };
        let counts = ["holds", "fails", "not decided", "not run"]
            .map(|word| words.iter().filter(|own| *own == word).count());
        sums.iter_mut().zip(counts).for_each(|(sum, count)| *sum += count);
        let page = page.map_or("–".into(), |(file, _)| format!("[page]({file})"));
        let [a, b, c, d] = counts;
        let from = of.reproduces.join("; ");
        let _ = writeln!(text, "| {} | {from} | {a} | {b} | {c} | {d} | {page} |", of.name);
    }
    let [a, b, c, d] = sums;
    text + &format!("| **all** | | **{a}** | **{b}** | **{c}** | **{d}** | |\n")
}

/// `text` with what stands between each marker that begins with `open` and `<!-- end -->` made anew.
fn regenerated(text: &str, open: &str, make: &dyn Fn(&str) -> String) -> String {
    let mut parts = text.split(open);
    let mut whole = parts.next().unwrap().to_owned();
    for part in parts {
        let (name, rest) = part.split_once("-->").unwrap();
        let (_, after) = rest.split_once("<!-- end -->").expect("`<!-- end -->` below each");
        whole += &format!("{open}{name}-->\n\n{}\n<!-- end -->{after}", make(name.trim()));
    }
    whole
}

#[test]
fn claims_on_pages_have_the_verdicts_of_their_runs() {
    let all = asked();
    let make = |name: &str| {
        let of = all.iter().find(|of| of.name == name);
        block(of.unwrap_or_else(|| panic!("no experiment `{name}` has claims")))
    };
    for (file, names) in pages() {
        let path = root().join("docs/results").join(&file);
        if !names.is_empty() {
            let text = fs::read_to_string(&path).unwrap();
            assert_file(&path, &regenerated(&text, "<!-- claims: ", &make));
        }
    }
}

#[test]
fn the_index_counts_what_pages_say() {
    let path = root().join("docs/results/README.md");
    let text = fs::read_to_string(&path).unwrap();
    assert!(text.contains("<!-- counted -->"), "the index counts no claims");
    assert_file(&path, &regenerated(&text, "<!-- counted ", &|_| counted()));
}

#[test]
fn what_holds_on_a_page_has_no_zero_in_its_interval() {
    let verdicts = root().join("docs/results/verdicts");
    for entry in fs::read_dir(verdicts).unwrap() {
        let path = entry.unwrap().path();
        let summary: Summary = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        for of in summary.verdicts {
            let told = || format!("{}: {}", path.display(), of.claim);
            // The interval of a number beside a limit is that of the number.
            let apart =
                ["difference [", "difference ", "ratio "].iter().any(|w| of.told.contains(w));
            if let ("holds", Some([low, _]), true) = (of.verdict.as_str(), of.interval, apart) {
                let nothing = if of.told.contains("ratio ") { 1. } else { 0. };
                assert!(low > nothing, "{}", told());
            }
        }
        assert!(Path::new(&format!("experiments/{}.toml", summary.experiment)).exists());
    }
}
