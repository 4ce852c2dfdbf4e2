//! No number depends, to the bit, on how many workers the images are shared out to.

use crate::place::{CONFIG, Place, says};
use registry::Named;
use serde_json::Value;

const SUBJECT: &str = "--weights model.safetensors --data shapes:seed=0,train=64,test=16";

/// Seven images in four batches: more than two workers, as many as four.
const CUT: &str = "--limit 7 --batch-size 2";

/// A place with weights of a small network.
fn place(name: &str) -> Place {
    let place = Place::new(name);
    place.write("run.toml", CONFIG.replace("resnet20", "cnn"));
    place.ok("train --config run.toml --out run");
    std::fs::copy(place.at("run/last.safetensors"), place.at("model.safetensors")).expect("a copy");
    place
}

/// Every method, with few samples where it has any.
fn methods() -> String {
    let few = |entry: &registry::Entry<dyn explain::Attribution>| {
        let (name, options) = (entry.name(), entry.options());
        let counts = ["samples", "points", "steps"];
        let count = counts.iter().find(|count| options.iter().any(|o| o.name == **count));
        count.map_or(name.to_owned(), |count| format!("{name}:{count}=6"))
    };
    explain::METHODS.iter().map(few).collect::<Vec<_>>().join(",")
}

/// A result without what tells when and how it was made.
fn numbers(place: &Place, line: &str) -> Value {
    let mut result = place.ok(&format!("{line} --json")).json();
    result.as_object_mut().expect("an object").remove("origin");
    result
}

/// The same for one, two and four workers, also where a chunk cuts batches.
fn assert_same(place: &Place, line: &str) {
    for (chunk, others) in [("", &[2, 4][..]), (" --chunk 3", &[4])] {
        let of = |threads| numbers(place, &format!("{line} {CUT}{chunk} --threads {threads}"));
        let one = of(1);
        for &threads in others {
            assert_eq!(of(threads), one, "`{line}`, {threads} workers");
        }
    }
}

#[test]
fn maps_do_not_depend_on_the_workers() {
    let place = place("workers-explain");
    let all = methods();
    for chunk in ["", "--chunk 5"] {
        let made = [1, 2, 4].map(|threads| {
            let out = format!("{threads}{}/maps.safetensors", chunk.replace(' ', ""));
            let line = format!("explain {SUBJECT} {CUT} --method {all} {chunk} --out {out}");
            place.ok(&format!("{line} --threads {threads}"));
            let files = std::fs::read_dir(place.at(&out).parent().expect("a folder"));
            let names = files.expect("a folder").map(|file| file.expect("a file").file_name());
            let names = names.map(|name| name.into_string().expect("text"));
            let mut names: Vec<_> = names.filter(|name| name.ends_with(".safetensors")).collect();
            names.sort();
            let folder = out.split('/').next().expect("a folder").to_owned();
            (folder, names)
        });
        let [one, others @ ..] = &made;
        assert_eq!(one.1.len(), explain::METHODS.len());
        for (folder, names) in others {
            assert_eq!(names, &one.1);
            for name in names {
                let read = |folder: &str| place.tensors(&format!("{folder}/{name}")).tensors;
                let (own, first) = (read(folder), read(&one.0));
                assert!(own.keys().eq(first.keys()));
                for (key, tensor) in &own {
                    assert_eq!(*tensor, first[key], "{name}, {key}, {folder} {chunk}");
                }
            }
        }
    }
}

#[test]
fn attacks_do_not_depend_on_the_workers() {
    let place = place("workers-attack");
    let by = "--method gxi --iters 2 --eps 4/255,8/255";
    for attack in attack::ATTACKS {
        assert_same(&place, &format!("attack {SUBJECT} {by} --attack {}", attack.name()));
    }
    assert_same(
        &place,
        &format!("attack {SUBJECT} --method lime:samples=8 --attack topk --rule square --iters 2"),
    );
    let rows = "--from gxi,smoothgrad:samples=4 --to gxi,ig:points=4 --iters 2 --judge-samples 4";
    assert_same(&place, &format!("transfer {SUBJECT} {rows} --attack topk"));
}

#[test]
fn metrics_do_not_depend_on_the_workers() {
    let place = place("workers-measure");
    let few = |entry: &registry::Entry<dyn explain::metric::Metric>| {
        let (name, options) = (entry.name(), entry.options());
        let counts = ["samples", "steps", "cells"];
        let count = counts.iter().find(|count| options.iter().any(|o| o.name == **count));
        count.map_or(name.to_owned(), |count| format!("{name}:{count}=3"))
    };
    // One metric needs weights that were trained on random labels; bounds take minutes.
    let left = |name: &str| name == "random-labels" || name.starts_with("bounds");
    let all = explain::metric::METRICS.iter().filter(|metric| !left(metric.name()));
    let all = all.map(few).collect::<Vec<_>>().join(",");
    assert_same(&place, &format!("measure {all} {SUBJECT} --method gxi,smoothgrad:samples=2"));
}

#[test]
fn evaluations_do_not_depend_on_the_workers() {
    let place = place("workers-eval");
    let line = format!("eval {SUBJECT} --curvature --pgd 3 --square 5 {CUT}");
    let of = |threads| numbers(&place, &format!("{line} --threads {threads}"));
    let one = of(1);
    assert_eq!([of(2), of(4)], [one.clone(), one]);
}

#[test]
fn a_killed_run_of_several_workers_is_gone_on_with() {
    let place = place("workers-resume");
    let line = format!(
        "attack {SUBJECT} --batch-size 2 --method gxi --attack topk --iters 4 --threads 3 --eps 8/255"
    );
    place.killed_at(&format!("{line} --out a/a.safetensors"), "a/a.parts/000000002.safetensors");
    place.ok(&format!("{line} --out a/a.safetensors --resume"));
    place.ok(&format!("{line} --out b/b.safetensors"));
    let [a, b] = ["a/a.safetensors", "b/b.safetensors"].map(|name| place.tensors(name).tensors);
    assert!(a == b, "a resumed run has other numbers");
}

#[test]
fn the_program_says_how_it_shares_out() {
    let place = place("workers-told");
    let said = |rest: &str| place.ok(&format!("eval {SUBJECT} --verbose {rest}")).stderr;
    says(&said("--batch-size 2 --threads 4"), &["4 workers of 1 thread"]);
    says(&said("--limit 1 --threads 4"), &["1 worker of 4 threads"]);
    says(&place.ok("doctor --threads 3").stdout, &["a worker a thread"]);
}
