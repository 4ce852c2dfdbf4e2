//! Documents and `--help` are held equal to what the program says. `just bless` writes them anew.

use std::{
    collections::BTreeSet,
    fs,
    path::PathBuf,
    process::{Command, Stdio},
};
use testkit::snapshot::assert_file;

/// Columns of prose and of `--help`.
const WIDTH: usize = 100;

pub(super) fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Standard output of the program.
pub(super) fn gradproof(args: &[&str]) -> String {
    let mut program = Command::new(env!("CARGO_BIN_EXE_gradproof"));
    program.args(args).env("COLUMNS", WIDTH.to_string()).stdin(Stdio::null());
    let output = program.output().unwrap();
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// Markdown files of `folder` (relative to the root), sorted.
fn documents(folder: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(root().join(folder)).unwrap();
    let mut found: Vec<_> = entries.map(|e| e.unwrap().path()).collect();
    found.retain(|path| path.extension().is_some_and(|e| e == "md"));
    found.sort();
    found
}

// --help

/// Words below `Commands:` in a help text.
fn commands(help: &str) -> Vec<&str> {
    let below = help.lines().skip_while(|line| *line != "Commands:").skip(1);
    let names = below.take_while(|line| !line.is_empty());
    // A description may go on in the next line, which begins further in.
    let names = names.filter(|line| line.starts_with("  ") && !line.starts_with("   "));
    names.filter_map(|line| line.split_whitespace().next()).filter(|name| *name != "help").collect()
}

/// Help texts of a command and of those below it, by file name.
fn helps(command: &[&str], found: &mut Vec<(String, String)>) {
    let help = gradproof(&[command, &["--help"]].concat());
    for name in commands(&help) {
        helps(&[command, &[name]].concat(), found);
    }
    let name = if command.is_empty() { "gradproof".into() } else { command.join("-") };
    found.push((format!("{name}.txt"), help));
}

#[test]
fn help_texts_are_the_snapshots() {
    let folder = root().join("tests/snapshots/help");
    let mut texts = vec![];
    helps(&[], &mut texts);
    assert!(texts.len() > 15, "only {} commands were found", texts.len());
    for (name, text) in &texts {
        let mut prose = text.lines().filter(|line| !line.starts_with("Usage: "));
        let long = prose.find(|line| line.chars().count() > WIDTH);
        assert!(long.is_none(), "{name}: longer than {WIDTH} characters: {long:?}");
        assert_file(&folder.join(name), text);
    }
    let known: BTreeSet<_> = texts.into_iter().map(|(name, _)| name).collect();
    for file in fs::read_dir(folder).unwrap().map(|e| e.unwrap()) {
        let name = file.file_name().into_string().unwrap();
        assert!(known.contains(&name), "{name} is the help of no command: delete it");
    }
}

// Tables in manuals

/// A cell of a table.
fn cell(text: &str) -> String {
    ["|", "*", "<"].iter().fold(text.to_owned(), |text, c| text.replace(c, &format!("\\{c}")))
}

/// A family as `gradproof list` prints it: a line for each member, indented ones for its options.
fn family(name: &str, lines: &[&str]) -> String {
    let options = lines.iter().any(|line| line.starts_with("   "));
    let mut table = match options {
        true => "| name | option = default | description |\n|---|---|---|\n".to_owned(),
        false => "| name | description |\n|---|---|\n".to_owned(),
    };
    for line in lines {
        let (indent, line) = (line.len() - line.trim_start().len(), line.trim_start());
        let (first, about) = line.split_once(if indent > 2 { "   " } else { " " }).unwrap();
        let (first, about) = (format!("`{first}`"), cell(about.trim_start()));
        table += &match (options, indent > 2) {
            (true, true) => format!("| | {first} | {about} |\n"),
            (true, false) => format!("| **{first}** | | {about} |\n"),
            (false, _) => format!("| {first} | {about} |\n"),
        };
    }
    assert!(!lines.is_empty(), "`gradproof list` has no family `{name}`");
    table
}

/// What `gradproof models` prints.
fn architectures() -> String {
    let mut table = "| name | parameters | images | description |\n|---|---|---|---|\n".to_owned();
    for line in gradproof(&["models"]).lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        let (name, count, image, about) = (words[0], words[1], words[2], words[3..].join(" "));
        table += &format!("| `{name}` | {count} | {image} | {} |\n", cell(&about));
    }
    table
}

/// The table that a marker asks for: `list FAMILY` or `models`.
fn table(marker: &str, list: &str) -> String {
    let Some(name) = marker.strip_prefix("list ") else {
        assert_eq!(marker, "models", "no such table can be generated");
        return architectures();
    };
    let lines = list.lines().skip_while(|line| *line != name).skip(1);
    let lines: Vec<&str> = lines.take_while(|line| !line.is_empty()).collect();
    family(name, &lines)
}

