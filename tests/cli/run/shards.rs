//! `run --shard`: shards beside each other, killed ones and left out cells; what they cost; the scripts that start them.

use crate::{
    place::{CONFIG, Place, Run, says},
    run::cells::{lasting, place},
};
use std::process::{Child, Command, Stdio};

#[test]
fn two_shards_are_one_run() {
    let place = place("run-shards");
    place.ok("run e.toml --out whole");
    let first = place.ok("run e.toml --out both --shard 1/2");
    says(&first.stdout, &["page of 3 of 5 cells: both/e-smoke/index.html"]);
    says(&place.text("both/e-smoke/index.html"), &["So far 3 of 5 cells are there"]);
    says(&place.ok("run e.toml --out both --shard 2/2").stdout, &["page: both/e-smoke/index.html"]);
    let [whole, both] = ["whole", "both"].map(|out| lasting(&place, &format!("{out}/e-smoke")));
    assert_eq!(whole.keys().collect::<Vec<_>>(), both.keys().collect::<Vec<_>>());
    for (path, bytes) in &whole {
        assert_eq!(bytes, &both[path], "{}", path.display());
    }
}

/// Shard I of four of `e.toml`, into `out`.
fn shard(out: &str, i: usize) -> String {
    format!("run e.toml --quiet --out {out} --shard {i}/4")
}

/// Starts the shards `numbers` at once.
fn start(place: &Place, out: &str, numbers: &[usize]) -> Vec<Child> {
    let start = |&i| place.command(&shard(out, i)).stdout(Stdio::null()).spawn().expect("starts");
    numbers.iter().map(start).collect()
}

/// They have to succeed.
fn end(shards: Vec<Child>) {
    shards.into_iter().for_each(|mut shard| assert!(shard.wait().expect("it ends").success()));
}

#[test]
fn four_shards_at_once_one_killed_and_started_again_are_one_run() {
    let place = place("run-four");
    place.ok("run e.toml --out whole");
    let others = start(&place, "four", &[2, 3, 4]);
    // The first has two cells.
    let times = "four/e-smoke/times/look/0.json";
    // On a busy machine the kill may come after its end; what follows holds all the same.
    let _ = place.killed_at(&shard("four", 1), "four/e-smoke/cells/look/0.json");
    end(others);
    let before = place.read(times);
    place.ok(&shard("four", 1));
    assert_eq!(place.read(times), before, "made twice");
    assert_eq!(lasting(&place, "four/e-smoke"), lasting(&place, "whole/e-smoke"));
}

#[test]
fn shards_that_end_together_leave_the_page_of_all_cells() {
    let place = place("run-together");
    place.ok("run e.toml --out whole");
    for out in ["first", "second", "third"] {
        end(start(&place, out, &[1, 2, 3, 4]));
        let run = format!("{out}/e-smoke");
        assert_eq!(lasting(&place, &run), lasting(&place, "whole/e-smoke"));
        assert!(!place.text(&format!("{run}/index.html")).contains("So far"));
    }
}

#[test]
fn a_shard_leaves_out_what_reads_cells_that_are_not_there() {
    let place = place("run-reads");
    place.write("run.toml", CONFIG);
    let look = "eval --weights ${run}/cells/train/all/last.safetensors --data shapes:test=2";
    place.write(
        "e.toml",
        format!(
            "title = \"\"\nquestion = \"\"\n[step.train]\n\
             command = \"train --config run.toml --out ${{cell}} --resume\"\n\
             [step.look]\ncommand = \"{look}\"\n"
        ),
    );
    let shard = |i| place.ok(&format!("run e.toml --scale paper --shard {i}/2"));
    let second = shard(2);
    says(&second.stderr, &["left out 1 ", "`look all`", "`--resume` without `--shard`"]);
    says(&second.stdout, &["page of 0 of 2 cells"]);
    says(&shard(1).stdout, &["page of 1 of 2 cells"]);
    says(&shard(2).stdout, &["page: runs/e/index.html"]);
}

#[test]
fn a_plan_of_shards_says_what_each_costs() {
    let place = place("run-plan-shards");
    // The first and the last cell of five, and one of each other shard.
    let said = place.ok("run e.toml --plan --shards 4 --json").json();
    let shards = said["shards"].as_array().expect("shards");
    let of = |key: &str| shards.iter().map(|shard| &shard[key]).collect::<Vec<_>>();
    assert_eq!(of("shard"), ["1/4", "2/4", "3/4", "4/4"]);
    assert_eq!(of("left"), [2, 1, 1, 1]);
    assert_eq!(of("passes")[1..], [2., 2., 2.]);
    let said = place.ok("run e.toml --plan --shards 4").stdout;
    says(&said, &["\n1/4 ", "slowest shard: ", " times the mean"]);
    says(&place.misused("run e.toml --plan --shards 0"), &["--shards"]);
    says(&place.misused("run e.toml --plan --shard 1/4"), &["--plan", "--shard"]);
}

#[test]
fn scripts_that_split_an_experiment_say_what_is_wrong_before_they_start() {
    for script in ["parallel.sh", "slurm/array.sh"] {
        for (words, told) in [
            ("", "how many"),
            ("four wang20-table2", "`four` is no number of shards"),
            ("0 wang20-table2", "`0` is no number of shards"),
            ("4 wang20-table3", "no experiment `wang20-table3`; there are agarwal21-figure2"),
            ("4 wang20-table2 scale=huge", "no scale `huge`"),
        ] {
            let script = format!("{}/experiments/{script}", env!("CARGO_MANIFEST_DIR"));
            let mut command = Command::new("sh");
            command.arg(script).args(words.split_whitespace());
            let run = command.env("GRADPROOF", env!("CARGO_BIN_EXE_gradproof")).output();
            let run = Run::from(run.expect("a shell"));
            assert_eq!(run.code, Some(2), "`{words}`: {}", run.stderr);
            says(&run.stderr, &[told]);
        }
    }
}
