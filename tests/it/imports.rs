//! No two files of a crate import each other. A file that re-exports what another has does not import
//! it; who uses it through the re-export does. A module and those inside it are one: there, parent
//! and child may use what the other has.

use crate::tidy::{read, root};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

/// The names of modules from the crate's root on.
type Module = Vec<String>;

/// The modules of a crate by their files.
fn modules(dir: &Path, at: &Module, found: &mut BTreeMap<Module, String>) {
    for path in fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()) {
        let stem = path.file_stem().unwrap().to_string_lossy().into_owned();
        let below = [at.as_slice(), std::slice::from_ref(&stem)].concat();
        if path.is_dir() {
            modules(&path, &below, found);
        } else if path.extension().is_some_and(|end| end == "rs") {
            let own = ["lib", "main", "mod"].contains(&stem.as_str());
            found.entry(if own { at.clone() } else { below }).or_default().push_str(&code(&path));
        }
    }
}

/// A file without comments and without its tests.
fn code(path: &Path) -> String {
    let text = read(path);
    let text = text.split("#[cfg(test)]\nmod tests {").next().unwrap();
    text.lines().map(|line| line.split("//").next().unwrap().to_owned() + "\n").collect()
}

/// `a::{b, c::d}` as `a::b` and `a::c::d`.
fn paths(tree: &str) -> Vec<String> {
    let Some((before, inner)) = tree.split_once("::{") else { return vec![tree.into()] };
    let inner = inner.strip_suffix('}').unwrap_or(inner);
    let (mut depth, mut start, mut parts) = (0, 0, vec![]);
    for (i, c) in inner.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                parts.push(&inner[start..i]);
                start = i + 1;
            }
            _ => {}
        }
    }
    parts.push(&inner[start..]);
    let parts = parts.into_iter().filter(|part| !part.is_empty());
    parts.flat_map(paths).map(|path| format!("{before}::{path}")).collect()
}

/// The paths of all `use` items of a file, and whether they are re-exports.
fn uses(text: &str) -> Vec<(bool, String)> {
    let mut found = vec![];
    for item in text.split(';') {
        let line = item.rfind("use ").map(|at| (&item[..at], &item[at + 4..]));
        let Some((before, tree)) = line.filter(|(before, _)| {
            before.trim_end().is_empty()
                || before.trim_end().ends_with(['}', ']', ')'])
                || before.trim_end().ends_with("pub")
        }) else {
            continue;
        };
        let word = before.trim_end();
        let public =
            word.ends_with("pub") || word.ends_with("(crate)") || word.ends_with("(super)");
        let tree: String = tree.replace(" as ", "@").split_whitespace().collect();
        found.extend(paths(&tree).into_iter().map(|path| (public, path)));
    }
    found
}

/// The paths that stand in expressions and types: `crate::a::B`, `super::a`.
fn inline(text: &str) -> Vec<String> {
    let name = |c: char| c.is_alphanumeric() || c == '_' || c == ':';
    let words = text.split(|c: char| !name(c));
    let starts = |word: &&str| word.starts_with("crate::") || word.starts_with("super::");
    words.filter(starts).map(|word| word.trim_end_matches(':').to_owned()).collect()
}

/// A path from the crate's root; none if it is of another crate.
fn absolute(at: &Module, path: &str, known: &BTreeMap<Module, String>) -> Option<Module> {
    let mut segments = path.split("::").map(str::to_owned).peekable();
    let mut base = at.clone();
    match segments.peek().map(String::as_str) {
        Some("crate") => {
            base.clear();
            segments.next();
        }
        Some("self") => drop(segments.next()),
        Some("super") => {}
        // Beside `mod name;`, a path may begin with the name.
        Some(first) if known.contains_key(&[at.as_slice(), &[first.into()]].concat()) => {}
        _ => return None,
    }
    while segments.next_if(|segment| segment == "super").is_some() {
        base.pop();
    }
    base.extend(segments);
    Some(base)
}

/// The longest part of a path that is a module.
fn module_of(path: &Module, known: &BTreeMap<Module, String>) -> Module {
    (0..=path.len()).rev().map(|n| path[..n].to_vec()).find(|m| known.contains_key(m)).unwrap()
}

/// Which modules each one imports.
fn imports(known: &BTreeMap<Module, String>) -> BTreeMap<Module, BTreeSet<Module>> {
    let mut exported: BTreeMap<(Module, String), Module> = BTreeMap::new();
    for (at, text) in known {
        for (_, path) in uses(text).into_iter().filter(|(public, _)| *public) {
            let (path, name) = match path.split_once('@') {
                Some((path, name)) => (path.to_owned(), name.to_owned()),
                None => (path.clone(), path.rsplit("::").next().unwrap().to_owned()),
            };
            if let Some(path) = absolute(at, &path, known) {
                exported.insert((at.clone(), name), module_of(&path, known));
            }
        }
    }
    let mut found: BTreeMap<Module, BTreeSet<Module>> = BTreeMap::new();
    for (at, text) in known {
        let private = uses(text).into_iter().filter(|(public, _)| !public).map(|(_, path)| path);
        for path in private.chain(inline(text)) {
            let Some(path) = absolute(at, path.split('@').next().unwrap(), known) else { continue };
            let mut to = module_of(&path, known);
            if let Some(name) = path.get(to.len()) {
                while let Some(next) = exported.get(&(to.clone(), name.clone())) {
                    if *next == to {
                        break;
                    }
                    to = next.clone();
                }
            }
            if to != *at {
                found.entry(at.clone()).or_default().insert(to);
            }
        }
    }
    found
}

#[test]
fn no_two_files_import_each_other() {
    let crates = fs::read_dir(root().join("crates")).unwrap().map(|e| e.unwrap().path());
    let (mut all, mut both) = (0, vec![]);
    for base in crates.chain([root()]).map(|dir| dir.join("src")).filter(|dir| dir.is_dir()) {
        let mut known = BTreeMap::new();
        modules(&base, &vec![], &mut known);
        let imports = imports(&known);
        let pairs = imports.iter().flat_map(|(from, all)| all.iter().map(move |to| (from, to)));
        for (from, to) in pairs {
            all += 1;
            let one = to.starts_with(from) || from.starts_with(to);
            if !one && from < to && imports.get(to).is_some_and(|all| all.contains(from)) {
                let [from, to] = [from, to].map(|module| module.join("/"));
                both.push(format!("{}: `{from}` and `{to}`", base.display()));
            }
        }
    }
    assert!(both.is_empty(), "these import each other:\n{}", both.join("\n"));
    assert!(all > 400, "only {all} imports were found: does this test still see them?");
}

#[test]
fn imports_are_seen() {
    let file = |name: &str, text: &str| (name.split('/').map(str::to_owned).collect(), text.into());
    let known = BTreeMap::from([
        (vec![], "mod a;\nmod b;\npub use a::A;\n".to_owned()),
        file("a", "use crate::b::{self, c::D};\npub struct A;\n"),
        file("b", "mod c;\nfn f(_: super::A) {}\n"),
        file("b/c", "pub struct D;\n"),
    ]);
    let seen = imports(&known);
    let to = |name: &str| name.split('/').map(str::to_owned).collect::<Module>();
    assert_eq!(seen[&to("a")], BTreeSet::from([to("b"), to("b/c")]));
    assert_eq!(seen[&to("b")], BTreeSet::from([to("a")]), "through the re-export");
    assert!(!seen.contains_key(&to("")), "a re-export is no import");
}
