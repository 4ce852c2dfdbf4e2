//! The program on several ranks, started by `mpirun` as users do: the same run as on one rank for
//! networks without norm statistics, what happens when a rank dies, and what is refused.
//! A process of its own: it needs the feature `mpi`, and each test takes both cores.
#![allow(clippy::unwrap_used)] // helpers of tests are tests

#[path = "../cli/place.rs"]
#[allow(dead_code, reason = "the tests of one process use the rest")]
mod place;

use place::{Place, Run, says};
use serde_json::Value;
use std::{
    fs,
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

/// `gradproof` on `ranks` ranks, not started.
fn command(place: &Place, ranks: usize, line: &str) -> Command {
    let program = place.command(line);
    let mut command = Command::new("mpirun");
    command.args(["--allow-run-as-root", "--oversubscribe", "-n", &ranks.to_string()]);
    command.arg(program.get_program()).args(program.get_args());
    command.current_dir(&place.path).stdin(Stdio::null());
    command.env("OMP_NUM_THREADS", "1");
    command
}

fn go(place: &Place, ranks: usize, line: &str) -> Run {
    command(place, ranks, line).output().expect("`mpirun` is there").into()
}

fn ok(place: &Place, ranks: usize, line: &str) {
    let run = go(place, ranks, line);
    assert_eq!(run.code, Some(0), "`{line}`: {}", run.stderr);
}

/// Batches of `batch` images of 32×32 shapes, `steps` of them in two epochs.
fn config(arch: &str, batch: usize, steps: usize, more: &str) -> String {
    let train = batch * steps / 2;
    format!(
        "epochs = 2\nbatch_size = {batch}\nrobust_images = 16\n{more}\n\
         [data]\ntrain = 'shapes:train={train},test=32'\naugment = {{ crop = 2, flip = true }}\n\
         [model]\narch = '{arch}'\nnormalise = '0.5/0.25'\n\
         [optimizer]\nname = 'sgd'\nlearning_rate = 0.01\nweight_decay = 5e-4\n"
    )
}

const NATURAL: &str = "";
const PGD: &str = "objective = { name = 'adversarial', attack = { norm = 'linf', eps = '8/255', \
                   steps = 2, step_size = '4/255' } }";
const SSR: &str = "objective = { name = 'ssr', eigenvector = 'warm' }";

fn log(place: &Place, run: &str) -> Vec<Value> {
    let text = place.text(&format!("{run}/log.jsonl"));
    text.lines().map(|line| serde_json::from_str(line).expect("a whole line")).collect()
}

/// Trains on one rank and on two: all weights and every mean loss to `within`. What else a run keeps is
/// compared in f64, in `crates/train/tests/it/ranks.rs`.
fn assert_equal(name: &str, config: &str, within: f64) {
    let place = Place::new(name);
    place.write("run.toml", config);
    place.ok("train --config run.toml --out one");
    ok(&place, 2, "train --config run.toml --out two");
    let of = |run: &str| place.tensors(&format!("{run}/last.safetensors")).tensors;
    let (one, two) = (of("one"), of("two"));
    assert!(one.keys().eq(two.keys()));
    for (tensor, a) in one.iter().filter(|(_, t)| t.numel() > 0) {
        // Masks hold −∞ on both sides.
        let apart = (a - &two[tensor]).nan_to_num(0., None, None).abs().max().double_value(&[]);
        assert!(apart <= within, "{name}: `{tensor}` is {apart:e} off");
    }
    for (a, b) in log(&place, "one").iter().zip(log(&place, "two")) {
        let loss = |line: &Value| line["loss"]["total"].as_f64().unwrap();
        assert!((loss(a) - loss(&b)).abs() <= within * loss(a).max(1.), "{a} {b}");
    }
}

#[test]
fn a_perceptron_on_two_ranks_is_one_on_one_rank() {
    for (name, objective) in [("mlp", NATURAL), ("mlp-pgd", PGD), ("mlp-ssr", SSR)] {
        assert_equal(name, &config("mlp", 128, 50, objective), 1e-5);
    }
}

/// Few steps: after fifty their rounding is 1e-5, so those are compared in f64 (`crates/train/tests/mpi.rs`).
#[test]
fn a_transformer_on_two_ranks_is_one_on_one_rank() {
    assert_equal("swin", &config("swin-t", 8, 6, NATURAL), 1e-5);
    assert_equal("swin-pgd", &config("swin-t", 8, 6, PGD), 1e-5);
    assert_equal("swin-ssr", &config("swin-t", 8, 6, SSR), 1e-5);
}

/// The processes below `parent` that run gradproof, in the order of their ranks.
fn ranks_below(parent: u32) -> Vec<u32> {
    let of = |pid: u32, file: &str| fs::read_to_string(format!("/proc/{pid}/{file}"));
    let all = fs::read_dir("/proc").unwrap().flatten();
    let all = all.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let child = |pid: &u32| {
        let stat = of(*pid, "stat").unwrap_or_default();
        let after = stat.rsplit(')').next().unwrap_or_default().to_owned();
        after.split_whitespace().nth(1) == Some(&parent.to_string())
    };
    let rank = |pid: u32| {
        let environment = of(pid, "environ").ok()?;
        let mut words = environment.split('\0');
        let rank = words.find_map(|w| w.strip_prefix("OMPI_COMM_WORLD_RANK=")?.parse().ok());
        Some((rank?, pid))
    };
    let mut found: Vec<(u32, u32)> = all.filter(child).filter_map(rank).collect();
    found.sort_unstable();
    found.into_iter().map(|(_, pid)| pid).collect()
}

#[test]
fn a_rank_that_is_killed_ends_the_run_which_goes_on_with_any_number() {
    let place = Place::new("killed");
    let text = config("resnet20", 32, 10, "").replace("epochs = 2", "epochs = 8");
    place.write("run.toml", text);
    let train = "train --config run.toml --out run --resume";
    let mut job = command(&place, 2, train);
    let mut job = job.stderr(Stdio::piped()).stdout(Stdio::null()).spawn().expect("starts");
    while !place.at("run/resume.safetensors").exists() {
        assert!(job.try_wait().unwrap().is_none(), "it ended before its first checkpoint");
        thread::sleep(Duration::from_millis(10));
    }
    let ranks = ranks_below(job.id());
    assert_eq!(ranks.len(), 2);
    let kill = Command::new("kill").args(["-9", &ranks[1].to_string()]).status();
    assert!(kill.expect("`kill` is there").success());
    let clock = Instant::now();
    let run: Run = job.wait_with_output().unwrap().into();
    assert!(clock.elapsed() < Duration::from_secs(30), "{:?}", clock.elapsed());
    assert!(run.code != Some(0), "{}", run.stderr);
    says(&run.stderr, &["process rank 1", "signal 9"]);

    let epoch = |place: &Place| -> usize {
        place.tensors("run/last.safetensors");
        place.tensors("run/resume.safetensors").metadata["epoch"].parse().unwrap()
    };
    let done = epoch(&place);
    assert!((1..8).contains(&done), "{done}");
    // One rank, killed in its turn after an epoch; then two to the end.
    let mut alone = place.command(train).stderr(Stdio::null()).spawn().expect("starts");
    while epoch(&place) == done {
        assert!(alone.try_wait().unwrap().is_none(), "it ended without an epoch");
        thread::sleep(Duration::from_millis(10));
    }
    alone.kill().unwrap();
    alone.wait().unwrap();
    ok(&place, 2, train);
    let epochs: Vec<_> = log(&place, "run").iter().map(|l| l["epoch"].as_u64().unwrap()).collect();
    assert_eq!(epochs, [1, 2, 3, 4, 5, 6, 7, 8]);
}

#[test]
fn mistakes_are_told_once_and_end_all_ranks() {
    let place = Place::new("refused");
    place.write("run.toml", config("mlp", 2, 6, ""));
    let train = "train --config run.toml --out run";
    for (ranks, more, parts) in [
        (3, "", vec!["gradproof: rank 0 of 3: `batch_size` is 2"]),
        (2, "--set seeed=1", vec!["gradproof: rank 0 of 2: ", "seeed"]),
        (
            2,
            "--set sync_norm=true --set objective.name=ssr --set objective.norm=batch",
            vec!["rank 0 of 2: ", "`sync_norm`", "objective.norm"],
        ),
    ] {
        let run = go(&place, ranks, &format!("{train} {more}"));
        assert_eq!((run.code, run.stdout.as_str()), (Some(2), ""), "{}", run.stderr);
        says(&run.stderr, &parts);
        assert_eq!(run.stderr.matches("gradproof: ").count(), 1, "{}", run.stderr);
    }
}

#[test]
fn one_process_needs_no_mpirun() {
    let place = Place::new("alone");
    place.write("run.toml", config("mlp", 8, 6, ""));
    place.ok("train --config run.toml --out run");
    let mpi = place.ok("doctor --json").json()["mpi"].as_str().unwrap().to_owned();
    says(&mpi, &["Open MPI", "CUDA-aware"]);
}
