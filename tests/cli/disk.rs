//! Outputs that cannot be written and disks that are full: the error names the path, nothing
//! half-written stays, an older file of that name is untouched.

use crate::place::{CONFIG, Place, Run, SHAPES, says};
use std::process::Command;

/// One of each command that writes, into `folder`.
fn writers(folder: &str) -> Vec<String> {
    let subject = format!("--weights model.safetensors --data {SHAPES}");
    vec![
        format!("train --config run.toml --out {folder}"),
        format!("explain {subject} --method gxi --out {folder}/maps.safetensors"),
        format!("explain {subject} --method gxi --figure {folder}/grid.png"),
        format!(
            "attack {subject} --method gxi --attack topk --iters 1 --eps 4/255 --out {folder}/a.safetensors"
        ),
        format!(
            "attack {subject} --method gxi --attack topk --iters 1 --eps 4/255 --figure {folder}/a.png"
        ),
        format!("data make {SHAPES} --out {folder}/set.safetensors"),
        format!("weights convert model.safetensors --out {folder}/w.safetensors"),
        format!("report run --out {folder}"),
    ]
}

fn place(name: &str) -> Place {
    let place = Place::with_model(name);
    place.write("run.toml", CONFIG);
    let log = std::fs::read(crate::place::training().join("log.jsonl")).expect("a log");
    place.write("run/log.jsonl", log);
    place
}

#[test]
fn below_a_file() {
    let place = place("disk-file");
    place.write("file", "a regular file");
    for line in writers("file/folder") {
        says(&place.refused(&line), &["file/folder"]);
    }
}

#[test]
fn a_place_that_takes_no_files() {
    let place = place("disk-proc");
    for line in writers("/proc").iter().step_by(3) {
        says(&place.refused(line), &["/proc"]);
    }
}

#[test]
fn a_folder_of_that_name() {
    let place = place("disk-folder");
    place.write("taken.safetensors/inside", "");
    let subject = format!("--weights model.safetensors --data {SHAPES}");
    for line in [
        format!("explain {subject} --method gxi --out taken.safetensors"),
        format!("data make {SHAPES} --out taken.safetensors"),
    ] {
        says(&place.refused(&line), &["cannot write `taken.safetensors`"]);
    }
}

/// Runs `line` where `full` is a disk of 100 KiB with an older file `old` under each name that is
/// written; then lists that disk.
fn on_a_full_disk(place: &Place, line: &str) -> (Run, Vec<String>) {
    let script = r#"
        mount -t tmpfs -o size=100k tmpfs full || exit 99
        for name in maps.safetensors a.safetensors set.safetensors w.safetensors; do
            printf old > full/$name
        done
        "$@"; code=$?
        echo "--- left"
        for name in $(ls -A full); do
            if [ "$(head -c 4 full/$name)" = old ]; then echo "$name old"; else echo "$name"; fi
        done
        exit $code"#;
    let gradproof = place.command(&format!("{line} --force"));
    let mut command = Command::new("unshare");
    command.args(["-m", "sh", "-c", script, "sh"]).arg(gradproof.get_program());
    command.args(gradproof.get_args()).current_dir(&place.path).env("OMP_NUM_THREADS", "1");
    let mut run: Run = command.output().expect("checked before").into();
    let (said, left) = run.stdout.split_once("--- left\n").expect("the script's own line");
    let left = left.lines().map(str::to_owned).collect();
    run.stdout = said.to_owned();
    (run, left)
}

#[test]
fn full() {
    let place = place("disk-full");
    place.write("full/.keep", "");
    let mount = "mount -t tmpfs -o size=100k tmpfs full";
    let mut can = Command::new("unshare");
    can.args(["-m", "sh", "-c", mount]).current_dir(&place.path);
    if !can.status().is_ok_and(|status| status.success()) {
        eprintln!("no file system can be mounted here: full disks are not tested");
        return;
    }
    // The sets are larger than the disk; the report's page is not.
    let lines = writers("full");
    for line in lines.iter().filter(|line| !line.starts_with("report") && !line.contains(".png")) {
        let line = line.replace("test=16", "test=40");
        let (run, left) = on_a_full_disk(&place, &line);
        assert_eq!(run.code, Some(2), "`{line}`: {}", run.stderr);
        let last = run.stderr.lines().last().expect("an error");
        says(last, &["gradproof: ", "full/", "No space left on device"]);
        for old in ["maps", "a", "set", "w"] {
            assert!(left.contains(&format!("{old}.safetensors old")), "`{line}`: {left:?}");
        }
        let whole = ["config.toml", "log.jsonl", "events.out.tfevents.gradproof"];
        let new = left.iter().filter(|name| !name.ends_with(" old"));
        for name in new {
            assert!(whole.contains(&name.as_str()), "`{line}` left `{name}`");
        }
    }
}
