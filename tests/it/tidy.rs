//! What a reviewer would otherwise have to remember: the rules of ARCHITECTURE.md that can be
//! checked.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

const LONGEST_FILE: usize = 400;
const LONGEST_FUNCTION: usize = 60;
/// Files of a folder, at most.
const MOST_FILES: usize = 14;
/// Lines of the file in the middle, at most.
const TYPICAL_FILE: usize = 105;
/// Share of the lines that the command line may have, in percent.
const ROOT_PERCENT: usize = 30;

pub fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Files below `dir` whose names end with `end`, folders of build outputs left out.
fn files(dir: &Path, end: &str) -> Vec<PathBuf> {
    let mut found = vec![];
    for path in fs::read_dir(dir).unwrap().map(|e| e.unwrap().path()) {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_dir() {
            // What runs leave lies at the top; crates and folders of these names are ours.
            let left = ["results", "runs"].contains(&&*name) && dir == root();
            let hidden = name.starts_with('.') || name == "target" || left;
            if !hidden {
                found.extend(files(&path, end));
            }
        } else if name.ends_with(end) {
            found.push(path);
        }
    }
    found.sort();
    found
}

pub fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap()
}

fn rust_files() -> Vec<(PathBuf, String)> {
    files(&root(), ".rs").into_iter().map(|p| (p.clone(), read(&p))).collect()
}

/// Everything that is written by hand and run, tests and references in Python too.
fn code() -> Vec<PathBuf> {
    let found = [".rs", ".py"].map(|end| files(&root(), end)).concat();
    for known in ["src/lib.rs", "tests/it/tidy.rs", "crates/explain/src/lib.rs"] {
        assert!(found.contains(&root().join(known)), "{known} is not looked at");
    }
    found
}

#[test]
fn no_file_is_longer_than_400_lines() {
    for path in code() {
        let lines = read(&path).lines().count();
        assert!(lines <= LONGEST_FILE, "{}: {lines} lines; split it by purpose", path.display());
    }
}

/// Rust files below `folder`, tests left out, and how many lines each has.
fn sources(folder: &str) -> Vec<(PathBuf, usize)> {
    let of = |(path, text): (PathBuf, String)| {
        let place = path.strip_prefix(root()).unwrap().to_string_lossy().into_owned();
        let source = place.starts_with("src/") || place.contains("/src/");
        (source && place.starts_with(folder)).then(|| (path.clone(), text.lines().count()))
    };
    rust_files().into_iter().filter_map(of).collect()
}

#[test]
fn a_folder_fits_in_the_head() {
    let mut folders: BTreeMap<PathBuf, usize> = BTreeMap::new();
    for path in code() {
        *folders.entry(path.parent().unwrap().to_owned()).or_default() += 1;
    }
    for (folder, files) in folders {
        let most = MOST_FILES;
        assert!(files <= most, "{}: {files} files; make rooms in it", folder.display());
    }
}

#[test]
fn a_typical_file_is_short() {
    let mut lines: Vec<usize> = sources("").into_iter().map(|(_, lines)| lines).collect();
    lines.sort_unstable();
    let median = lines[lines.len() / 2];
    assert!(median <= TYPICAL_FILE, "half of the files have more than {median} lines");
}

#[test]
fn the_crates_do_the_work() {
    let lines = |folder| sources(folder).iter().map(|(_, lines)| lines).sum::<usize>();
    let (root, all) = (lines("src/"), lines(""));
    let most = all * ROOT_PERCENT / 100;
    assert!(root <= most, "src/ has {root} of {all} lines; what others could use is for a crate");
}

#[test]
fn every_file_says_what_it_holds() {
    for (path, text) in rust_files() {
        assert!(text.starts_with("//! "), "{}: open it with `//! …`", path.display());
    }
}