/// A document with every table between `<!-- generated: … -->` and `<!-- end -->` made anew.
fn regenerated(text: &str, list: &str) -> String {
    let (open, close) = ("<!-- generated: ", "<!-- end -->");
    let mut parts = text.split(open);
    let mut whole = parts.next().unwrap().to_owned();
    for part in parts {
        let (marker, rest) = part.split_once(" -->").unwrap();
        let (_, after) = rest.split_once(close).expect("`<!-- end -->` below each table");
        whole += &format!("{open}{marker} -->\n\n{}\n{close}{after}", table(marker, list));
    }
    whole
}

#[test]
fn tables_of_manuals_are_those_of_the_registries() {
    let list = gradproof(&["list"]);
    for path in documents("docs") {
        assert_file(&path, &regenerated(&fs::read_to_string(&path).unwrap(), &list));
    }
}

#[test]
fn every_family_has_a_table_in_a_manual() {
    let list = gradproof(&["list"]);
    let manuals = documents("docs");
    let manuals: String = manuals.iter().map(|path| fs::read_to_string(path).unwrap()).collect();
    let families = list.lines().filter(|line| !line.is_empty() && !line.starts_with(' '));
    for name in families.filter(|name| *name != "architectures") {
        let marker = format!("<!-- generated: list {name} -->");
        assert!(manuals.contains(&marker), "no manual has `{marker}`");
    }
}

// Prose

/// Characters of a line of prose; targets of links do not count.
fn width(line: &str) -> usize {
    let parts = line.split("](").enumerate();
    let shown = parts.map(|(i, part)| match (i, part.split_once(')')) {
        (1.., Some((_, rest))) => rest.chars().count() + 3,
        _ => part.chars().count(),
    });
    shown.sum()
}

#[test]
fn lines_of_prose_have_at_most_100_characters() {
    let mut paths = [".", "docs", "docs/decisions", "docs/results"].map(documents).concat();
    paths.retain(|path| !path.ends_with("CHANGELOG.md"));
    for path in paths {
        let mut code = false;
        for (i, line) in fs::read_to_string(&path).unwrap().lines().enumerate() {
            code ^= line.starts_with("```");
            if !code && !["|", "![", "#", "    "].iter().any(|start| line.starts_with(start)) {
                assert!(width(line) <= WIDTH, "{}:{}: longer than 100", path.display(), i + 1);
            }
        }
    }
}

/// The anchor that a heading gets: lower case, spaces as dashes, no other signs.
fn anchor(heading: &str) -> String {
    let kept = |c: char| match c {
        ' ' | '-' => Some('-'),
        c => c.is_alphanumeric().then(|| c.to_ascii_lowercase()),
    };
    heading.trim_start_matches('#').trim().chars().filter_map(kept).collect()
}

#[test]
fn links_with_anchors_lead_to_headings() {
    for path in [documents("."), documents("docs"), documents("docs/decisions")].concat() {
        let text = fs::read_to_string(&path).unwrap();
        for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let Some((file, wanted)) = link.split_once('#') else { continue };
            let to = if file.is_empty() { path.clone() } else { path.parent().unwrap().join(file) };
            let Ok(target) = fs::read_to_string(&to) else { continue };
            let found = target.lines().any(|line| line.starts_with('#') && anchor(line) == wanted);
            assert!(found, "{}: no heading `#{wanted}` in {}", path.display(), to.display());
        }
    }
}

/// Whether a code span is the path of a file of ours, without placeholders.
fn is_path(span: &str) -> bool {
    let ours = ["crates/", "src/", "tests/", "benches/", "docs/", "weights/"];
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "/._-".contains(c);
    ours.iter().any(|folder| span.starts_with(folder)) && span.chars().all(plain)
}

#[test]
fn paths_in_code_spans_exist() {
    for path in [documents("."), documents("docs"), documents("docs/decisions")].concat() {
        if path.ends_with("CHANGELOG.md") {
            continue; // it tells of files that are gone
        }
        let text = fs::read_to_string(&path).unwrap();
        for span in text.lines().flat_map(|line| line.split('`').skip(1).step_by(2)) {
            let there = !is_path(span) || root().join(span).exists();
            assert!(there, "{}: `{span}` is not there", path.display());
        }
    }
}

#[test]
fn decisions_have_date_status_context_decision_consequence() {
    for path in documents("docs/decisions") {
        let text = fs::read_to_string(&path).unwrap();
        let mut rest = text.as_str();
        for part in [
            "# ",
            "\n- Date: 20",
            "\n- Status: ",
            "\n## Context",
            "\n## Decision",
            "\n## Consequence",
        ] {
            let found = rest.find(part);
            let at = found.unwrap_or_else(|| panic!("{}: no `{}`", path.display(), part.trim()));
            rest = &rest[at + part.len()..];
        }
    }
}

#[test]
fn readme_is_read_in_one_sitting() {
    let lines = fs::read_to_string(root().join("README.md")).unwrap().lines().count();
    assert!(lines <= 120, "README.md: {lines} lines; manuals are in docs/");
}
