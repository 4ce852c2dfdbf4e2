//! Numbers out of range, devices and ranks that are not there.

#[cfg(not(feature = "mpi"))]
use crate::place::{CONFIG, Run};
use crate::place::{Place, SHAPES, says};

#[test]
fn out_of_range() {
    let place = Place::with_model("numbers");
    let subject = format!("--weights model.safetensors --data {SHAPES}");
    let attack = format!("attack {subject} --method gxi --attack topk --out new/a.safetensors");
    for (options, parts) in [
        ("--eps -1/255", &["--eps", "negative"][..]),
        ("--eps 4/255 --k 0", &["`k` is 0", "1024"]),
        ("--eps 4/255 --k 100000", &["`k` is 100000", "1024"]),
        ("--target 99", &["--target 99", "0 to 9"]),
        ("--target -1", &["--target -1", "0 to 9"]),
        ("--target cat", &["--target cat", "predicted"]),
        ("--iters 0", &["--iters 0"]),
        ("--beta 0", &["'0' for '--beta", "not positive"]),
        ("--step -1/255", &["--step -0.0039", "positive"]),
        ("--step 1/255", &["--step", "--rule sign"]),
        ("--strength standard --iters 3", &["--strength standard", "`--iters`"]),
        ("--strength standard --beta 20", &["--strength standard", "`--beta`"]),
        ("--batch-size 0", &["--batch-size 0"]),
        ("--limit 0", &["limit"]),
        ("--offset 16", &["offset 16", "16 images"]),
        ("--threads 0", &["--threads 0"]),
    ] {
        says(&place.refused(&format!("{attack} {options}")), parts);
    }
    says(&place.refused(&format!("explain {subject} --method gxi")), &["--out", "--figure"]);
}

#[test]
fn that_are_no_numbers() {
    let place = Place::with_model("no-numbers");
    let subject = format!("--weights model.safetensors --data {SHAPES}");
    let attack = format!("attack {subject} --method gxi --attack topk --out new/a.safetensors");
    for (options, parts) in [
        ("--eps 9/0", ["9/0", "divides by zero"]),
        ("--eps 8/255,nan", ["nan", "8/255"]),
        ("--eps eight", ["eight", "8/255"]),
        ("--k many", ["many", "--k"]),
        ("--norm l3", ["l3", "linf"]),
        ("--score odds", ["odds", "logprob"]),
        ("--device gpu", ["gpu", "cuda:N"]),
        ("--precision f16", ["f16", "bf16"]),
        ("--split validation", ["validation", "test"]),
    ] {
        says(&place.misused(&format!("{attack} {options}")), &parts);
    }
    let line = format!("explain {subject} --method gxi --out new/maps.json");
    says(&place.misused(&line), &["new/maps.json", ".safetensors"]);
    let line = format!("explain {subject} --method gxi --figure new/maps.gif");
    says(&place.misused(&line), &["new/maps.gif", ".png"]);
    says(&place.misused("atack"), &["atack", "attack"]);
}

#[test]
fn cuda_without_cuda() {
    let place = Place::with_model("cuda");
    let doctor = place.ok("doctor --json").json();
    let line = format!("eval --weights model.safetensors --data {SHAPES} --device");
    if doctor["cuda_usable"] == true {
        eprintln!("CUDA is usable here: what happens without it is not tested");
    } else {
        says(&place.refused(&format!("{line} cuda")), &["--device cuda"]);
        says(&place.refused(&format!("{line} cuda:1")), &["--device cuda:1"]);
    }
    says(&place.misused(&format!("{line} cuda:x")), &["cuda:x"]);
}

#[test]
#[cfg(not(feature = "mpi"))]
fn ranks_without_mpi() {
    let place = Place::new("ranks-without-mpi");
    place.write("run.toml", CONFIG);
    let mut train = place.command("train --config run.toml --out run");
    let run: Run = train.env("OMPI_COMM_WORLD_SIZE", "2").output().expect("starts").into();
    assert_eq!((run.code, run.stdout.as_str()), (Some(2), ""), "{}", run.stderr);
    says(&run.stderr, &["2 processes were started", "cargo build --release --features mpi"]);
    assert!(!place.at("run").exists());
    says(&place.ok("doctor").stdout, &["MPI", "--features mpi"]);
}