#[test]
fn functions_fit_on_a_screen() {
    for (path, text) in rust_files() {
        let mut open: Option<(usize, usize, &str)> = None; // line, indent, header
        for (i, line) in text.lines().enumerate() {
            let indent = line.len() - line.trim_start().len();
            let head = line.trim_start();
            let starts = ["fn ", "pub fn ", "pub(crate) fn ", "pub(super) fn ", "const fn "];
            if open.is_none() && starts.iter().any(|s| head.starts_with(s)) {
                open = Some((i, indent, head));
            }
            let Some((from, depth, header)) = open else { continue };
            if indent == depth && (head == "}" || (i == from && head.ends_with('}'))) {
                let length = i - from + 1;
                let place = format!("{}:{}", path.display(), from + 1);
                assert!(length <= LONGEST_FUNCTION, "{place}: {length} lines: `{header}`");
                open = None;
            } else if head.ends_with(';') && indent == depth {
                open = None;
            }
        }
    }
}

#[test]
fn crates_print_nothing_and_unwrap_nothing() {
    for (path, text) in rust_files() {
        let place = path.strip_prefix(root()).unwrap().to_string_lossy().into_owned();
        if !place.starts_with("crates/") || !place.contains("/src/") {
            continue;
        }
        let code = text.split("#[cfg(test)]").next().unwrap();
        for (i, line) in code.lines().enumerate() {
            let line = line.split("//").next().unwrap();
            for word in ["println!", "eprintln!", "eprint!", "dbg!", ".unwrap()"] {
                assert!(!line.contains(word), "{place}:{}: `{word}`", i + 1);
            }
        }
    }
}

#[test]
fn factorisations_that_may_fail_are_called_in_one_file() {
    let words =
        ["linalg_", "cholesky(", "cholesky_solve(", "lstsq(", "inverse(", "pinverse(", ".svd("];
    for (path, text) in rust_files() {
        let place = path.strip_prefix(root()).unwrap().to_string_lossy().into_owned();
        if place.contains("tests/") || place == "crates/models/src/numeric/linalg.rs" {
            continue;
        }
        for (i, line) in text.lines().enumerate() {
            let line = line.split("//").next().unwrap();
            let found = words.iter().find(|word| line.contains(*word));
            assert!(found.is_none(), "{place}:{}: `{found:?}` is for models::linalg", i + 1);
        }
    }
}

/// What each crate may depend on, of ours.
const ARROWS: &[(&str, &[&str])] = &[
    ("attack", &["explain", "models", "registry"]),
    ("data", &["registry", "tensorfile"]),
    ("experiment", &["plot", "registry", "results", "tensorfile"]),
    ("explain", &["models", "registry", "results", "tensorfile"]),
    ("models", &["registry", "tensorfile"]),
    ("registry", &[]),
    ("plot", &["tensorfile"]),
    ("results", &["registry"]),
    ("tensorfile", &[]),
    ("testkit", &["models", "registry", "tensorfile"]),
    ("train", &["data", "models", "registry", "tensorfile"]),
];

#[test]
fn methods_and_metrics_cut_no_passes() {
    let places = ["crates/explain/src/method", "crates/explain/src/metric"].map(|p| root().join(p));
    let mut seen = 0;
    for (path, text) in rust_files() {
        if !places.iter().any(|place| path.starts_with(place)) {
            continue;
        }
        seen += 1;
        for cut in ["step_by(", ".chunk", "chunks(", ".split(", "catch_unwind"] {
            assert!(!text.contains(cut), "{}: `{cut}`; use `engine::chunks`", path.display());
        }
    }
    assert!(seen > 20, "{seen} files");
}

#[test]
fn crates_depend_only_along_the_arrows() {
    let ours: BTreeSet<&str> = ARROWS.iter().map(|(name, _)| *name).collect();
    let found = fs::read_dir(root().join("crates")).unwrap();
    let found: BTreeSet<String> =
        found.map(|e| e.unwrap().file_name().to_string_lossy().into_owned()).collect();
    assert_eq!(found, ours.iter().map(|s| (*s).to_owned()).collect());
    for (name, allowed) in ARROWS {
        let manifest: toml::Table =
            toml::from_str(&read(&root().join(format!("crates/{name}/Cargo.toml")))).unwrap();
        let depends = manifest["dependencies"].as_table().unwrap();
        for other in depends.keys().filter(|d| ours.contains(d.as_str())) {
            assert!(allowed.contains(&other.as_str()), "{name} depends on {other}");
        }
    }
}

