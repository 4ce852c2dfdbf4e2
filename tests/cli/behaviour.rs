//! How every command behaves towards pipes, terminals and scripts.

use crate::place::{CONFIG, Place, Run, SHAPES};
use std::{
    io::{BufRead, BufReader, Read},
    process::{Child, Stdio},
};

const SUBJECT: &str = "--weights model.safetensors --data shapes:seed=0,train=64,test=16 --limit 3";

/// One of each command, in an order in which each finds what it reads.
fn every_command() -> Vec<String> {
    vec![
        "train --config run.toml --out run".into(),
        format!("eval {SUBJECT}"),
        format!("explain {SUBJECT} --method gxi --out maps.safetensors --figure maps.png"),
        format!("attack {SUBJECT} --method gxi --attack topk --iters 2 --out a.safetensors"),
        "report . --out page".into(),
        format!("data make {SHAPES} --out set.safetensors"),
        "data info set.safetensors".into(),
        "weights convert model.safetensors --out half.safetensors --store f16".into(),
        "weights info half.safetensors".into(),
        "models".into(),
        "list".into(),
        "doctor".into(),
    ]
}

fn place(name: &str) -> Place {
    let place = Place::with_model(name);
    place.write("run.toml", CONFIG.replace("resnet20", "mlp"));
    place
}

fn plain(line: &str, run: &Run) {
    for (stream, text) in [("stdout", &run.stdout), ("stderr", &run.stderr)] {
        assert!(!text.contains('\x1b'), "`{line}` paints its {stream}: {text:?}");
        assert!(!text.contains('\r'), "`{line}` draws a bar on {stream}: {text:?}");
    }
}

#[test]
fn json_is_one_value_and_nothing_else() {
    let place = place("json");
    for line in every_command() {
        let line = format!("{line} --json");
        let run = place.ok(&line);
        assert!(run.json().is_object() || run.json().is_array(), "`{line}`: {}", run.stdout);
        plain(&line, &run);
    }
}

#[test]
fn quiet_is_quiet_and_pipes_are_plain() {
    let place = place("quiet");
    for line in every_command() {
        let line = format!("{line} --quiet");
        let run = place.ok(&line);
        assert_eq!(run.stderr, "", "`{line}`");
        assert!(!run.stdout.is_empty(), "`{line}` says nothing");
        plain(&line, &run);
    }
}

#[test]
fn no_colour_where_there_is_no_terminal() {
    let place = place("colour");
    for line in ["--help", "nonsense", "list", "eval --weights no --data no"] {
        for no_color in [None, Some("1")] {
            let mut command = place.command(line);
            command.envs(no_color.map(|value| ("NO_COLOR", value)));
            plain(line, &command.output().expect("the binary starts").into());
        }
    }
    let run = place.ok(&format!("eval {SUBJECT}"));
    plain("eval", &run);
}

#[test]
fn help_and_version() {
    let place = place("help");
    let version = place.ok("--version").stdout;
    assert_eq!(version, format!("gradproof {}\n", env!("CARGO_PKG_VERSION")));
    let help = place.ok("--help").stdout;
    let commands = help.split("Commands:\n").nth(1).expect("a list of commands");
    let listed = commands.lines().take_while(|line| !line.is_empty());
    let names: Vec<&str> = listed.filter_map(|line| line.split_whitespace().next()).collect();
    for name in
        ["train", "eval", "explain", "attack", "report", "data", "models", "weights", "list"]
    {
        assert!(names.contains(&name), "`{name}` is not in: {help}");
    }
    let nested = ["data fetch", "data make", "data info", "weights info", "weights convert"];
    for name in names.into_iter().filter(|name| *name != "help").chain(nested) {
        let help = place.ok(&format!("{name} --help"));
        assert!(help.stdout.contains(&format!("Usage: gradproof {name}")), "{}", help.stdout);
        assert_eq!(help.stderr, "");
    }
}

fn start(place: &Place, line: &str) -> Child {
    let mut command = place.command(line);
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the binary starts")
}

/// It neither panics nor complains.
fn ends_well(line: &str, mut child: Child) {
    let mut said = String::new();
    child.stderr.take().expect("piped").read_to_string(&mut said).expect("UTF-8");
    let status = child.wait().expect("it ends");
    assert!(!said.contains("panicked"), "`{line} | head -1`: {said}");
    assert_eq!(status.code(), Some(0), "`{line} | head -1`: {said}");
}

/// `gradproof … | head -1`, and a reader that is gone before the first line.
#[test]
fn a_reader_may_stop_early() {
    let place = place("pipes");
    let line = "weights info model.safetensors";
    let mut child = start(&place, line);
    let mut first = String::new();
    let mut stdout = BufReader::new(child.stdout.take().expect("piped"));
    stdout.read_line(&mut first).expect("a line");
    drop(stdout);
    assert!(!first.is_empty(), "`{line}` says nothing");
    ends_well(line, child);

    for line in [
        "list",
        "models",
        "--help",
        "data info shapes:test=20",
        "weights info model.safetensors",
        "weights info model.safetensors --json",
    ] {
        let mut child = start(&place, line);
        drop(child.stdout.take());
        ends_well(line, child);
    }
}