/// What `read` gives can be trained: everything it names exists.
fn assert_trainable(path: &Path, scale: Option<&str>) {
    let place = format!("{} {scale:?}", path.display());
    let config = train::Config::read(path, scale, &[]).unwrap_or_else(|e| panic!("{place}: {e:#}"));
    let objective = train::objective::objective(&config.objective);
    let objective = objective.unwrap_or_else(|e| panic!("{place}: {e:#}"));
    if let Some(table) = objective.attack() {
        attack::Pgd::parse(table.clone()).unwrap_or_else(|e| panic!("{place}: {e:#}"));
    }
    train::optimizer::optimizer(&config.optimizer).unwrap_or_else(|e| panic!("{place}: {e:#}"));
    train::schedule::schedule(&config.schedule).unwrap_or_else(|e| panic!("{place}: {e:#}"));
    assert!(config.model.arch.is_none_or(|arch| models::zoo::arch(&arch).is_ok()), "{place}");
    let start = config.model.weights;
    let start = start.is_none_or(|path| path == "mine.onnx" || root().join(path).exists());
    assert!(start, "{place}: `model.weights` is not there");
}

#[test]
fn every_training_config_and_scale_parses_and_has_a_recipe() {
    let recipes = read(&root().join("justfile"));
    let folder = root().join("experiments/train");
    let configs = files(&folder, ".toml").into_iter().filter(|p| p.parent() == Some(&folder));
    let mut count = 0;
    for path in configs {
        assert_trainable(&path, None);
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        let begins = match name.starts_with("harden-") {
            true => "harden weights *args:".into(),
            false => format!("{name} *args:"),
        };
        let recipe = recipes.lines().any(|l| l.starts_with(&begins));
        assert!(recipe, "`{name}` has no recipe in the justfile");
        count += 1;
        if name.starts_with("quickstart-") || name.starts_with("harden-") {
            continue;
        }
        assert_trainable(&path, Some("smoke"));
        if name.starts_with("mnist-") {
            assert_trainable(&path, Some("cpu"));
        }
        if name.starts_with("resnet20-") && name != "resnet20-natural" {
            assert_trainable(&path, Some("cpu"));
        }
    }
    for arch in ["googlenet", "resnet18", "resnet20", "resnet50", "swin-t", "vgg16"] {
        for training in ["natural", "pgd-l2", "pgd-linf", "ssr"] {
            assert!(folder.join(format!("{arch}-{training}.toml")).exists(), "{arch} {training}");
        }
    }
    assert_eq!(count, 6 * 4 + 3 + 2 + 1 + 3 + 1);
}

#[test]
fn every_shipped_weights_file_has_a_card_and_loads() {
    for path in files(&root().join("weights"), ".safetensors") {
        let card = path.with_extension("md");
        assert!(card.exists(), "{}: no card {}", path.display(), card.display());
        let size = fs::metadata(&path).unwrap().len();
        assert!(size <= 6 << 20, "{}: {size} bytes are too many for git", path.display());
        models::checkpoint::load(&path, &models::checkpoint::Hints::default()).unwrap();
    }
}

#[test]
fn documents_name_files_that_exist() {
    let mut documents = files(&root().join("docs"), ".md");
    documents
        .extend(["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md"].map(|name| root().join(name)));
    for path in documents {
        let folder = path.parent().unwrap();
        for link in read(&path).split("](").skip(1).filter_map(|t| t.split(')').next()) {
            let file = link.split('#').next().unwrap();
            if file.is_empty() || file.contains("://") {
                continue;
            }
            assert!(folder.join(file).exists(), "{}: `{file}` is not there", path.display());
        }
    }
}

#[test]
fn every_page_of_results_is_in_their_index() {
    let folder = root().join("docs/results");
    let index = read(&folder.join("README.md"));
    for page in files(&folder, ".md").into_iter().filter(|page| !page.ends_with("README.md")) {
        let name = page.file_name().unwrap().to_string_lossy();
        assert!(index.contains(&format!("({name})")), "`{name}` is not in docs/results/README.md");
    }
}

#[test]
fn the_changelog_knows_this_version() {
    let log = read(&root().join("CHANGELOG.md"));
    let version = env!("CARGO_PKG_VERSION");
    assert!(log.contains(&format!("## {version}")), "CHANGELOG.md has no section {version}");
}
